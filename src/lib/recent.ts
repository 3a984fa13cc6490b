const slots = 256
const tail = 8

/**
 * Remembers what belongs to the texts that were asked for last, in front of a larger map: a long text that comes anew with every call has to be hashed whole for a map, while two
 * texts that are equal are told so by one comparison. Which slot a text has is told by its end, so it suits texts that end in something random, such as tokens.
 */
export class Recent<V> {
  readonly #texts: (string | undefined)[] = new Array(slots)
  readonly #values: (V | undefined)[] = new Array(slots)

  get(text: string): V | undefined {
    const slot = slotOf(text)
    return this.#texts[slot] === text ? this.#values[slot] : undefined
  }

  set(text: string, value: V): void {
    const slot = slotOf(text)
    this.#texts[slot] = text
    this.#values[slot] = value
  }
}

function slotOf(text: string): number {
  let slot = 0
  for (let at = Math.max(0, text.length - tail); at < text.length; at++) slot = (slot * 31 + text.charCodeAt(at)) & (slots - 1)
  return slot
}
