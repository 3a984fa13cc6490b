import type { Provider } from './provider.js'

type Row = Pick<Provider, 'id' | 'title' | 'origin' | 'dialect' | 'endpoints'> & Partial<Provider>

/** A row with what most have: a bearer key of any form, refused with 401, and no headers of its own. */
export function providerRow(row: Row): Provider {
  return {
    auth: { type: 'bearer' },
    keyHints: [],
    keyCheck: undefined,
    defaultHeaders: {},
    allowRequestHeaders: [],
    dropRequestHeaders: [],
    dropResponseHeaders: [],
    keyRefused: status => status === 401,
    ...row,
  }
}
