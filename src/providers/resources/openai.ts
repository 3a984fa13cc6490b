import { openaiBackground, openaiBatch } from './batch.js'
import type { List, Made, Ownership, Place } from './resource.js'
import { collection, inJson, inQuery } from './resource.js'

// Sources: openai-openapi 2.3.0, the openai package 6.49. Stored replies are kept for 30 days.

const kept = { days: 31 } as const

/** Pages by the id of an item before or behind them. */
function list(kind: string): List {
  return {
    items: '/data',
    kind,
    id: '/id',
    paging: { after: 'after', before: 'before', more: 'has_more', byId: true, first: 'first_id', last: 'last_id' },
    counts: ['total'],
  }
}

const cursors = (kind: string) => inQuery(kind, 'after', 'before')
const id = (kind: string, days?: number): Made => ({ kind, at: '/id', ...(days === undefined ? {} : { days }) })

/** Whole in themselves: what they say is all there is to them, whatever their id. */
const selfContained = ['message', 'function_call', 'function_call_output', 'custom_tool_call', 'custom_tool_call_output']

const itemNames: readonly Place[] = [
  { kind: 'item', in: 'json', at: '/input/*/id', unless: { at: '/input/*/type', is: selfContained } },
  { in: 'json', at: '/input/*/encrypted_content' },
  ...inJson('file', '/input/*/content/*/file_id'),
  // what a tool put out: an object with a file's id, or parts of content that may have one
  { kind: 'file', in: 'json', at: '/input/*/output/*', take: /^((?:file|assistant)[-_].*)$/s },
  ...inJson('file', '/input/*/output/*/file_id'),
]

const toolNames: readonly Place[] = [
  ...inJson('container', '/tools/*/container', '/tools/*/environment/container_id'),
  ...inJson('file', '/tools/*/container/file_ids/*', '/tools/*/environment/file_ids/*', '/tools/*/input_image_mask/file_id'),
  ...inJson('skill', '/tools/*/container/skills/*/skill_id', '/tools/*/environment/skills/*/skill_id'),
  ...inJson('vectorStore', '/tools/*/vector_store_ids/*'),
  { in: 'json', at: '/tools/*/connector_id' },
]

const responseNames: readonly Place[] = [
  ...inJson('response', '/previous_response_id'),
  ...inJson('conversation', '/conversation', '/conversation/id'),
  // a prompt is made in the provider's own pages, for all who may call
  { in: 'json', at: '/prompt/id' },
  ...inJson('file', '/prompt/variables/*/file_id'),
  ...itemNames,
  ...toolNames,
]

const outputs: readonly Made[] = [
  { kind: 'item', at: '/output/*/id', ...kept },
  { kind: 'container', at: '/output/*/container_id', days: 2 },
]

/** Of what a reply and the events of its stream say. */
const madeByResponses: readonly Made[] = [
  id('response', 31),
  ...outputs,
  { kind: 'response', at: '/response/id', ...kept },
  { kind: 'item', at: '/item/id', ...kept },
  { kind: 'container', at: '/item/container_id', days: 2 },
]

/** `POST /responses`: kept unless it says `store: false`. */
export const responsesMade: Ownership = {
  kind: 'response',
  ways: [{ spec: '*', makes: madeByResponses, when: [{ at: '/store', isNot: false }], batch: openaiBackground }],
  names: responseNames,
}

function within(prefix: string, places: readonly Place[]): Place[] {
  return places.map(({ unless, ...place }) => ({
    ...place,
    at: prefix + place.at,
    ...(unless && { unless: { ...unless, at: prefix + unless.at } }),
  }))
}

/** Responses over a socket: what a message asks for stands in it, or in its `response`. What is not stored can be named on its own connection alone. */
export const responsesSocket: Ownership = {
  kind: 'response',
  ways: [{ spec: '*', makes: madeByResponses }],
  names: [...responseNames, ...within('/response', responseNames)],
}

/** A call of somebody's that is on already, which whoever names it listens to and may speak in: nobody makes one through us. */
export const realtimeSocket: Ownership = { kind: 'realtimeCall', ways: [], names: inQuery('realtimeCall', 'call_id') }

export const responsesNamed: Ownership = { kind: 'response', ways: [], names: responseNames }

export const responses: Ownership = {
  kind: 'response',
  root: '/responses',
  retells: true,
  ways: [
    { spec: 'DELETE /responses/{id}', forgets: true },
    { spec: '* /responses/{id}/**', makes: madeByResponses },
  ],
  names: [],
}

/** `POST /chat/completions`: kept where it says `store: true`; sound can be named for an hour. */
export const chatMade: Ownership = {
  kind: 'completion',
  ways: [
    {
      spec: '*',
      makes: [
        id('completion', 31),
        { kind: 'audio', at: '/choices/*/message/audio/id', days: 1 },
        { kind: 'audio', at: '/choices/*/delta/audio/id', days: 1 },
      ],
      when: [{ at: '/store', is: true }, { at: '/audio' }],
    },
  ],
  names: [
    ...inJson('audio', '/messages/*/audio/id'),
    ...inJson('file', '/messages/*/content/*/file/file_id', '/messages/*/content/*/file_id'),
  ],
}

export const completions: Ownership = {
  kind: 'completion',
  root: '/chat/completions',
  retells: true,
  ways: [
    { spec: 'GET /chat/completions', lists: list('completion') },
    { spec: 'DELETE /chat/completions/{id}', forgets: true },
    { spec: '* /chat/completions/{id}/**' },
  ],
  names: cursors('completion'),
}

