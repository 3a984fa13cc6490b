import { SoakpError } from '../errors.js'
import type { Soakp } from '../soakp.js'

/** Whether calls can be written down: throws what keeps them from it. */
export async function checkStore({ store, ledger, tally }: Pick<Soakp, 'store' | 'ledger' | 'tally'>): Promise<void> {
  if (!ledger.healthy) throw new SoakpError('store_unavailable')
  try {
    await store.probe()
  } catch (error) {
    tally.failStore('probe')
    throw error
  }
}
