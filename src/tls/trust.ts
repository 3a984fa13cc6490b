/** Where a certificate authority can be made known. `node` and `curl` trust it for one program only; the others for this user or machine. */
export const trustPlaces = ['macos', 'windows', 'debian', 'fedora', 'firefox', 'node', 'curl', 'python'] as const
export type TrustPlace = (typeof trustPlaces)[number]

export interface TrustInstruction {
  readonly place: TrustPlace
  /** For whom it is, as a heading. */
  readonly title: string
  /** Commands to type, or steps to take, in order. */
  readonly steps: readonly string[]
}

/** An argument as a POSIX shell takes it. */
function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

type Row = Omit<TrustInstruction, 'place' | 'steps'> & { readonly steps: (caFile: string) => readonly string[] }

const rows: Readonly<Record<TrustPlace, Row>> = {
  macos: {
    title: 'macOS (Safari, Chrome, curl)',
    steps: file => [`security add-trusted-cert -r trustRoot -p ssl -k ~/Library/Keychains/login.keychain-db ${quote(file)}`],
  },
  windows: {
    title: 'Windows (Edge, Chrome), for this user',
    steps: file => [`certutil -user -addstore Root "${file}"`],
  },
  debian: {
    title: 'Debian, Ubuntu',
    steps: file => [`sudo cp ${quote(file)} /usr/local/share/ca-certificates/soakp-local-ca.crt`, 'sudo update-ca-certificates'],
  },
  fedora: {
    title: 'Fedora, RHEL',
    steps: file => [`sudo cp ${quote(file)} /etc/pki/ca-trust/source/anchors/soakp-local-ca.pem`, 'sudo update-ca-trust'],
  },
  firefox: {
    title: 'Firefox, where it does not follow the system',
    steps: file => [
      `Settings > Privacy & Security > Certificates > View Certificates > Authorities > Import: ${file}`,
      'Tick "Trust this CA to identify websites".',
    ],
  },
  node: { title: 'Node.js programs', steps: file => [`export NODE_EXTRA_CA_CERTS=${quote(file)}`] },
  curl: { title: 'curl', steps: file => [`curl --cacert ${quote(file)} https://localhost:3033/healthz`] },
  python: {
    title: 'Python programs (httpx, requests)',
    steps: file => [`export SSL_CERT_FILE=${quote(file)} REQUESTS_CA_BUNDLE=${quote(file)}`],
  },
}

/** How to make a CA known in one place. */
export function trustInstruction(caFile: string, place: TrustPlace): TrustInstruction {
  const { title, steps } = rows[place]
  return { place, title, steps: steps(caFile) }
}

/** What to say on this platform: the system first, then programs that have a list of their own. `platform` is `process.platform`; unknown ones get everything for Linux. */
export function trustInstructions(caFile: string, platform: NodeJS.Platform): TrustInstruction[] {
  const system: Partial<Record<NodeJS.Platform, readonly TrustPlace[]>> = { darwin: ['macos'], win32: ['windows'] }
  return [...(system[platform] ?? ['debian', 'fedora']), 'firefox', 'node', 'python', 'curl'].map(place =>
    trustInstruction(caFile, place as TrustPlace),
  )
}