export const imagesNamed: Ownership = { kind: 'file', ways: [], names: inJson('file', '/images/*/file_id', '/mask/file_id') }
export const speechNamed: Ownership = { kind: 'voice', ways: [], names: inJson('voice', '/voice/id') }

export const files = collection('file', '/files', { makes: [id('file')], holdsBatch: true, list: list('file'), names: cursors('file') })

export const uploads = collection('upload', '/uploads', { makes: [id('upload', 2)], tells: [{ kind: 'file', at: '/file/id' }] })

export const batches = collection('batch', '/batches', {
  makes: [id('batch')],
  batch: openaiBatch,
  tells: [
    { kind: 'file', at: '/output_file_id' },
    { kind: 'file', at: '/error_file_id' },
  ],
  list: list('batch'),
  names: [...inJson('file', '/input_file_id'), ...cursors('batch')],
})

export const fineTuning = collection('fineTuningJob', '/fine_tuning/jobs', {
  under: '/fine_tuning',
  makes: [id('fineTuningJob')],
  tells: [{ kind: 'file', at: '/result_files/*' }],
  list: list('fineTuningJob'),
  names: [...inJson('file', '/training_file', '/validation_file'), ...cursors('fineTuningJob')],
})

export const vectorStores = collection('vectorStore', '/vector_stores', {
  makes: [id('vectorStore')],
  list: list('vectorStore'),
  names: [...inJson('file', '/file_id', '/file_ids/*', '/files/*/file_id'), ...cursors('vectorStore')],
})

const toolResources = (prefix: string): readonly Place[] => [
  ...inJson(
    'file',
    `${prefix}/tool_resources/code_interpreter/file_ids/*`,
    `${prefix}/tool_resources/file_search/vector_stores/*/file_ids/*`,
  ),
  ...inJson('vectorStore', `${prefix}/tool_resources/file_search/vector_store_ids/*`),
]

const storesMade: Made = { kind: 'vectorStore', at: '/tool_resources/file_search/vector_store_ids/*' }

export const assistants = collection('assistant', '/assistants', {
  makes: [id('assistant')],
  tells: [storesMade],
  list: list('assistant'),
  names: [...inJson('file', '/file_id', '/file_ids/*'), ...toolResources(''), ...cursors('assistant')],
})

const messageFiles = (prefix: string): readonly Place[] =>
  inJson('file', `${prefix}/attachments/*/file_id`, `${prefix}/file_ids/*`, `${prefix}/content/*/image_file/file_id`)

export const threads = collection('thread', '/threads', {
  ways: [
    { spec: 'POST /threads/runs', makes: [{ kind: 'thread', at: '/thread_id' }] },
    // files that a run wrote stand in the messages it left
    ...['GET /threads/{id}/messages/**'].map(spec => ({
      spec,
      makes: ['', '/data/*'].flatMap(message => [
        { kind: 'file', at: `${message}/content/*/image_file/file_id` },
        { kind: 'file', at: `${message}/content/*/text/annotations/*/file_path/file_id` },
      ]),
    })),
  ],
  makes: [id('thread')],
  tells: [storesMade],
  names: [
    ...inJson('assistant', '/assistant_id'),
    ...messageFiles(''),
    ...messageFiles('/messages/*'),
    ...messageFiles('/additional_messages/*'),
    ...messageFiles('/thread/messages/*'),
    ...toolResources(''),
    ...toolResources('/thread'),
  ],
})

export const conversations = collection('conversation', '/conversations', {
  ways: [
    { spec: 'POST /conversations/{id}/items', makes: [{ kind: 'item', at: '/data/*/id', ...kept }] },
    { spec: 'GET /conversations/{id}/items', makes: [{ kind: 'item', at: '/data/*/id', ...kept }] },
  ],
  makes: [id('conversation')],
  names: [
    { kind: 'item', in: 'json', at: '/items/*/id', unless: { at: '/items/*/type', is: selfContained } },
    ...inJson('file', '/items/*/content/*/file_id', '/items/*/output/*/file_id'),
  ],
})

export const evals = collection('eval', '/evals', {
  makes: [id('eval')],
  list: list('eval'),
  names: [...inJson('file', '/data_source/source/id'), ...cursors('eval')],
})

export const containers = collection('container', '/containers', {
  makes: [id('container', 2)],
  list: list('container'),
  names: [
    ...inJson('file', '/file_id', '/file_ids/*'),
    { kind: 'file', in: 'form', at: 'file_id' },
    ...inJson('skill', '/skills/*/skill_id'),
    ...cursors('container'),
  ],
})

export const videos = collection('video', '/videos', {
  ways: [
    { spec: 'POST /videos/{id}/remix', makes: [id('video')] },
    { spec: 'POST /videos/edits', makes: [id('video')] },
    { spec: 'POST /videos/extensions', makes: [id('video')] },
  ],
  makes: [id('video')],
  list: list('video'),
  names: [
    ...inJson('file', '/input_reference/file_id'),
    ...inJson('video', '/video/id'),
    { kind: 'video', in: 'form', at: 'video[id]' },
    ...cursors('video'),
  ],
})

export const skills = collection('skill', '/skills', { makes: [id('skill')], list: list('skill'), names: cursors('skill') })

export const voices = collection('voice', '/audio/voices', { makes: [id('voice')], list: list('voice'), names: cursors('voice') })
