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
