/** A value now or later. The relay does not await what is there already: a promise costs more than most stages do. */
export type MaybePromise<T> = T | Promise<T>

export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return value instanceof Promise
}
