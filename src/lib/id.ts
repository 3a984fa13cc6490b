import { randomFillSync } from 'node:crypto'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const length = 22
const pool = Buffer.alloc(4096)
let next = pool.length

export type IdPrefix = 'key' | 'grt' | 'app' | 'adm' | 'call' | 'tok' | 'inst'

/** `prefix_` and 22 base62 characters drawn evenly: 131 random bits. */
export function newId(prefix: IdPrefix): string {
  let id = `${prefix}_`
  for (let drawn = 0; drawn < length; ) {
    if (next === pool.length) {
      randomFillSync(pool)
      next = 0
    }
    const byte = pool[next++] as number
    // 248 is the largest multiple of 62 in a byte: above it, some characters would come more often
    if (byte < 248) {
      id += alphabet[byte % 62]
      drawn++
    }
  }
  return id
}

const shape = /^[a-z]{3,4}_[0-9A-Za-z]{22}$/

/** Whether `id` could have come from `newId(prefix)`. */
export function isId(prefix: IdPrefix, id: string): boolean {
  return id.startsWith(`${prefix}_`) && shape.test(id)
}
