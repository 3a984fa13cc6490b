import t from 'tap'
import { stores } from '../../src/stores/index.js'
import { batchContract } from '../contracts/batches.js'
import { sliceContract } from '../contracts/slices.js'
import { storeContract } from '../contracts/store.js'

for (const kind of stores) {
  storeContract(t, kind)
  sliceContract(t, kind)
  batchContract(t, kind)
}
