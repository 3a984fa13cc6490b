import { once } from 'node:events'
import { type ClientOptions, WebSocket } from 'ws'
import type { Daemon } from './daemon.js'
import { until } from './until.js'

/** A client's WebSocket, and everything it was told. */
export interface TestSocket {
  readonly socket: WebSocket
  readonly messages: { readonly data: Buffer; readonly isBinary: boolean }[]
  /** Resolves with how it ended. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  /** The message at this place, once it has come; as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: messages are looked into without a schema
  json(at: number): Promise<any>
}

export interface OpenOptions {
  readonly token?: string
  readonly protocols?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
  readonly options?: ClientOptions
}

/** Opens a WebSocket to the daemon; rejects with what it was answered instead. */
export async function openSocket(daemon: Pick<Daemon, 'port' | 'ca'>, path: string, given: OpenOptions = {}): Promise<TestSocket> {
  const socket = new WebSocket(`wss://localhost:${daemon.port}${path}`, [...(given.protocols ?? [])], {
    ca: daemon.ca,
    family: 4,
    headers: { ...(given.token === undefined ? {} : { authorization: `Bearer ${given.token}` }), ...given.headers },
    maxPayload: 64 * 1024 * 1024,
    ...given.options,
  } as ClientOptions)
  const messages: { data: Buffer; isBinary: boolean }[] = []
  socket.on('message', (data, isBinary) => messages.push({ data: data as Buffer, isBinary }))
  const closed = new Promise<{ code: number; reason: string }>(resolve => {
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
  })
  socket.on('error', () => {})
  await once(socket, 'open')
  return {
    socket,
    messages,
    closed,
    async json(at) {
      await until(
        () => messages.length > at || socket.readyState === WebSocket.CLOSED,
        `message ${at}`,
        () => messages.length,
      )
      return JSON.parse(messages[at]?.data.toString() ?? 'null')
    },
  }
}

/** What an upgrade is answered when it is not opened. */
export interface Refused {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  // biome-ignore lint/suspicious/noExplicitAny: replies are looked into without a schema
  readonly body: any
}

export function refusedSocket(daemon: Pick<Daemon, 'port' | 'ca'>, path: string, given: OpenOptions = {}): Promise<Refused> {
  const socket = new WebSocket(`wss://localhost:${daemon.port}${path}`, [...(given.protocols ?? [])], {
    ca: daemon.ca,
    family: 4,
    headers: { ...(given.token === undefined ? {} : { authorization: `Bearer ${given.token}` }), ...given.headers },
    ...given.options,
  } as ClientOptions)
  socket.on('error', () => {})
  return new Promise((resolve, reject) => {
    socket.on('open', () => {
      socket.terminate()
      reject(new Error(`${path} was opened`))
    })
    socket.on('unexpected-response', (_, response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', piece => {
        text += piece
      })
      response.on('end', () => {
        const isJson = /json/.test(response.headers['content-type'] ?? '')
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: isJson ? JSON.parse(text) : text })
      })
    })
    socket.on('error', error => {
      if (socket.readyState === WebSocket.CONNECTING) reject(error)
    })
  })
}
