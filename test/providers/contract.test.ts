import t from 'tap'
import { customProvider, providers } from '../../src/providers/index.js'
import { testProvider } from '../contracts/provider.js'

for (const provider of providers) testProvider(t, provider)

for (const dialect of ['openai', 'anthropic', 'gemini']) {
  const custom = customProvider({ id: `my-${dialect}`, baseUrl: 'http://127.0.0.1:8000/v1', auth: { type: 'bearer' }, dialect })
  if (custom) testProvider(t, custom)
  else t.fail(`${dialect} makes no provider`)
}
