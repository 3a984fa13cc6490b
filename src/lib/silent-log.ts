import type { Logger } from 'pino'

/** For those who gave no log. Loaded when it is needed: most commands write none. */
export async function silentLog(): Promise<Logger> {
  const { pino } = await import('pino')
  return pino({ level: 'silent' })
}
