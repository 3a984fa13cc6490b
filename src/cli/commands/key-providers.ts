import { Command } from 'commander'
import type { Cli } from '../cli.js'
import { table } from '../format.js'

/** `soakp key providers`: what `key add` can be given without `--base-url`, and what to put into SDKs. Opens nothing. */
export function keyProviders(cli: Cli): Command {
  return new Command('providers').description('list the providers that are built in').action(async () => {
    const { providers } = await import('../../providers/index.js')
    const rows = providers.map(({ id, title, aliases = [], baseUrl, compatiblePath, messagesPath, unverified = [] }) => ({
      name: id,
      title,
      aliases,
      baseUrl: baseUrl?.required ? baseUrl.example : null,
      openaiPath: compatiblePath === undefined ? null : `/${id}${compatiblePath}`,
      anthropicPath: messagesPath === undefined ? null : `/${id}${messagesPath}`,
      unverified,
    }))
    const text = table(rows, [
      { title: 'NAME', value: row => row.name },
      { title: 'SERVICE', value: row => row.title },
      { title: 'OPENAI SDKS', value: row => row.openaiPath },
      { title: 'NEEDS --base-url', value: row => row.baseUrl },
    ])
    cli.result(rows, text)
  })
}
