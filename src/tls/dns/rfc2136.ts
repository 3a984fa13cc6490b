import { type DecodedPacket, decode } from 'dns-packet'
import { SoakpError } from '../../errors.js'
import type { Secret } from '../../lib/secret.js'
import type { DnsAccount, DnsContext, DnsProvider, TxtRecord, Zone } from './provider.js'
import { sign, type TsigKey, tsigAlgorithm, tsigAlgorithms, type Verdict, verify } from './query/tsig.js'
import { soaQuestion, updateMessage } from './query/update.js'
import { DnsSilence, exchangeTcp, plain, rcodeName, type ServerAddress, showServer } from './query/wire.js'
import { inZone, selfAndAbove } from './records/values.js'
import { readCredentialFile } from './settings.js'

const keyName = 'DNSUPDATE_TSIG_KEY'
const keySecret = 'DNSUPDATE_TSIG_SECRET'
const keyAlgorithm = 'DNSUPDATE_TSIG_ALGORITHM'
const keyFile = 'DNSUPDATE_TSIG_FILE'
const alias = (name: string) => [name.replace('DNSUPDATE', 'RFC2136')]

/** Any server that takes dynamic updates (RFC 2136), signed by TSIG: BIND, Knot, PowerDNS, Windows without GSS. */
export const rfc2136: DnsProvider = {
  id: 'rfc2136',
  title: 'DNS UPDATE (RFC 2136)',
  link: 'https://www.rfc-editor.org/rfc/rfc2136',
  aliases: ['dnsupdate', 'nsupdate', 'bind', 'ddns'],
  prefixes: ['DNSUPDATE', 'RFC2136'],
  settings: [
    {
      name: 'DNSUPDATE_NAMESERVER',
      aliases: alias('DNSUPDATE_NAMESERVER'),
      required: true,
      what: 'The primary name server of the zone, `HOST` or `HOST:PORT`; also a hidden one.',
    },
    { name: keyName, aliases: alias(keyName), what: 'The name of the TSIG key. Without a key, updates go unsigned.' },
    { name: keySecret, aliases: alias(keySecret), hidden: true, what: 'The secret of that key, in base64.' },
    {
      name: keyAlgorithm,
      aliases: alias(keyAlgorithm),
      byDefault: 'hmac-sha1',
      what: `Its algorithm: ${tsigAlgorithms.join(', ')}. \`tsig-keygen\` makes keys of hmac-sha256.`,
    },
    {
      name: keyFile,
      aliases: alias(keyFile),
      what: 'A file as `tsig-keygen` writes it, in place of name, secret and algorithm. It must belong to its user alone (`chmod 600`).',
    },
    {
      name: 'DNSUPDATE_ZONES',
      aliases: alias('DNSUPDATE_ZONES'),
      what: 'The zones, with commas between, where the server does not say itself which it serves.',
    },
    {
      name: 'DNSUPDATE_DNS_TIMEOUT',
      aliases: alias('DNSUPDATE_DNS_TIMEOUT'),
      byDefault: '10',
      what: 'Seconds that the server may take for an answer.',
    },
  ],
  capacity: 'set',
  ttl: { minSeconds: 0, defaultSeconds: 120 },
  propagation: { timeoutSeconds: 60, intervalSeconds: 2 },
  notes: [
    'Least privilege in BIND: `update-policy { grant KEYNAME zonesub TXT; };`, or for one name `grant KEYNAME name _acme-challenge.example.com. TXT;`.',
    'The clocks of both machines may differ by five minutes at most.',
    'Single records are added and removed, all of a zone in one message; other values at the name are left alone. GSS-TSIG (Kerberos) is not spoken.',
  ],
  open: context => {
    const server = serverOf(context)
    const seconds = Number(context.setting('DNSUPDATE_DNS_TIMEOUT'))
    if (!(seconds > 0 && seconds <= 600)) throw incomplete(context, 'DNSUPDATE_DNS_TIMEOUT', 'is no number of seconds')
    return account(context, server, keyOf(context), seconds * 1000)
  },
}

const incomplete = (context: DnsContext, name: string, why: string) =>
  new SoakpError('dns_settings_incomplete', `${context.named(name)} ${why}.`)

