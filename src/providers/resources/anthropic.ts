import { anthropicBatch } from './batch.js'
import type { List, Made, Ownership, Place } from './resource.js'
import { collection, inJson, inQuery } from './resource.js'

// Source: the @anthropic-ai/sdk package 1.12, docs.anthropic.com/en/api. Results of batches are kept for 29 days, containers for 30.

const cursors = (kind: string) => inQuery(kind, 'after_id', 'before_id')

function list(kind: string): List {
  return {
    items: '/data',
    kind,
    id: '/id',
    paging: { after: 'after_id', before: 'before_id', more: 'has_more', byId: true, first: 'first_id', last: 'last_id' },
  }
}

/** A message's parts, relative to the request's `params`. */
function messageNames(prefix: string): readonly Place[] {
  return [
    ...inJson('container', `${prefix}/container`, `${prefix}/container/id`),
    // the provider's own (`pptx`, `xlsx` …) are everybody's
    {
      kind: 'skill',
      in: 'json',
      at: `${prefix}/container/skills/*/skill_id`,
      unless: { at: `${prefix}/container/skills/*/type`, is: ['anthropic'] },
    },
    ...inJson(
      'file',
      `${prefix}/messages/*/content/*/file_id`,
      `${prefix}/messages/*/content/*/source/file_id`,
      `${prefix}/messages/*/content/*/content/*/source/file_id`,
      `${prefix}/system/*/source/file_id`,
    ),
  ]
}

const madeByMessages: readonly Made[] = [
  { kind: 'container', at: '/container/id', days: 31 },
  { kind: 'file', at: '/content/*/content/content/*/file_id' },
  // of a stream's events
  { kind: 'container', at: '/message/container/id', days: 31 },
  { kind: 'container', at: '/delta/container/id', days: 31 },
  { kind: 'file', at: '/content_block/content/content/*/file_id' },
]

/** `POST /messages`: a call that runs code leaves a container and files behind. */
export const messagesMade: Ownership = {
  kind: 'container',
  ways: [{ spec: '*', makes: madeByMessages, when: [{ at: '/container' }, { at: '/tools/*/type', like: /^code_execution/ }] }],
  names: messageNames(''),
}

export const messagesNamed: Ownership = { kind: 'file', ways: [], names: messageNames('') }

export const messageBatches = collection('messageBatch', '/messages/batches', {
  makes: [{ kind: 'messageBatch', at: '/id' }],
  batch: anthropicBatch,
  list: list('messageBatch'),
  names: [...messageNames('/requests/*/params'), ...cursors('messageBatch')],
})

export const anthropicFiles = collection('file', '/files', {
  makes: [{ kind: 'file', at: '/id' }],
  list: list('file'),
  names: [...cursors('file'), ...inQuery('session', 'scope_id')],
})

export const anthropicSkills = collection('skill', '/skills', {
  makes: [{ kind: 'skill', at: '/id' }],
  list: { items: '/data', kind: 'skill', id: '/id', paging: { after: 'page', more: 'next_page' } },
})
