/** What a provider may put around a prompt by itself: tools make Anthropic add some hundred model tokens. */
export const aroundTokens = 1000

/**
 * Most model tokens that one picture is billed as, whatever its size: OpenAI's small models count 2833 and 5667 for each of 8 tiles
 * (https://platform.openai.com/docs/guides/images-vision), Anthropic's newest up to 4784 (https://docs.claude.com/en/docs/build-with-claude/vision).
 */
const pictureTokens: Readonly<Record<string, number>> = { openai: 50_000, anthropic: 5_000 }

/** At an opening quote: one within a string has a backslash before it. */
const opening = '"(?<!\\\\")'

const pictures: Readonly<Record<string, RegExp>> = {
  openai: new RegExp(`${opening}(?:image(?:_url)?"\\s*:|input_image")`, 'g'),
  anthropic: new RegExp(`${opening}image"`, 'g'),
}

/** Members and types that bring in what is not in the body, or let the provider work on by itself: then nothing here bounds the input. `…`: whatever it goes on with. */
const unboundedNames = [
  'previous_response_id',
  'item_reference',
  'previous_interaction_id',
  'prompt_embeds',
  'conversation',
  'file_id',
  'file_url',
  'file_data',
  'input_file',
  'input_audio',
  'audio_url',
  'video_url',
  'video',
  'document',
  'documents',
  'document_url',
  'document_library…',
  'container',
  'container_…',
  'fileData',
  'file_uri',
  'fileUri',
  'inlineData',
  'inline_data',
  'cachedContent',
  'cached_content',
  'web_search…',
  'web_fetch…',
  'file_search…',
  'code_interpreter…',
  'code_execution…',
  'codeExecution',
  'computer_…',
  'computerUse',
  'tool_search…',
  'browser_search…',
  'browser_automation…',
  'x_search…',
  'collections_search…',
  'bash_…',
  'image_generation',
  'mcp…',
  // these run models besides, at Anthropic with no bound that the call states
  'advisor_…',
  'compact_…',
  'googleSearch…',
  'google_search…',
  'googleMaps',
  'google_maps',
  'fileSearch…',
  'enterpriseWebSearch',
  'enterprise_web_search',
  'vertexAiSearch',
  'vertex_ai_search',
  'vertexRagStore',
  'vertex_rag_store',
  'urlContext',
  'url_context',
  'search_parameters',
  'plugins',
  'connectors',
]

const unbounded = new RegExp(
  `${opening}(?:${unboundedNames.map(name => (name.endsWith('…') ? name.slice(0, -1) : `${name}"`)).join('|')}|prompt"\\s*:\\s*{|deferred"\\s*:\\s*true|(?:compaction|fallbacks)"\\s*:)`,
)

/** A letter written as an escape: a name that hides from a search for it. */
const hidden = /\\u00([2-7][0-9a-f])/gi

/** The text with such letters shown, but for a quote or a backslash, which would be no letter of a name. Not read as JSON: which of two members of one name counts is for the provider to say. */
function shown(text: string): string {
  if (!text.includes('\\u00')) return text
  return text.replace(hidden, (written, code: string) => {
    const letter = String.fromCharCode(Number.parseInt(code, 16))
    return letter === '"' || letter === '\\' ? written : letter
  })
}

/** The most model tokens that a request can bring in: its bytes, and what its pictures may count as. Undefined: nothing bounds it. */
export function mostInputTokens(body: Buffer, dialect: string): number | undefined {
  // names are ASCII, whatever the rest of the text is
  const text = body.toString('latin1')
  const plain = shown(text)
  if (unbounded.test(plain)) return undefined
  return body.length + aroundTokens + picturesIn(plain, dialect) * (pictureTokens[dialect] ?? 50_000)
}

function picturesIn(text: string, dialect: string): number {
  return text.includes('image') ? (text.match(pictures[dialect] ?? (pictures.openai as RegExp))?.length ?? 0) : 0
}