function serverOf(context: DnsContext): ServerAddress {
  const text = context.setting('DNSUPDATE_NAMESERVER') ?? ''
  const [, bracketed, name, port = '53'] = /^(?:\[([0-9a-f:.]+)\]|([^:\s]+))(?::(\d{1,5}))?$/i.exec(text) ?? []
  // an IPv6 address without brackets has colons of its own
  const host = bracketed ?? name ?? (/^[0-9a-f:.]+$/i.test(text) ? text : undefined)
  if (host === undefined) throw incomplete(context, 'DNSUPDATE_NAMESERVER', 'is neither HOST nor HOST:PORT')
  return { host, port: Number(port) }
}

function keyOf(context: DnsContext): TsigKey | undefined {
  const file = context.setting(keyFile)
  if (file !== undefined) return keyFrom(readCredentialFile(file, context.named(keyFile)), file)
  const name = context.setting(keyName)
  const secret = context.setting(keySecret)
  if (name === undefined && secret === undefined) return undefined
  if (name === undefined) throw incomplete(context, keyName, `is not set, but ${context.named(keySecret)} is`)
  if (secret === undefined) throw incomplete(context, keySecret, `is not set, but ${context.named(keyName)} is`)
  if (!/^[A-Za-z0-9+/\s]+=*\s*$/.test(secret)) throw incomplete(context, keySecret, 'is not base64')
  const algorithm = tsigAlgorithm(context.setting(keyAlgorithm) ?? '')
  if (algorithm === undefined) throw incomplete(context, keyAlgorithm, `is none of ${tsigAlgorithms.join(', ')}`)
  return { name: plain(name), secret: () => context.setting(keySecret) ?? '', algorithm }
}

/** The first key of a file in the form of BIND's configuration. */
function keyFrom(content: Secret, file: string): TsigKey {
  const [name, body] = firstKey(content.expose())
  const algorithm = tsigAlgorithm(/\balgorithm\s+"?([^\s";]+)"?\s*;/.exec(body)?.[1] ?? '')
  if (name === undefined || algorithm === undefined || secretIn(body) === undefined) {
    throw new SoakpError('dns_settings_incomplete', `${file} holds no key with algorithm and secret, as tsig-keygen writes it.`)
  }
  return { name: plain(name), algorithm, secret: () => secretIn(firstKey(content.expose())[1]) ?? '' }
}

/** Its name and what stands between the braces, without comments. Two slashes in quotes are no comment: base64 has them. */
function firstKey(text: string): [name: string | undefined, body: string] {
  const code = text.replace(/("[^"\n]*")|\/\*[\s\S]*?\*\/|(?:#|\/\/).*$/gm, '$1')
  const [, name, body = ''] = /\bkey\s+"?([^\s"{]+)"?\s*\{([^}]*)\}/.exec(code) ?? []
  return [name, body]
}

const secretIn = (body: string) => /\bsecret\s+"?([A-Za-z0-9+/=]+)"?\s*;/.exec(body)?.[1]

