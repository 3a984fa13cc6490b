import { anthropicDialect } from './dialect-anthropic.js'
import { geminiDialect } from './dialect-gemini.js'
import { openaiDialect } from './dialect-openai.js'
import type { Dialect } from './provider.js'

/** Every wire format, in the order of the docs. */
export const dialects: readonly Dialect[] = [openaiDialect, anthropicDialect, geminiDialect]

export function findDialect(name: string): Dialect | undefined {
  return dialects.find(dialect => dialect.name === name)
}
