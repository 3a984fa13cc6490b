import type { ChildProcess } from 'node:child_process'
import type { ContenderName, MeasureName } from '../options.js'
import type { Place } from '../place.js'

/** Where calls go and what they show. */
export interface Target {
  readonly origin: string
  /** Origin of the same service for HTTP/2. */
  readonly http2Origin: string
  readonly authorization: string
  /** PEM that clients trust; undefined for plain text. */
  readonly cert: string | undefined
  /** Where it differs from everyone else's. */
  readonly path?: string
  /** Beside those that everyone is sent. */
  readonly headers?: Readonly<Record<string, string>>
}

export interface Running extends Target {
  readonly name: ContenderName
  readonly child: ChildProcess
  readonly pid: number
}

export interface StartOptions {
  /** Flags for Node, where the contender is a Node program. */
  readonly nodeFlags: readonly string[]
}

export interface Contender {
  readonly name: ContenderName
  /** A Node program: it takes flags, can be profiled and can be told to collect garbage. */
  readonly node: boolean
  /** With more connections it does not answer every call in time; its cells stay empty there. */
  readonly mostConnections?: number
  /** What can be measured of it; everything unless told. */
  readonly measures?: readonly MeasureName[]
  /** What has to be on the machine for it, with the Debian package to install; empty when all is there. */
  missing(): string[]
  start(place: Place, options: StartOptions): Promise<Running>
}

/** As long as an access token of soakp, so that all contenders read heads of one size. */
export const dummyAuthorization = `Bearer ${'x'.repeat(330)}`

export function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error('a contender could not be started')
  return child.pid
}
