import { createHash, randomFillSync } from 'node:crypto'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const length = 22
const pool = Buffer.alloc(4096)
let next = pool.length

export type IdPrefix = 'key' | 'grt' | 'app' | 'adm' | 'call' | 'tok' | 'inst' | 'iss'

/** `prefix_` and 22 base62 characters drawn evenly: 131 random bits. */
export function newId(prefix: IdPrefix): string {
  return `${prefix}_${randomBase62(length)}`
}

/** Characters drawn evenly; 43 of them are 256 random bits. */
export function randomBase62(count: number): string {
  let id = ''
  for (let drawn = 0; drawn < count; ) {
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

/** An id that is the same for the same parts, and for no others: 131 bits of their SHA-256. */
export function derivedId(prefix: IdPrefix, parts: readonly string[]): string {
  // JSON keeps apart what lies in different parts
  let number = BigInt(`0x${createHash('sha256').update(JSON.stringify(parts)).digest('hex')}`)
  let id = ''
  for (let drawn = 0; drawn < length; drawn++) {
    id += alphabet[Number(number % 62n)]
    number /= 62n
  }
  return `${prefix}_${id}`
}

const shape = /^[a-z]{3,4}_[0-9A-Za-z]{22}$/

/** Whether `id` could have come from `newId(prefix)`. */
export function isId(prefix: IdPrefix, id: string): boolean {
  return id.startsWith(`${prefix}_`) && shape.test(id)
}
