import { SoakpError } from '../../errors.js'

/** One line of `soakp doctor`. */
export interface Finding {
  readonly check: string
  readonly state: 'ok' | 'warn' | 'fail'
  readonly text: string
  /** What to do about it. */
  readonly todo?: string
}

export function ok(check: string, text: string): Finding {
  return { check, state: 'ok', text }
}

export function warn(check: string, text: string, todo: string): Finding {
  return { check, state: 'warn', text, todo }
}

export function fail(check: string, text: string, todo: string): Finding {
  return { check, state: 'fail', text, todo }
}

export function faultOf(check: string, error: unknown): Finding {
  if (!(error instanceof SoakpError))
    return fail(check, 'cannot be looked at: something went wrong inside soakp', 'SOAKP_LOG_LEVEL=debug shows more')
  return { check, state: 'fail', text: error.message, ...(error.hint !== undefined && { todo: error.hint }) }
}
