import { SoakpError } from '../../errors.js'

/** How an account at a CA is bound to one that its user has there already. */
export type Binding =
  /** Not asked for. */
  | 'none'
  /** The user gets a key id and an HMAC key from the CA's pages. */
  | 'by-hand'
  /** Handed out to whoever names an e-mail address. */
  | 'by-email'

/** A certificate authority that speaks ACME. */
export interface Authority {
  readonly id: string
  readonly title: string
  readonly directoryUrl: string
  readonly binding: Binding
  /** Names that CAA records call it by, where its directory does not say. */
  readonly caaIdentities: readonly string[]
  /** Certificates of it are believed by nobody: for rehearsals. */
  readonly isStaging?: true
  /** Where its account credentials are found, and what to know. */
  readonly link: string
}

const letsencrypt = { binding: 'none', caaIdentities: ['letsencrypt.org'], link: 'https://letsencrypt.org/docs/' } as const
const google = {
  binding: 'by-hand',
  caaIdentities: ['pki.goog'],
  link: 'https://cloud.google.com/certificate-manager/docs/public-ca-tutorial',
} as const
const sslcom = {
  binding: 'by-hand',
  caaIdentities: ['ssl.com'],
  link: 'https://www.ssl.com/how-to/generate-acme-credentials-for-reseller-customers/',
} as const

/** Directory URLs as each CA publishes them. Any other CA is named by its URL. */
export const authorities: readonly Authority[] = [
  { id: 'letsencrypt', title: "Let's Encrypt", directoryUrl: 'https://acme-v02.api.letsencrypt.org/directory', ...letsencrypt },
  {
    id: 'letsencrypt-staging',
    title: "Let's Encrypt (staging)",
    directoryUrl: 'https://acme-staging-v02.api.letsencrypt.org/directory',
    ...letsencrypt,
    isStaging: true,
  },
  {
    id: 'zerossl',
    title: 'ZeroSSL',
    directoryUrl: 'https://acme.zerossl.com/v2/DV90',
    binding: 'by-email',
    caaIdentities: ['sectigo.com', 'zerossl.com'],
    link: 'https://zerossl.com/documentation/acme/',
  },
  { id: 'google', title: 'Google Trust Services', directoryUrl: 'https://dv.acme-v02.api.pki.goog/directory', ...google },
  {
    id: 'google-staging',
    title: 'Google Trust Services (staging)',
    directoryUrl: 'https://dv.acme-v02.test-api.pki.goog/directory',
    ...google,
    isStaging: true,
  },
  { id: 'sslcom', title: 'SSL.com (ECDSA)', directoryUrl: 'https://acme.ssl.com/sslcom-dv-ecc', ...sslcom },
  { id: 'sslcom-rsa', title: 'SSL.com (RSA)', directoryUrl: 'https://acme.ssl.com/sslcom-dv-rsa', ...sslcom },
  {
    id: 'actalis',
    title: 'Actalis',
    directoryUrl: 'https://acme-api.actalis.com/acme/directory',
    binding: 'by-hand',
    caaIdentities: ['actalis.it'],
    link: 'https://guide.actalis.com/ssl/activation/acme',
  },
]

/** What no longer issues, so that nobody waits for it. */
const stopped: Readonly<Record<string, string>> = { buypass: 'Buypass issues no certificates since November 2025.' }

/** The CA of this name, or the one at this https URL. Throws `usage`. */
export function authorityOf(nameOrUrl: string): Authority {
  const found = authorities.find(each => each.id === nameOrUrl.toLowerCase() || each.directoryUrl === nameOrUrl)
  if (found !== undefined) return found
  const hint = `Known are ${authorities.map(each => each.id).join(', ')}, and the https URL of any ACME directory.`
  const gone = stopped[nameOrUrl.toLowerCase()]
  if (gone !== undefined) throw new SoakpError('usage', gone, { hint })
  if (!URL.canParse(nameOrUrl)) throw new SoakpError('usage', `There is no certificate authority named ${nameOrUrl}.`, { hint })
  const url = new URL(nameOrUrl)
  if (url.protocol !== 'https:' || url.username !== '' || url.password !== '') {
    throw new SoakpError('usage', 'An ACME directory is an https URL without a user name.', { hint })
  }
  return { id: url.href, title: url.host, directoryUrl: url.href, binding: 'by-hand', caaIdentities: [], link: url.origin }
}
