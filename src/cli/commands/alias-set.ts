import { Command } from 'commander'
import { SoakpError } from '../../errors.js'
import { findProvider, providerId } from '../../providers/index.js'
import type { Cli } from '../cli.js'
import { findAlias } from '../input/find.js'
import { aliasView } from '../view/alias.js'

/** `soakp alias set`: a name of your own for a model, that can be pointed elsewhere without touching a client. */
export function aliasSet(cli: Cli): Command {
  return new Command('set')
    .description('give a model a name of your own on the unified endpoint, or point that name elsewhere')
    .argument('<name=provider/model>', 'as in fast=groq/llama-3.3-70b-versatile')
    .action(async (text: string) => {
      const { name, target } = parseAlias(text)
      const { store } = await cli.open()
      const [provider = ''] = target.split('/', 1)
      if (!findProvider(provider) && (await store.listKeys({ tenant: 'default', provider })).length === 0) {
        throw new SoakpError('unknown_provider', provider, { hint: 'write the provider in front, as in fast=groq/llama-3.3-70b-versatile' })
      }
      await store.putAlias({ tenant: 'default', name, target, createdAtMs: cli.now() })
      const alias = await findAlias(store, name)
      cli.result(aliasView(alias), `${name} now stands for ${target}`)
    })
}

function parseAlias(text: string): { readonly name: string; readonly target: string } {
  const [, name, target] = /^([A-Za-z0-9][\w.:-]{0,63})=([a-z][a-z0-9-]*\/[^\s\p{Cc}]{1,200})$/u.exec(text) ?? []
  if (name !== undefined && target !== undefined) {
    const slash = target.indexOf('/')
    return { name, target: providerId(target.slice(0, slash)) + target.slice(slash) }
  }
  throw new SoakpError('usage', 'An alias is written NAME=PROVIDER/MODEL; the name has no slash.', {
    hint: 'as in fast=groq/llama-3.3-70b-versatile',
  })
}
