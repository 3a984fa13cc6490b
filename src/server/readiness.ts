import type { Soakp } from '../soakp.js'

/** Whether calls can be taken: throws what keeps them from it. What they go on without does not. */
export async function checkStore({ store, outage, ledger, tally }: Pick<Soakp, 'store' | 'outage' | 'ledger' | 'tally'>): Promise<void> {
  if (!ledger.healthy) throw outage.refusal
  // each try of a store that fails is one too many, and whether it is back is found out anyway
  if (outage.isOn) return
  try {
    await store.probe()
  } catch (error) {
    tally.failStore('probe')
    outage.begin(error)
    if (!outage.goesOn) throw error
  }
}
