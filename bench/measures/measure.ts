import { setTimeout as delay } from 'node:timers/promises'
import type { Contender, Running, Target } from '../contenders/contender.js'
import type { ContenderName, Options } from '../options.js'
import type { Place } from '../place.js'

/** One number of one contender in one round. */
export interface Sample {
  /** The row it belongs to, such as `50 connections`. */
  readonly row: string
  /** The column, with its unit. */
  readonly metric: string
  readonly contender: ContenderName
  readonly round: number
  readonly value: number
}

export interface Bench {
  readonly options: Options
  readonly place: Place
  readonly contenders: readonly Contender[]
  /** The same contenders, serving. */
  readonly running: readonly Running[]
  /** The upstream itself, without anything in between. */
  readonly direct: Target
  /** Tells the person at the terminal what is going on. */
  say(text: string): void
}

export interface Measure {
  readonly title: string
  /** What the numbers are, in a sentence. */
  readonly about: string
  run(bench: Bench): Promise<Sample[]>
}

const tries = 4

/** Repeats what failed a few times: soakp sheds load when its event loop is late, and on a busy machine it may be late without fault. What is repeated is said. */
export async function patiently<T>(bench: Bench, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (attempt === tries) throw error
      bench.say(`once more: ${error instanceof Error ? error.message : error}`)
      await delay(1500)
    }
  }
}
