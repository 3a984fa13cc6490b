/** What a member of a bag carries: where it lies. */
export interface BagMember {
  /** Set by the bag; -1 outside of one. */
  bagIndex: number
}

/**
 * A set of short-lived objects, for adding and removing at every call. Unlike a `Set`, whose tables are replaced as members come and go and, once old, keep all they ever held
 * from being collected young, it reuses one array.
 */
export class Bag<T extends BagMember> {
  readonly #members: (T | undefined)[] = []
  #size = 0

  add(member: T): void {
    member.bagIndex = this.#size
    this.#members[this.#size++] = member
  }

  /** Harmless for one that is not in it. */
  delete(member: T): void {
    const { bagIndex } = member
    if (bagIndex < 0 || this.#members[bagIndex] !== member) return
    const last = this.#members[--this.#size] as T
    last.bagIndex = bagIndex
    this.#members[bagIndex] = last
    this.#members[this.#size] = undefined
    member.bagIndex = -1
  }

  get size(): number {
    return this.#size
  }

  /** A copy, so that members may leave while it is walked. */
  toArray(): T[] {
    return this.#members.slice(0, this.#size) as T[]
  }
}
