import { sumModelTokens } from '../../lib/model-tokens.js'
import { geminiDialect } from '../dialect-gemini.js'
import { openaiDialect } from '../dialect-openai.js'
import { extraCounts, type Usage, type UsageUnit } from '../provider.js'
import { sumParts } from '../samplings.js'
import { noUsage, object, unitsOf } from '../usage.js'
import type { SocketReader } from './socket.js'

/** Two counts of different things, one after the other. Units are added where they are of one kind. */
export function sumUsage(a: Usage | undefined, b: Usage | undefined): Usage | undefined {
  if (a === undefined || b === undefined) return a ?? b
  const unit = a.unit ?? b.unit
  return {
    ...sumModelTokens(a, b),
    ...sumOfExtras(a, b),
    ...(unit === undefined
      ? {}
      : { unit, units: (a.unit === unit ? (a.units ?? 0) : 0) + (b.unit === undefined || b.unit === unit ? (b.units ?? 0) : 0) }),
  }
}

function sumOfExtras(a: Usage, b: Usage): Partial<Usage> {
  const sums = extraCounts.flatMap(name =>
    a[name] === undefined && b[name] === undefined ? [] : [[name, (a[name] ?? 0) + (b[name] ?? 0)]],
  )
  const tier = b.tier ?? a.tier
  const parts = a.parts && b.parts ? sumParts(a.parts, b.parts) : (a.parts ?? b.parts)
  return { ...Object.fromEntries(sums), ...(tier === undefined ? {} : { tier }), ...(parts === undefined ? {} : { parts }) }
}

/** So many of a unit and nothing else. */
export function onlyUnits(unit: UsageUnit, value: unknown): Usage | undefined {
  const known = unitsOf(unit, value)
  return known === undefined ? undefined : { ...noUsage, ...known }
}

const responseEnds = /^response\.(?:done|completed|incomplete|failed)$/
const transcriptEnds = /transcription\.completed$|^transcript\.text\.done$/

/**
 * OpenAI's Realtime API and Responses over a socket, and who speaks like them: each response states its own usage once, in its last event, and so does each
 * transcription of what was said, in model tokens or in seconds (https://platform.openai.com/docs/api-reference/realtime-server-events).
 */
export const openaiReader = (): SocketReader => (message, total) => {
  const event = object(message)
  const type = typeof event?.type === 'string' ? event.type : ''
  if (responseEnds.test(type)) return sumUsage(total, openaiDialect.readUsage({ usage: object(event?.response)?.usage }, undefined))
  if (!transcriptEnds.test(type)) return total
  const usage = object(event?.usage)
  if (usage?.type === 'duration') return sumUsage(total, onlyUnits('audioSeconds', usage.seconds))
  return sumUsage(total, openaiDialect.readUsage({ usage }, undefined))
}

/**
 * Gemini's Live API states the counts of a turn, while it goes on (each overlays the one before) and at its end, which may come before the last counts
 * (https://ai.google.dev/api/live).
 */
export function geminiReader(): SocketReader {
  let before: Usage | undefined
  let turn: Usage | undefined
  let isOver = false
  return (message, total) => {
    const event = object(message)
    const content = object(event?.serverContent)
    if (isOver && object(content?.modelTurn)) {
      before = sumUsage(before, turn)
      turn = undefined
      isOver = false
    }
    if (content?.turnComplete === true || content?.interrupted === true) isOver = true
    const counts = object(event?.usageMetadata) && geminiDialect.readUsage(message, turn)
    if (!counts) return total
    turn = counts
    return sumUsage(before, turn)
  }
}

/** Deepgram says at the end how much audio it heard (`Metadata`, https://developers.deepgram.com/reference/speech-to-text/listen-streaming). Each channel is billed. */
export const deepgramReader = (): SocketReader => (message, total) => {
  const event = object(message)
  if (event?.type !== 'Metadata' || typeof event.duration !== 'number') return total
  const channels = typeof event.channels === 'number' && event.channels > 0 ? event.channels : 1
  return onlyUnits('audioSeconds', event.duration * channels) ?? total
}

/** AssemblyAI says it in `Termination` (https://www.assemblyai.com/docs/api-reference/streaming-api/streaming-api). */
export const assemblyaiReader = (): SocketReader => (message, total) => {
  const event = object(message)
  if (event?.type !== 'Termination') return total
  return onlyUnits('audioSeconds', event.audio_duration_seconds ?? event.session_duration_seconds) ?? total
}
