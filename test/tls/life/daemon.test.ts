import { Writable } from 'node:stream'
import { pino } from 'pino'
import t from 'tap'
import { loadSettings } from '../../../src/config/load.js'
import { openKeeper } from '../../../src/keeper.js'
import { watchCertificates } from '../../../src/tls/life/daemon.js'
import { readRecord, writeRecord } from '../../../src/tls/life/record.js'
import { aCertificate } from '../../support/records.js'
import { until } from '../../support/until.js'

t.test('a renewal that fails while the daemon runs is in the log, with what to do and when it is tried again', async t => {
  const home = t.testdir({ certs: {} })
  const certsDir = `${home}/certs`
  // proved by a person, who is not there: it fails before anybody is asked anything
  await writeRecord(certsDir, aCertificate('web'))
  const lines: Record<string, unknown>[] = []
  const sink = new Writable({
    write(line: Buffer, _encoding, done) {
      lines.push(JSON.parse(line.toString()) as Record<string, unknown>)
      done()
    },
  })
  const settings = loadSettings({ home, env: {} })
  const watch = watchCertificates({
    certsDir,
    log: pino({ level: 'info' }, sink),
    now: Date.now,
    everyMs: 50,
    open: run => openKeeper(settings, { ...run, attended: false }),
  })
  t.teardown(() => watch.close())
  const failures = () => lines.filter(({ msg }) => msg === 'a certificate was not renewed')
  await until(
    () => failures().length > 0,
    'a line',
    () => JSON.stringify(lines),
  )
  t.match(failures(), [{ level: 50, name: 'web', names: ['web.example.test'], hint: /soakp cert renew/, nextAttempt: String }])
  t.match(readRecord(certsDir, 'web')?.state, { attempts: 1, lastError: { type: 'dns_provider_failed' } })
})
