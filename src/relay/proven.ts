import type { TLSSocket } from 'node:tls'
import type { ProvenRequest } from '../access/dpop.js'
import type { Request } from './call.js'

/** What a proof of possession has to say of this request. */
export function provenRequest(request: Request, publicUrl: string | undefined): ProvenRequest {
  const isHttp2 = 'stream' in request
  return {
    method: request.method ?? '',
    url: request.url ?? '',
    host: isHttp2 ? request.authority : request.headers.host,
    // HTTP/2 is spoken over TLS alone
    overTls: isHttp2 || (request.socket as TLSSocket).encrypted === true,
    publicUrl,
  }
}
