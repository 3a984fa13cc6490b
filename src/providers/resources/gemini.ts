import { geminiBackground, geminiBatch } from './batch.js'
import { collection, inJson, inQuery, type Made, type Ownership, type Place } from './resource.js'

// Source: the @google/genai package 2.32, ai.google.dev/api. Files are kept for two days. Names are paths (`files/abc`); the id is the last part of one.

/** A file's name, bare or as an address at the API; addresses elsewhere (videos, buckets, pages) are nobody's. */
const fileName = /^(?:\w+:\/+[^/]*generativelanguage[^/]*\/(?:.*\/)?|(?:[^:]*\/)?files\/)([^/]*)$/is
const last = (word: string) => new RegExp(`(?:^|/)${word}/([^/:?#]*)`)

const made = (kind: string, word: string, at = '/name', days?: number): Made => ({
  kind,
  at,
  take: last(word),
  ...(days === undefined ? {} : { days }),
})

function tokenList(kind: string, items: string, word: string) {
  return { items, kind, id: '/name', take: last(word), paging: { after: 'pageToken', more: 'nextPageToken' } } as const
}

// a repeated field may be sent as the one thing that would be in it, so a content is looked for at any depth; in both spellings that the API takes
const anywhere = (kind: string, take: RegExp, ...names: string[]): Place[] =>
  names.map(name => ({ kind, in: 'json', at: `/**/${name}`, take }))

/** Whatever a body says of files, caches and stores. */
const geminiNames: readonly Place[] = [
  ...anywhere('file', fileName, 'fileUri', 'file_uri', 'fileName', 'file_name', 'uri'),
  ...anywhere('cache', /^(?:.*\/)?([^/]*)$/s, 'cachedContent', 'cached_content'),
  ...anywhere('interaction', /^(?:.*\/)?([^/]*)$/s, 'previousInteractionId', 'previous_interaction_id'),
  ...['fileSearchStoreNames', 'file_search_store_names'].flatMap(name => [
    { kind: 'store', in: 'json' as const, at: `/**/${name}/*`, take: last('fileSearchStores') },
    { kind: 'store', in: 'json' as const, at: `/**/${name}`, take: last('fileSearchStores') },
  ]),
]

export const generateNamed: Ownership = { kind: 'file', ways: [], names: geminiNames }

const anyName = /^(?:.*\/)?([^/]*)$/s

const named = (kind: string, ...pointers: string[]): Place[] => pointers.map(at => ({ kind, in: 'json', at, take: anyName }))

/** The machine that an agent works on, kept with its files; and secrets of the account that go into what the machine sends, to wherever the call says. */
const environmentNames: readonly Place[] = [
  ...named('environment', '/environment', '/environment/environment_id', '/environment/environmentId'),
  ...named('credential', '/environment/env/*/credential'),
  ...named('credential', '/environment/network/allowlist/*', '/environment/network/allowlist/*/credential'),
  { in: 'json', at: '/continuation_token' },
  { in: 'json', at: '/continuationToken' },
]

const interactionNames = [...geminiNames, ...environmentNames]

/** `POST /interactions`: kept unless it says `store: false`. */
export const interactionsMade: Ownership = {
  kind: 'interaction',
  ways: [
    {
      spec: '*',
      makes: [
        { kind: 'interaction', at: '/id', days: 60 },
        { kind: 'interaction', at: '/interaction/id', days: 60 },
        { kind: 'environment', at: '/environment_id', days: 60 },
        { kind: 'environment', at: '/interaction/environment_id', days: 60 },
      ],
      when: [{ at: '/store', isNot: false }],
      batch: geminiBackground,
    },
  ],
  names: interactionNames,
}

export const interactions: Ownership = { ...collection('interaction', '/interactions', { names: interactionNames }), retells: true }

/** A Live session is gone on with by a handle, which ends after hours. */
export const liveSocket: Ownership = {
  kind: 'liveSession',
  ways: [
    {
      spec: '*',
      makes: [
        { kind: 'liveSession', at: '/sessionResumptionUpdate/newHandle', days: 2 },
        { kind: 'liveSession', at: '/session_resumption_update/new_handle', days: 2 },
      ],
    },
  ],
  names: [...geminiNames, ...inJson('liveSession', '/setup/sessionResumption/handle', '/setup/session_resumption/handle')],
}

const tellsFile: readonly Made[] = [
  made('file', 'files', '/response/generateVideoResponse/generatedSamples/*/video/uri', 3),
  made('file', 'files', '/response/generatedVideos/*/video/uri', 3),
  made('file', 'files', '/response/responsesFile'),
  made('file', 'files', '/metadata/output/responsesFile'),
]

/** Work that goes on: its name is `models/MODEL/operations/ID`. */
export const operationsMade: Ownership = {
  kind: 'operation',
  ways: [{ spec: '*', makes: [made('operation', 'operations', '/name', 31)] }],
  names: geminiNames,
}

export const operations: Ownership = {
  kind: 'operation',
  root: '/models/*/operations',
  ways: [{ spec: '* /models/*/operations/{id}', makes: tellsFile }],
  names: [],
}

export const batchesMade: Ownership = {
  kind: 'batch',
  ways: [{ spec: '*', makes: [made('batch', 'batches')], batch: geminiBatch }],
  names: geminiNames,
}

export const geminiBatches = collection('batch', '/batches', {
  tells: tellsFile,
  list: tokenList('batch', '/operations', 'batches'),
  ways: [{ spec: 'POST /batches/{id}:cancel', free: true }, { spec: 'POST /batches/{id}:*' }],
})

export const geminiFiles = collection('file', '/files', {
  makes: [made('file', 'files', '/file/name', 3), made('file', 'files', '/name', 3)],
  list: tokenList('file', '/files', 'files'),
  ways: [{ spec: 'GET /files/{id}:download' }],
})

export const caches = collection('cache', '/cachedContents', {
  // they say again what was put into it
  ways: [
    { spec: 'GET /cachedContents/{id}', free: true },
    { spec: 'PATCH /cachedContents/{id}', free: true },
  ],
  makes: [made('cache', 'cachedContents')],
  list: tokenList('cache', '/cachedContents', 'cachedContents'),
  names: geminiNames,
})

export const stores = collection('store', '/fileSearchStores', {
  makes: [made('store', 'fileSearchStores')],
  list: tokenList('store', '/fileSearchStores', 'fileSearchStores'),
  ways: [{ spec: 'POST /fileSearchStores/{id}:*' }],
  names: geminiNames,
})

const session: Made = { kind: 'uploadSession', at: 'header x-goog-upload-url', take: /[?&]upload_id=([^&]+)/, days: 8 }

/** An upload begins with a call whose reply names its session, and goes on at that session. */
export const geminiUploads: Ownership = {
  kind: 'store',
  root: '/upload',
  ways: [
    { spec: 'POST /upload/*/files', makes: [session, made('file', 'files', '/file/name', 3)] },
    { spec: 'PUT /upload/*/files', makes: [made('file', 'files', '/file/name', 3)] },
    { spec: 'POST /upload/*/fileSearchStores/{id}:uploadToFileSearchStore', makes: [session] },
    { spec: 'PUT /upload/*/fileSearchStores/{id}:uploadToFileSearchStore' },
  ],
  names: inQuery('uploadSession', 'upload_id'),
}

export const geminiDownloads: Ownership = {
  kind: 'file',
  root: '/download',
  ways: [{ spec: 'GET /download/*/files/{id}:download' }],
  names: [],
}