function account(context: DnsContext, server: ServerAddress, key: TsigKey | undefined, timeoutMs: number): DnsAccount {
  const where = `the server ${showServer(server)}`

  /** The reply, checked to be one to this message and, where there is a key, to be signed by it. */
  async function exchange(message: Buffer, what: string): Promise<Buffer> {
    const signed = key && sign(message, key, Math.floor(context.now() / 1000))
    const reply = await patiently(signed?.bytes ?? message)
    if (reply.length < 12 || reply.readUInt16BE(0) !== message.readUInt16BE(0))
      throw failed(`${where} answers with something that is no reply.`)
    const verdict = key && signed && verify(reply, key, signed.mac)
    if (verdict && verdict.error !== 0) throw explainTsig(verdict)
    const rcode = rcodeName(reply.readUInt16BE(2) & 15)
    if (key && !verdict?.verified && rcode === 'NOERROR') {
      throw failed(`${what}: the answer of ${where} is not signed by the key ${key.name}, so it may come from somebody else.`)
    }
    return reply
  }

  async function patiently(message: Buffer): Promise<Buffer> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await exchangeTcp(server, message, timeoutMs, context.signal)
      } catch (error) {
        if (!(error instanceof DnsSilence)) throw error
        if (context.signal.aborted) throw new SoakpError('cancelled')
        if (attempt === 2) throw failed(`${where} ${error.message}.`)
        await context.delay(1000)
      }
    }
  }

  const failed = (detail: string, hint?: string) => new SoakpError('dns_provider_failed', detail, hint === undefined ? {} : { hint })
  const refused = (names: readonly string[], detail: string) => {
    const given = context.setting(keyFile) === undefined ? names : [keyFile]
    return new SoakpError('dns_credentials_refused', `${context.named(...given)}: ${detail}`)
  }

  function explainTsig({ error, serverSeconds }: Verdict): SoakpError {
    if (error === 16 || error === 22)
      return refused(
        [keySecret],
        `${where} says that the signature is wrong (${error === 16 ? 'BADSIG' : 'BADTRUNC'}): the secret is not the one it has for ${key?.name}.`,
      )
    if (error === 17) return refused([keyName, keyAlgorithm], `${where} has no key ${key?.name} of ${key?.algorithm} (BADKEY).`)
    if (error !== 18) return failed(`${where} refuses the signature (TSIG error ${error}).`)
    const ours = Math.floor(context.now() / 1000)
    const by = serverSeconds === undefined ? 'more than five minutes' : `${Math.abs(serverSeconds - ours)} seconds`
    const way = serverSeconds === undefined ? 'differs from' : serverSeconds > ours ? 'is behind' : 'is ahead of'
    return failed(
      `The clock of this machine ${way} that of ${where} by ${by} (BADTIME).`,
      'set the clock right on the one that is wrong; both should ask time servers',
    )
  }

  async function update(kind: 'add' | 'remove', zone: Zone, records: readonly TxtRecord[]): Promise<void> {
    if (records.length === 0) return
    const reply = await exchange(updateMessage(zone.name, kind, records, context.ttlSeconds), `update of ${zone.name}`)
    const rcode = rcodeName(reply.readUInt16BE(2) & 15)
    if (rcode === 'NOERROR') return
    if (rcode === 'REFUSED') {
      const who = key === undefined ? 'an unsigned update' : `updates by the key ${key.name}`
      throw refused(
        [keyName],
        `${where} refuses ${who} of ${zone.name} (REFUSED): its allow-update or update-policy does not grant TXT at ${records[0]?.name}.`,
      )
    }
    if (rcode === 'NOTAUTH') throw failed(`${where} is not the primary of ${zone.name} (NOTAUTH).`)
    if (rcode === 'NOTZONE') throw failed(`${records.map(({ name }) => name).join(', ')} is not all in the zone ${zone.name} (NOTZONE).`)
    throw failed(`${where} answers the update of ${zone.name} with ${rcode}.`)
  }

  return {
    async zoneOf(name) {
      const listed = (context.setting('DNSUPDATE_ZONES') ?? '')
        .split(',')
        .map(zone => plain(zone.trim()))
        .filter(zone => zone !== '' && inZone(name, zone))
      const [longest] = listed.sort((a, b) => b.length - a.length)
      if (longest !== undefined) return { id: longest, name: longest }
      for (const candidate of selfAndAbove(name)) {
        const zone = zoneIn(await exchange(soaQuestion(candidate), `the zone of ${name}`), name)
        if (zone !== undefined) return { id: zone, name: zone }
      }
      throw new SoakpError('dns_zone_not_found', `${name}: ${where} serves no zone that holds it; it cannot be asked which it serves.`, {
        hint: `DNSUPDATE_ZONES names zones that it does not tell of`,
      })
    },
    add: (zone, records) => update('add', zone, records),
    remove: (zone, records) => update('remove', zone, records),
  }
}

/** The owner of the SOA record in an authoritative reply: where the name is or would be. */
function zoneIn(reply: Buffer, name: string): string | undefined {
  const packet = readable(reply)
  if (!packet?.flag_aa) return undefined
  const owners = [...(packet.answers ?? []), ...(packet.authorities ?? [])]
    .filter(({ type }) => type === 'SOA')
    .map(record => plain(record.name))
  return owners.find(owner => owner !== '' && inZone(name, owner))
}

function readable(reply: Buffer): DecodedPacket | undefined {
  try {
    return decode(reply)
  } catch {
    return undefined
  }
}
