import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A call that an SDK can make: `METHOD /path`, every part that it fills in being `x1`. */
export type SdkCall = string

const filled = (path: string) => path.replace(/\$?\{[^}]*\}/g, 'x1').replace(/[?#].*$/, '')

function* sources(folder: string): Generator<string> {
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (name.endsWith('.js')) yield readFileSync(join(folder, name), 'utf8')
  }
}

/** `this._client.post('/images/edits', …)`, and `` path`/files/${id}` `` in place of the text: how SDKs made by Stainless are written. */
export function stainlessCalls(folder: string): SdkCall[] {
  const call = /_client\.(get|post|put|patch|delete|getAPIList)\(\s*(?:\(0, path_\d+\.path\)\s*|path)?([`'"])(\/.*?)\2/g
  const calls = new Set<SdkCall>()
  for (const source of sources(folder)) {
    for (const [, verb = '', , path = ''] of source.matchAll(call))
      calls.add(`${verb === 'getAPIList' ? 'GET' : verb.toUpperCase()} ${filled(path)}`)
  }
  return [...calls].sort()
}

/** `pathToFunc("/v1/files/{id}")` and `method: "GET"` a few lines on: how SDKs made by Speakeasy are written, one function a file. */
export function speakeasyCalls(folder: string): SdkCall[] {
  const calls = new Set<SdkCall>()
  for (const source of sources(folder)) {
    const path = /pathToFunc\("([^"]+)"/.exec(source)?.[1]
    const method = /method: "([A-Z]+)"/.exec(source)?.[1]
    if (path !== undefined && method !== undefined) calls.add(`${method} ${filled(path)}`)
  }
  return [...calls].sort()
}

/** The same, where all of them stand in one file; `{api_version}` is what `version` says. */
export function bundledCalls(file: string, version: string): SdkCall[] {
  const call = /pathToFunc\("([^"]+)"\)[\s\S]{1,4000}?method: "([A-Z]+)"/g
  const calls = [...readFileSync(file, 'utf8').matchAll(call)].map(
    ([, path = '', method = '']) => `${method} ${filled(path.replace('{api_version}', version))}`,
  )
  return [...new Set(calls)].sort()
}

/** `this.request("/predictions", { method: "POST"`: how Replicate's is written. */
export function requestedCalls(folder: string): SdkCall[] {
  const call = /this\.request\(\s*(["`])(\/.*?)\1,\s*\{\s*method: "([A-Z]+)"/g
  const calls = new Set<SdkCall>()
  for (const source of sources(folder)) {
    for (const [, , path = '', method = ''] of source.matchAll(call)) calls.add(`${method} ${filled(path)}`)
  }
  return [...calls].sort()
}

/** `["POST", "/model/{modelId}/converse", 200]`: how AWS's schemas are written. */
export function awsCalls(folder: string): SdkCall[] {
  const call = /\["([A-Z]+)", "(\/[^"]*)", \d+\]/g
  const calls = new Set<SdkCall>()
  for (const source of sources(folder)) {
    for (const [, method = '', path = ''] of source.matchAll(call)) calls.add(`${method} ${filled(path)}`)
  }
  return [...calls].sort()
}

/** `url: core.url.join(…, "v2/chat")` and `method: "POST"` on the next line: how SDKs made by Fern are written. */
export function fernCalls(folder: string): SdkCall[] {
  const call = /core\.url\.join\([^\n]*, ([`"])(v\d[^\n]*?)\1\),\s+method: "([A-Z]+)"/g
  const calls = new Set<SdkCall>()
  for (const source of sources(folder)) {
    for (const [, , path = '', method = ''] of source.matchAll(call)) calls.add(`${method} /${filled(path)}`)
  }
  return [...calls].sort()
}
