import { setTimeout as delay } from 'node:timers/promises'

/** Polls until `condition` holds; after `timeoutMs` (20 s) fails naming what was waited for and, by `state`, how far it came. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  state: () => unknown = () => '',
  timeoutMs = 20_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what} ${String(state())}`)
    await delay(5)
  }
}

/** Fails when `promise` is not settled within `timeoutMs`: a hang becomes a failure with a name. */
export async function within<T>(promise: Promise<T>, what: string, timeoutMs = 20_000): Promise<T> {
  const stop = new AbortController()
  try {
    return await Promise.race([
      promise,
      delay(timeoutMs, undefined, { signal: stop.signal }).then(() => {
        throw new Error(`${what} did not finish`)
      }),
    ])
  } finally {
    stop.abort()
  }
}

/** A promise and the way to fulfil it. */
export function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = () => {}
  const promise = new Promise<void>(fulfil => {
    resolve = fulfil
  })
  return { promise, resolve }
}
