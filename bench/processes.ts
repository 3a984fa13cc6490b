import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

const living = new Map<ChildProcess, NodeJS.Signals>()
const folders = new Set<string>()
/** Of /proc/PID/stat; Linux shows every process 100 a second, whatever the kernel's own clock. */
const ticksPerSecond = 100

/** From here on the child ends with this process, however that ends. `lastWord` is the signal it surely obeys at once. */
export function adopt<T extends ChildProcess>(child: T, lastWord: NodeJS.Signals = 'SIGKILL'): T {
  living.set(child, lastWord)
  child.once('exit', () => living.delete(child))
  child.once('error', () => living.delete(child))
  return child
}

/** From here on the folder goes when this process ends. */
export function adoptFolder(path: string): void {
  folders.add(path)
}

export function endWithThisProcess(): void {
  process.once('exit', () => {
    for (const [child, signal] of living) child.kill(signal)
    for (const path of folders) rmSync(path, { recursive: true, force: true, maxRetries: 3 })
  })
  for (const [signal, status] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const]) process.once(signal, () => process.exit(status))
}

/** Asks the child to end and waits; after `graceMs` it is not asked any more. */
export async function stop(child: ChildProcess, graceMs = 5000): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
  await ended
  clearTimeout(timer)
}

/** Resolves when something accepts connections on the port; throws when the child ended before, or nothing did within 20 s. */
export async function untilListening(child: ChildProcess, port: number): Promise<void> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; ) {
    if (child.exitCode !== null) throw new Error(`a contender ended with status ${child.exitCode} before it listened`)
    if (await accepts(port)) return
    await delay(50)
  }
  throw new Error('a contender did not listen within 20 s')
}

function accepts(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** CPU time, user and system, that all threads of the process and of its children have used, in microseconds. */
export function cpuUs(pid: number): number {
  let ticks = 0
  for (const each of family(pid)) {
    // the name of the program, in parentheses, may hold spaces
    const fields = readFileSync(`/proc/${each}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? []
    ticks += Number(fields[11]) + Number(fields[12])
  }
  return (ticks * 1_000_000) / ticksPerSecond
}

/** Resident memory of the process and its children, in bytes. */
export function residentBytes(pid: number): number {
  let kibibytes = 0
  for (const each of family(pid)) kibibytes += Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${each}/status`, 'latin1'))?.[1] ?? 0)
  return kibibytes * 1024
}

function family(pid: number): number[] {
  const children: number[] = []
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const list = readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').trim()
    if (list !== '') children.push(...list.split(' ').map(Number))
  }
  return [pid, ...children]
}
