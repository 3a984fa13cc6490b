import t from 'tap'
import { createFormScan } from '../../src/lib/form-scan.js'

const type = 'multipart/form-data; boundary=XyZ'
const wanted = new Set(['model'])

function form(...parts: string[]): string {
  return `${parts.map(part => `--XyZ\r\n${part}\r\n`).join('')}--XyZ--\r\n`
}

const file =
  'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\nRIFF --XyZ is only a boundary on a line of its own\r\n\r\n-'
const model = 'Content-Disposition: form-data; name="model"\r\n\r\nwhisper-1'

function read(body: string, cut = body.length, contentType = type) {
  const scan = createFormScan(contentType, wanted)
  const bytes = Buffer.from(body)
  for (let at = 0; at < bytes.length; at += cut) scan.feed(bytes.subarray(at, at + cut))
  return scan.end()
}

t.test('a field is found wherever it stands and however the form is cut', async t => {
  for (const body of [form(file, model), form(model, file), form(model)]) {
    for (let cut = 1; cut <= 70; cut++) {
      const { values, spans } = read(body, cut)
      t.same(values, ['whisper-1'], `cut at ${cut}`)
      t.same(
        spans.map(({ start, end }) => body.slice(start, end)),
        values,
        'and it is told where it lies',
      )
    }
  }
})

t.test('a form without the field has no value, an empty field an empty one', async t => {
  t.same(read(form(file)).values, [])
  t.match(read(form('Content-Disposition: form-data; name="model"\r\n\r\n')), { values: [''], spans: [{ start: 55, end: 55 }] })
})

const doubtful: Record<string, string> = {
  'the field twice': form(model, model),
  'the field in another spelling': form(file, model.replace('"model"', '"Model"')),
  'the name twice in a header': form(model.replace('name="model"', 'name="file"; name="model"')),
  'an extended name': form(model.replace('name="model"', "name*=utf-8''model")),
  'an escaped name': form(model.replace('"model"', '"mo\\del"')),
  'two dispositions': form(`Content-Disposition: form-data; name="a"\r\n${model}`),
  'a folded header': form(model.replace('; name', ';\r\n name')),
  'a transfer encoding': form(`Content-Transfer-Encoding: base64\r\n${model}`),
  'a boundary after a bare line feed': form(file, model).replace(
    '\r\n--XyZ\r\nContent-Disposition: form-data; name="model"',
    '\n--XyZ\r\nContent-Disposition: form-data; name="model"',
  ),
  'a boundary with a tail': form(file, model).replace('--XyZ\r\n', '--XyZa\r\n'),
  'something before': `x\r\n${form(model)}`,
  'something behind': `${form(file)}--XyZ\r\n${model}\r\n--XyZ--`,
  'no end': form(model).slice(0, -6),
  'an endless value': form(model + 'x'.repeat(5000)),
}

for (const [how, body] of Object.entries(doubtful)) {
  t.test(`a form that parsers could read differently is refused: ${how}`, async t => {
    for (const cut of [1, 7, body.length]) t.ok(read(body, cut).fault, `cut at ${cut}`)
  })
}

t.test('a content type without one plain boundary is refused', async t => {
  for (const contentType of [
    'multipart/form-data',
    'multipart/form-data; boundary=a; boundary=XyZ',
    'multipart/form-data; boundary="X\\yZ"',
  ]) {
    t.ok(read(form(model), 99, contentType).fault, contentType)
  }
})
