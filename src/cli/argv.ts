import { SoakpError } from '../errors.js'

/** Beginnings that providers, and we, give to credentials, followed by enough to be one. */
const form = String.raw`(?:(?:sk|pk|rk|xai|pplx|csk|nvapi|tgp|jina)[-_]|(?:gsk|hf|r8)_|AIza|AQ\.|eyJ)[-_A-Za-z0-9.]{16,}`
const alone = new RegExp(`(?:^|=)${form}`)
const within = new RegExp(String.raw`(?<![\w-])${form}`, 'g')

/** Whether an argument, or the value of a flag in it, looks like a credential. */
export function looksSecret(value: string): boolean {
  return alone.test(value)
}

/** A text with whatever looks like a credential left out. */
export function withoutSecrets(text: string): string {
  return text.replace(within, '[not shown]')
}

/** An argument as a message may show it: an id or a plain word, or nothing of it. */
export function shown(value: string): string {
  if (/^[a-z]{3}_[0-9A-Za-z]{22}$/.test(value) && !/^(adm|app)_/.test(value)) return `'${value}'`
  const word = value.split('=', 1)[0] ?? ''
  return /^[-\w./:]{1,24}$/.test(word) && !/^(sk|gsk|xai)[-_]/.test(word) ? `'${word}'` : 'given'
}

/** Throws `usage` when a credential stands on the command line, where the shell's history and `ps` have it. */
export function refuseSecrets(argv: readonly string[]): void {
  if (argv.some(looksSecret)) throw secretInArgv()
}

export function secretInArgv(): SoakpError {
  return new SoakpError('usage', 'What looks like a key or a token stands on the command line, where the shell history and `ps` show it.', {
    hint: 'give it by the hidden prompt, --stdin or --from-env VAR, and consider the one you typed exposed',
  })
}
