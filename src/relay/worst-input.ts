/** What a provider may put around a prompt by itself: tools make Anthropic add some hundred model tokens. */
export const aroundTokens = 1000

/**
 * Most model tokens that one picture is billed as, whatever its size: OpenAI's small models count 2833 and 5667 for each of 8 tiles
 * (https://platform.openai.com/docs/guides/images-vision), Anthropic's newest up to 4784 (https://docs.claude.com/en/docs/build-with-claude/vision).
 */
const pictureTokens: Readonly<Record<string, number>> = { openai: 50_000, anthropic: 5_000 }

const needles = (...names: string[]) => names.map(name => Buffer.from(`"${name}`))

const pictures: Readonly<Record<string, readonly Buffer[]>> = {
  openai: needles('image_url":', 'input_image"', 'image":'),
  anthropic: needles('image"'),
}

/** Members and types that bring in what is not in the body, or let the provider work on by itself: then nothing here bounds the input. */
const unbounded = needles(
  'previous_response_id"',
  'conversation"',
  'file_id"',
  'file_url"',
  'file_data"',
  'input_file"',
  'input_audio"',
  'audio_url"',
  'video_url"',
  'video"',
  'document"',
  'container"',
  'fileData"',
  'file_uri"',
  'fileUri"',
  'inlineData"',
  'inline_data"',
  'cachedContent"',
  'cached_content"',
  'web_search',
  'web_fetch',
  'file_search',
  'code_interpreter',
  'code_execution',
  'codeExecution"',
  'computer_use',
  'computer_',
  'bash_',
  'image_generation"',
  'mcp',
  'googleSearch',
  'google_search',
  'googleMaps"',
  'urlContext"',
  'url_context"',
  'search_parameters"',
  'plugins"',
  'documents"',
  'connectors"',
  'prompt":{',
  'prompt": {',
)

/** A letter written as an escape: a name that hides from a search for its bytes. */
const hidden = /\\u00[2-7]/i

/** The most model tokens that a request can bring in: its bytes, and what its pictures may count as. Undefined: nothing bounds it. */
export function mostInputTokens(body: Buffer, dialect: string): number | undefined {
  const plain =
    body.includes('\\u00') && hidden.test(body.toString('latin1')) ? Buffer.from(JSON.stringify(JSON.parse(body.toString('utf8')))) : body
  for (const needle of unbounded) if (plain.includes(needle)) return undefined
  let most = body.length + aroundTokens
  for (const needle of pictures[dialect] ?? pictures.openai ?? []) {
    for (let at = plain.indexOf(needle); at >= 0; at = plain.indexOf(needle, at + 1)) most += pictureTokens[dialect] ?? 50_000
  }
  return most
}
