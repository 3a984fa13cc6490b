import type { Challenge, Solver } from '../../../src/tls/acme/challenge.js'
import { type Bind, nsupdate } from './bind.js'

/** What a solver did, for tests that look at the order of things. */
export interface TracingSolver extends Solver {
  /** `prepare NAMES`, `clean NAMES`. */
  readonly trace: string[]
}

export interface NsupdateOptions {
  /** Groups of one: as with a provider that keeps one value at a name. */
  readonly oneByOne?: boolean
  /** Writes another value than was asked for. */
  readonly wrong?: boolean
}

/** The smallest DNS-01 solver: the real nsupdate, against the zones of the bed, no waiting and no journal. The engine is tested with it, not DNS providers. */
export function nsupdateSolver({ keyFile, port }: Pick<Bind, 'keyFile' | 'port'>, options: NsupdateOptions = {}): TracingSolver {
  const trace: string[] = []
  const send = (word: string, ttl: string, challenges: readonly Challenge[]) =>
    nsupdate(keyFile, '127.0.0.1', port, [
      ...challenges.flatMap(each => {
        const value = options.wrong ? 'x'.repeat(43) : each.txtValue
        const { name, zone } = placeOf(each.identifier)
        return [`zone ${zone}`, `update ${word} ${name} ${ttl} TXT "${value}"`, 'send']
      }),
    ])
  const note = (what: string, challenges: readonly Challenge[]) =>
    void trace.push(`${what} ${challenges.map(each => (each.wildcard ? `*.${each.identifier}` : each.identifier)).join(' ')}`)
  return {
    type: 'dns-01',
    trace,
    plan: async challenges => (options.oneByOne ? challenges.map(each => [each]) : [challenges]),
    async prepare(challenges) {
      note('prepare', challenges)
      await send('add', '60', challenges)
    },
    async cleanUp(challenges) {
      note('clean', challenges)
      await send('delete', '', challenges)
    },
  }
}

function placeOf(identifier: string): { readonly name: string; readonly zone: string } {
  if (identifier === 'aliased.example.test') return { name: 'aliased.delegate.test', zone: 'delegate.test' }
  const zone = ['sub.example.test', 'example.test', 'delegate.test'].find(each => identifier === each || identifier.endsWith(`.${each}`))
  return { name: `_acme-challenge.${identifier}`, zone: zone ?? 'example.test' }
}
