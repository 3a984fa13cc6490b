import { endpoint } from '../endpoints.js'
import type { Endpoint } from '../provider.js'
import { assemblyaiTranscript, falRequest, mistralBatch, replicatePrediction, xaiDeferred } from './batch.js'
import { collection, inJson, type Made, type Ownership } from './resource.js'

const made = (kind: string, at = '/id'): readonly Made[] => [{ kind, at }]

/** Replicate: the replicate package 1.4, replicate.com/docs/reference/http. A model may be given a stored file by its address. */
const replicateFile = /api\.replicate\.com\/+v1\/+files\/+([^/?#]*)/i
const replicateInputs = ['/input/*', '/input/*/*'].map(at => ({ kind: 'file', in: 'json' as const, at, take: replicateFile }))
const replicateList = (kind: string) => ({ items: '/results', kind, id: '/id', paging: { after: 'cursor', more: 'next' } }) as const

export const predictionsMade: Ownership = {
  kind: 'prediction',
  ways: [{ spec: '*', makes: made('prediction'), batch: replicatePrediction }],
  names: replicateInputs,
}
export const predictions: Ownership = { ...collection('prediction', '/predictions', { list: replicateList('prediction') }), retells: true }
export const replicateFiles = collection('file', '/files', { makes: made('file'), list: replicateList('file') })
export const trainingsMade: Ownership = { kind: 'training', ways: [{ spec: '*', makes: made('training') }], names: replicateInputs }
export const trainings = collection('training', '/trainings', { list: replicateList('training') })

/** AssemblyAI: the assemblyai package 4.41. What was uploaded is known by an address that nobody guesses. */
export const transcriptsMade: Ownership = {
  kind: 'transcript',
  ways: [{ spec: '*', makes: made('transcript'), batch: assemblyaiTranscript }],
  names: [],
}
export const transcripts: Ownership = { ...collection('transcript', '/transcript', {}), retells: true }
export const transcriptUploads: Ownership = {
  kind: 'upload',
  root: '/upload',
  ways: [{ spec: 'POST /upload' }],
  names: [],
}
export const lemur: Ownership = {
  kind: 'answer',
  root: '/lemur',
  ways: [
    { spec: 'POST /lemur/v3/generate/*', makes: made('answer', '/request_id') },
    { spec: 'DELETE /lemur/v3/{id}', forgets: true },
    { spec: 'GET /lemur/v3/{id}', free: true },
  ],
  names: inJson('transcript', '/transcript_ids/*'),
}

/** Mistral: the @mistralai/mistralai package. Lists are pages by number. */
const mistralList = (kind: string) =>
  ({ items: '/data', kind, id: '/id', paging: { after: 'page', more: 'has_more' }, counts: ['total'] }) as const

export const mistralFiles = collection('file', '/files', { makes: made('file'), holdsBatch: true, list: mistralList('file') })
export const mistralBatches = collection('batch', '/batch/jobs', {
  under: '/batch',
  makes: made('batch'),
  batch: mistralBatch,
  tells: [...made('file', '/output_file'), ...made('file', '/error_file')],
  list: mistralList('batch'),
  names: inJson('file', '/input_files/*'),
})
export const mistralFineTuning = collection('fineTuningJob', '/fine_tuning/jobs', {
  under: '/fine_tuning',
  makes: made('fineTuningJob'),
  list: mistralList('fineTuningJob'),
  names: inJson('file', '/training_files/*/file_id', '/validation_files/*'),
})
export const mistralConversations = collection('conversation', '/conversations', {
  makes: made('conversation', '/conversation_id'),
  ways: [{ spec: 'POST /conversations/{id}/**', makes: made('conversation', '/conversation_id') }],
  names: inJson('file', '/inputs/*/content/*/file_id'),
})
export const libraries = collection('library', '/libraries', { makes: made('library'), list: mistralList('library') })
export const documentNamed: Ownership = { kind: 'file', ways: [], names: inJson('file', '/document/file_id') }
export const soundNamed: Ownership = {
  kind: 'file',
  ways: [],
  names: [...inJson('file', '/file_id'), { kind: 'file', in: 'form', at: 'file_id' }],
}

/** fal: what was asked for at the queue. */
export const requestsMade: Ownership = {
  kind: 'request',
  ways: [{ spec: '*', makes: made('request', '/request_id'), batch: falRequest }],
  names: [],
}
export const requests: Ownership = { kind: 'request', root: '/requests', retells: true, ways: [{ spec: '* /requests/{id}/**' }], names: [] }

/** xAI: a completion that is deferred is kept for a day, or until it has been read. */
export const deferredMade: Ownership = {
  kind: 'deferred',
  ways: [
    { spec: '*', makes: [{ kind: 'deferred', at: '/request_id', days: 1 }], when: [{ at: '/deferred', is: true }], batch: xaiDeferred },
  ],
  names: inJson('file', '/messages/*/content/*/file/file_id', '/messages/*/content/*/file_id'),
}
export const deferred: Ownership = {
  kind: 'deferred',
  root: '/chat/deferred-completion',
  ways: [{ spec: 'GET /chat/deferred-completion/{id}' }],
  names: [],
}

/** ElevenLabs: most voices are everybody's; one that a grant made is its own. */
export const elevenlabsVoices: Ownership = {
  ...collection('voice', '/voices', {
    list: { items: '/voices', kind: 'voice', id: '/voice_id' },
    ways: ['/voices/add', '/voices/pvc'].map(path => ({ spec: `POST ${path}`, makes: made('voice', '/voice_id') })),
  }),
  mostlyPublic: true,
}

/** What speaks with a voice: a path below `root`, or parts of a body. */
export function speaking(root: string): Ownership {
  return { kind: 'voice', root, mostlyPublic: true, ways: [{ spec: `* ${root}/{id}/**` }], names: [] }
}

export const dialogueNamed: Ownership = {
  kind: 'voice',
  ways: [],
  names: [{ kind: 'voice', in: 'json', at: '/inputs/*/voice_id', mostlyPublic: true }],
}

/** DeepL: documents are fetched once, with a key that only their maker was told. */
export const documents: Ownership = {
  kind: 'document',
  root: '/document',
  ways: [{ spec: 'POST /document', makes: made('document', '/document_id') }, { spec: 'POST /document/{id}/**' }],
  names: [],
}

/** `rows` with what they own, by `METHOD /pattern`; a row that is not there yet is added. */
export function owning(rows: readonly Endpoint[], owned: Readonly<Record<string, Ownership>>): Endpoint[] {
  const known = new Set(rows.map(row => `${row.method} ${row.pattern}`))
  const added = Object.entries(owned).flatMap(([spec, owns]) => (known.has(spec) ? [] : [endpoint('account', spec, { owns })]))
  return [
    ...added,
    ...rows.map(row => {
      const owns = owned[`${row.method} ${row.pattern}`]
      return owns ? { ...row, owns } : row
    }),
  ]
}
