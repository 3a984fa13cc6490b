import { schema, settingNames } from './schema.js'
import type { Settings } from './settings.js'

/** A home's `.env`: every setting as a comment, with what it means; the given ones set. */
export function settingsFile(given: Partial<Readonly<Record<keyof Settings, string>>>): string {
  const rows = settingNames
    .filter(name => name !== 'home')
    .map(name => {
      const { env, type, what, byDefault = '', otherwise = 'none' } = schema[name]
      const without = byDefault === '' ? ` Without it: ${otherwise}.` : ''
      const value = given[name]
      const line = value === undefined ? `#${env}=${byDefault}` : `${env}=${value}`
      return `# ${what}\n# Written as: ${type.form}.${without}\n${line}\n`.replaceAll('`', '')
    })
  return `# Settings of this soakp. The environment and the command line win over them.\n\n${rows.join('\n')}`
}

/** The lines of a `.env` that may leave the machine: none of a setting whose value is never shown. */
export function shareableSettings(text: string): string {
  const hidden = settingNames.filter(name => schema[name].hidden).map(name => schema[name].env)
  return text
    .split('\n')
    .filter(line => !hidden.some(env => new RegExp(`^\\s*${env}\\s*=`).test(line)))
    .join('\n')
}
