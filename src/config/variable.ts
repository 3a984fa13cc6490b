/** Takes a variable out of the environment: children would inherit a secret, and crash reports print it. An empty one is `undefined`. */
export function takeVariable(name: string): string | undefined {
  const value = process.env[name]
  delete process.env[name]
  return value === '' ? undefined : value
}

/** Whether `SOAKP_LOG_LEVEL` asks for the stack of an unforeseen error; asked where the settings themselves may be what failed. */
export function wantsStack(): boolean {
  return /^(?:debug|trace)$/.test(process.env.SOAKP_LOG_LEVEL ?? '')
}
