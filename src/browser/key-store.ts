import { type KeyPair, newKeyPair } from './proof.js'

/** As much of IndexedDB as is used: keys go in and come out as objects of the browser, never as bytes. */
interface Asked<T> {
  result: T
  error: unknown
  onsuccess: (() => void) | null
  onerror: (() => void) | null
}
interface Keys {
  get(name: string): Asked<KeyPair | undefined>
  put(value: KeyPair, name: string): Asked<unknown>
  delete(name: string): Asked<unknown>
}
interface Database {
  createObjectStore(name: string): unknown
  transaction(name: string, mode: 'readwrite'): { objectStore(name: string): Keys }
  close(): void
}
interface Factory {
  open(name: string, version: number): Asked<Database> & { onupgradeneeded: (() => void) | null; onblocked: (() => void) | null }
}

const database = 'soakp'
const table = 'keys'

function answer<T>(asked: Asked<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result)
    asked.onerror = () => reject(asked.error)
  })
}

async function withKeys<T>(work: (keys: Keys) => Promise<T>): Promise<T> {
  const { indexedDB } = globalThis as { indexedDB?: Factory }
  if (indexedDB === undefined) throw new Error('there is no IndexedDB here')
  const opening = indexedDB.open(database, 1)
  opening.onupgradeneeded = () => void opening.result.createObjectStore(table)
  const opened = await answer(opening)
  try {
    return await work(opened.transaction(table, 'readwrite').objectStore(table))
  } finally {
    opened.close()
  }
}

/** The key of that name, which every tab of this origin shares; where nothing can be kept (private windows), one that lasts as long as the page. */
export async function keptKeyPair(name: string): Promise<KeyPair> {
  const made = await newKeyPair()
  try {
    return await withKeys(async keys => {
      // in one transaction, so that two tabs do not make two
      const found = await answer(keys.get(name))
      if (found !== undefined) return found
      await answer(keys.put(made, name))
      return made
    })
  } catch {
    return made
  }
}

export async function forgetKeyPair(name: string): Promise<void> {
  await withKeys(keys => answer(keys.delete(name))).catch(() => {})
}
