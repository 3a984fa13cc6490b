const quote = 0x22
/** Longer texts are passed over by a search of the machine's own, which costs more to begin than these do to look through. */
const nearBytes = 64
const hidden = Buffer.from('\\u')

/** Whether one of some names stands in a JSON document, whatever it means there; or an escape, which may hide one. Costs about a microsecond for a few kilobytes, most of all where most of it is one long text. */
export class NameSearch {
  /** By their first byte, with the quote that ends them. */
  readonly #names: (readonly Buffer[] | undefined)[] = new Array(256).fill(undefined)
  readonly isEmpty: boolean

  /** `names`: of ASCII letters. */
  constructor(names: readonly string[]) {
    this.isEmpty = names.length === 0
    for (const name of new Set(names)) {
      const bytes = Buffer.from(`${name}"`)
      const first = bytes[0] as number
      this.#names[first] = [...(this.#names[first] ?? []), bytes]
    }
  }

  mayStandIn(json: Buffer): boolean {
    if (this.isEmpty) return false
    for (let at = json.indexOf(quote); at >= 0; at = nextQuote(json, at + 1)) {
      const names = this.#names[json[at + 1] ?? 0]
      if (names === undefined) continue
      for (const name of names) if (standsAt(json, at + 1, name)) return true
    }
    return json.includes(hidden)
  }
}

function nextQuote(json: Buffer, from: number): number {
  const near = Math.min(json.length, from + nearBytes)
  for (let at = from; at < near; at++) if (json[at] === quote) return at
  return near < json.length ? json.indexOf(quote, near) : -1
}

function standsAt(json: Buffer, at: number, name: Buffer): boolean {
  for (let index = 0; index < name.length; index++) if (json[at + index] !== name[index]) return false
  return true
}
