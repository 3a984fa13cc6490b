import { readFileSync, readlinkSync } from 'node:fs'

/**
 * Which process this is, among all that ever were: `BOOT NAMESPACE PID START`. A process id alone comes again, and in another container means another process.
 * Where the system does not tell (only Linux does), it is a name that nobody can say to be dead.
 */
export function processName(): string {
  const place = placeName()
  const start = startOf(process.pid)
  return place === undefined || start === undefined ? `unknown ${process.pid}` : `${place} ${process.pid} ${start}`
}

/** Certain only of processes of this boot and this namespace; of others it is not known. */
export function lifeOf(name: string): 'alive' | 'dead' | 'unknown' {
  const [boot, namespace, pid, start] = name.split(' ')
  if (start === undefined || `${boot} ${namespace}` !== placeName()) return 'unknown'
  return startOf(Number(pid)) === start ? 'alive' : 'dead'
}

function placeName(): string | undefined {
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    return undefined
  }
}

/** When it was started, in clock ticks since the boot (proc(5), field 22 of stat). Undefined: there is no such process, or it is only waited for. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // the name in brackets may hold anything
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
  } catch {
    return undefined
  }
}
