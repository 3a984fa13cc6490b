// Counts test cases in what tap prints: the `t.test` blocks one level inside each file. An assertion outside of them counts when it fails; those that pass
// make one test case of a file that has no others.

const result = /^(not )?ok \d+(?: - (.*))?$/

/**
 * Feeds on lines; calls `onFile` with `{ name, passed, failed, skipped: [{ name, why }], lines }` as soon as a file is complete. `lines` is what
 * tap said about its failures.
 */
export function countTap(onFile) {
  let file
  let block = []
  let complaining = false
  let inSubtest = false
  let bare = 0

  const finish = () => {
    if (file === undefined) return
    const { done, ...counted } = file
    if (bare > 0 && counted.passed + counted.failed === 0) counted.passed = 1
    // begun and never ended: the run itself was cut short
    if (!done) counted.failed++
    file = undefined
    onFile(counted)
  }

  const begin = name => {
    finish()
    file = { name, passed: 0, failed: 0, skipped: [], lines: [], done: false }
    block = []
    complaining = false
    inSubtest = false
    bare = 0
  }

  const count = (bad, title) => {
    const { name, directive, why } = split(title)
    if (directive === 'SKIP' || directive === 'TODO')
      file.skipped.push({ name: `${file.name}: ${name}`, why: why || directive.toLowerCase() })
    else if (bad) file.failed++
    else if (inSubtest || title.endsWith('{')) file.passed++
    else bare++
    inSubtest = false
    complaining = bad && directive === undefined
    if (complaining) file.lines.push(...block.filter(line => !/^ {8,}ok \d/.test(line)))
    block = []
  }

  const outer = line => {
    const begins = /^# Subtest: (.*)$/.exec(line)
    if (begins) return begin(unmask(begins[1]))
    const match = result.exec(line)
    if (match) {
      const { name, directive, why } = split(match[2] ?? '')
      if (file?.name !== name) begin(name)
      file.done = true
      if (directive === 'SKIP') file.skipped.push({ name, why })
      // it died without a failing test to show for it, or the plan was not kept
      else if (match[1] && file.failed === 0) {
        file.failed++
        file.lines.push(...block, line)
        complaining = true
        return
      }
      return match[1] ? undefined : finish()
    }
    if (complaining && file && line.trim() !== '') file.lines.push(line)
  }

  return {
    line(line) {
      if (!line.startsWith('    ')) return outer(line)
      if (file === undefined || file.done) {
        if (complaining && file) file.lines.push(line)
        return
      }
      const match = result.exec(line.slice(4))
      if (match) {
        block.push(line)
        return count(match[1] !== undefined, match[2] ?? '')
      }
      if (line.startsWith('    # Subtest: ')) {
        complaining = false
        inSubtest = true
      }
      if (complaining) file.lines.push(line)
      else block.push(line)
    },
    end: finish,
  }
}

/** `name # SKIP why`, `name # time=3ms`; a `#` that belongs to the name is written `\#`. */
function split(text) {
  const at = text.search(/(?<!\\) # /)
  const name = unmask(at === -1 ? text : text.slice(0, at)).replace(/ \{$/, '')
  const [, directive, why = ''] = /(?<!\\) # (SKIP|TODO)\b ?(.*)$/i.exec(text) ?? []
  return { name, directive: directive?.toUpperCase(), why: unmask(why.replace(/(?<!\\) # time=.*$/, '')) }
}

function unmask(text) {
  return text.replace(/\\([#\\])/g, '$1')
}
