import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Forms in which a secret could lie somewhere, and every part of it of 12 bytes. */
export interface Canary {
  readonly name: string
  readonly needles: readonly Buffer[]
}

const part = 12

/** A secret of text: as it is, by parts, and in the encodings that software likes. */
export function textCanary(name: string, secret: string): Canary {
  return { name, needles: [...windows(Buffer.from(secret)), ...encodings(Buffer.from(secret))] }
}

/** A secret of bytes: as it is, by parts, and in the encodings that software likes. */
export function byteCanary(name: string, secret: Uint8Array): Canary {
  return { name, needles: [...windows(Buffer.from(secret)), ...encodings(Buffer.from(secret))] }
}

function windows(secret: Buffer): Buffer[] {
  return Array.from({ length: secret.length - part + 1 }, (_, at) => secret.subarray(at, at + part))
}

function encodings(secret: Buffer): Buffer[] {
  const forms = new Set<string>()
  // where the secret stands in a longer text decides how base64 cuts it
  for (const offset of [0, 1, 2]) {
    const text = Buffer.concat([Buffer.alloc(offset), secret]).toString('base64')
    const stable = text.slice(offset === 0 ? 0 : 4, text.length - 4)
    for (const form of [stable, stable.replaceAll('+', '-').replaceAll('/', '_')]) {
      forms.add(form)
      forms.add(form.slice(0, 24))
    }
  }
  const hex = secret.toString('hex')
  for (const form of [hex, hex.toUpperCase()]) {
    forms.add(form)
    forms.add(form.slice(0, 24))
    forms.add(form.slice(-24))
  }
  const pairs = hex.match(/../g) ?? []
  forms.add(pairs.map(pair => `%${pair}`).join(''))
  forms.add(pairs.map(pair => `%${pair.toUpperCase()}`).join(''))
  forms.add(pairs.map(pair => `\\u00${pair}`).join(''))
  forms.add([...secret].join(','))
  forms.add(encodeURIComponent(secret.toString('latin1')))
  return [...forms].filter(form => form.length >= part).map(form => Buffer.from(form))
}

/** Names of the canaries found in the bytes, each with the first form found. One pass, whatever the number of forms. */
export function find(canaries: readonly Canary[], haystack: Buffer): string[] {
  const byStart = new Map<number, { readonly name: string; readonly needle: Buffer }[]>()
  for (const { name, needles } of canaries) {
    for (const needle of needles) {
      const start = needle.readUInt16LE(0)
      byStart.set(start, [...(byStart.get(start) ?? []), { name, needle }])
    }
  }
  const starts = new Uint8Array(65_536)
  for (const start of byStart.keys()) starts[start] = 1
  const found = new Map<string, string>()
  for (let at = 0; at + 1 < haystack.length; at++) {
    const start = (haystack[at] as number) | ((haystack[at + 1] as number) << 8)
    if (starts[start] === 0) continue
    for (const { name, needle } of byStart.get(start) ?? []) {
      if (!found.has(name) && haystack.compare(needle, 0, needle.length, at, Math.min(at + needle.length, haystack.length)) === 0) {
        found.set(name, `${needle.toString('latin1')} at ${at}`)
      }
    }
  }
  return [...found].map(([name, form]) => `${name}: ${form}`)
}

/** Every file below a folder. */
export function filesIn(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .map(name => join(dir, name))
    .filter(file => statSync(file).isFile())
}

export function findInFiles(canaries: readonly Canary[], files: readonly string[]): string[] {
  return files.flatMap(file => find(canaries, readFileSync(file)).map(found => `${file}: ${found}`))
}
