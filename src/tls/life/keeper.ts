import { readFileSync } from 'node:fs'
import { SoakpError } from '../../errors.js'
import { certId } from '../acme/ari.js'
import { type Authority, authorityOf } from '../acme/authorities.js'
import { caaLookup } from '../acme/caa-lookup.js'
import type { Solver } from '../acme/challenge.js'
import { externalAccount, readHmacKeyFile } from '../acme/eab.js'
import { http01Solver } from '../acme/http01.js'
import { type AuthorityChoice, type Obtained, obtain } from '../acme/obtain.js'
import { pause, type Run } from '../acme/patience.js'
import type { Transport } from '../acme/transport.js'
import { dnsProvider, dnsSolver, openDnsAccount } from '../dns/index.js'
import { type DnsOptions, openView } from '../dns/options.js'
import { installBundle } from '../lineage.js'
import { bundleOf, fingerprintOf, liveCertificate } from './live.js'
import { type CertificateRecord, type CertificateWishes, writeRecord } from './record.js'

/** What the keeping of certificates gets from outside. */
export interface KeeperDeps {
  readonly certsDir: string
  readonly transport: Transport
  readonly run: Run
  readonly dns: DnsOptions
  /** Somebody is there who can do what a provider asks of a person. */
  readonly attended: boolean
}

/** Orders what is wished, and puts nothing anywhere. The caller holds the lock. */
export async function order(
  deps: KeeperDeps,
  record: CertificateRecord,
  authorities: readonly Authority[],
  certsDir: string,
): Promise<Obtained> {
  const { run, transport } = deps
  const { wishes, name, state } = record
  const live = liveCertificate(deps.certsDir, name)
  const { issuedBy, revoked } = state
  const compromised = revoked?.reason === 'key-compromise' && revoked.fingerprint === live?.fingerprint
  const id = live !== undefined && issuedBy?.fingerprint === live.fingerprint ? certId(live.fullchain) : undefined
  const opened = await openSolver(deps, wishes)
  try {
    const caa = caaLookup(await openView(dnsOptionsOf(deps, wishes), run.signal))
    return await obtain(
      { certsDir, transport, run, caa },
      choicesOf(wishes, authorities),
      {
        name,
        names: wishes.names,
        keyType: wishes.keyType,
        reuseKey: wishes.reuseKey && live !== undefined && !compromised ? readFileSync(live.lineage.files.privkey) : undefined,
        profile: wishes.profile,
        replaces: id === undefined || issuedBy === undefined ? undefined : { certId: id, directoryUrl: issuedBy.directoryUrl },
        preferredChain: wishes.preferredChain,
      },
      opened.solver,
    )
  } finally {
    await opened.close()
  }
}

/**
 * Gets the certificate that a record wishes and puts it into service. Answers the record as it is then, with its deploy hooks still to be run. Whatever throws, the
 * certificate before is still in service. Killed at any moment, the next call goes on. The caller holds the lock.
 */
export async function issue(deps: KeeperDeps, record: CertificateRecord): Promise<CertificateRecord> {
  const { certsDir, run } = deps
  const before = liveCertificate(certsDir, record.name)
  if (before?.lineage.keptBy === 'other') {
    throw new SoakpError('file_exists', before.lineage.folder, {
      hint: 'Another program keeps this one; choose another name with --cert-name.',
    })
  }
  const obtained = await order(deps, record, record.wishes.authorities.map(authorityOf), certsDir)
  const { authority, profile, fullchain, key } = obtained
  const issuedBy = { directoryUrl: authority.directoryUrl, fingerprint: fingerprintOf(fullchain), profile }
  const nowMs = run.now()
  const state = { ...record.state, issuedBy, deployed: false }
  // known before the switch, so that hooks are not forgotten when the process ends right after it
  await writeRecord(certsDir, { ...record, state })
  installBundle(certsDir, record.name, bundleOf(fullchain, key), nowMs)
  const done: CertificateRecord = {
    ...record,
    state: {
      ...state,
      ari: undefined,
      attempts: 0,
      notBeforeMs: undefined,
      lastError: undefined,
      revoked: undefined,
      lastRenewalMs: nowMs,
    },
  }
  await writeRecord(certsDir, done)
  obtained.finished()
  return done
}

function choicesOf(wishes: CertificateWishes, authorities: readonly Authority[]): AuthorityChoice[] {
  const { email, agreesToTerms, externalAccount: eab } = wishes
  // credentials are those of one CA: the first that hands them out by hand
  const bound = authorities.find(({ binding }) => binding === 'by-hand') ?? authorities[0]
  return authorities.map(authority => ({
    authority,
    account: {
      email,
      agreesToTerms,
      ...(eab !== undefined && authority === bound ? { externalAccount: externalAccount(eab.kid, readHmacKeyFile(eab.hmacKeyFile)) } : {}),
    },
  }))
}

function dnsOptionsOf({ dns }: Pick<KeeperDeps, 'dns'>, { proof }: Pick<CertificateWishes, 'proof'>): DnsOptions {
  return proof.type === 'dns-01' && proof.resolvers.length > 0 ? { ...dns, dnsResolvers: proof.resolvers } : dns
}

async function openSolver(deps: KeeperDeps, wishes: CertificateWishes): Promise<{ readonly solver: Solver; close(): Promise<void> }> {
  const { proof } = wishes
  if (proof.type === 'http-01') return { solver: http01Solver({ port: proof.port }), close: async () => {} }
  const provider = dnsProvider(proof.provider)
  if (provider.byHand && !deps.attended) {
    throw new SoakpError('dns_provider_failed', `${provider.title}: a person has to make the record, and nobody is there.`, {
      hint: 'Run `soakp cert renew` at a terminal, or choose a DNS provider with an API: `soakp cert providers`.',
    })
  }
  checkProof(deps, wishes)
  const solver = dnsSolver(provider, dnsOptionsOf(deps, wishes))
  return { solver, close: () => solver.close() }
}

/** What is missing of a DNS provider's settings is told before anything is ordered or noted. Asks nobody. */
export function checkProof({ dns, run }: Pick<KeeperDeps, 'dns' | 'run'>, { proof }: Pick<CertificateWishes, 'proof'>): void {
  if (proof.type !== 'dns-01') return
  const { now, signal, tell } = run
  openDnsAccount(dnsProvider(proof.provider), { ...dns, now, signal, tell, delay: ms => pause(ms, signal) }).close()
}
