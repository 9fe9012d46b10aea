/** What the machine says of processes: the CPU time they used, their memory, and what others did meanwhile (proc(5)). */
import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'

/** The proxy has one core for itself; the load and the upstream share the other. */
export const proxyCore = '0'
export const otherCore = '1'

/** Milliseconds of a clock tick. */
const tick = 10

/** The fields of `/proc/PID/stat` behind the name; undefined if there is no such process. */
function statOf(pid: number | string): readonly string[] | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
  } catch {
    return undefined
  }
}

/** CPU milliseconds that a process has used, and its children that have ended. */
function cpuOfOne(pid: number | string): number {
  const fields = statOf(pid)
  if (fields === undefined) return 0
  return [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0) * tick
}

/** CPU milliseconds that processes have used. */
export function cpuOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuOfOne(pid), 0)
}

function memoryOf(pids: readonly number[], name: 'VmHWM' | 'VmRSS'): number {
  const form = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm')
  const kibibytes = pids.map((pid) =>
    Number(form.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0),
  )
  return kibibytes.reduce((sum, own) => sum + own, 0) / 1024
}

/** The most memory that processes had, in MiB. */
export const peakMemoryOf = (pids: readonly number[]): number => memoryOf(pids, 'VmHWM')

/** The memory that processes have, in MiB. */
export const residentMemoryOf = (pids: readonly number[]): number => memoryOf(pids, 'VmRSS')

/** The processes below one, without it. */
export function childrenOf(pid: number): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && statOf(name)?.[1] === String(pid))
    .map(Number)
}

/** CPU milliseconds of each process that is not below this one. */
function cpuOfOthers(): ReadonlyMap<string, number> {
  const parents = new Map<string, string | undefined>()
  for (const name of readdirSync('/proc')) {
    if (/^\d+$/.test(name)) parents.set(name, statOf(name)?.[1])
  }
  const isOurs = (pid: string | undefined): boolean =>
    pid !== undefined && (pid === String(process.pid) || isOurs(parents.get(pid)))
  // The first process is given the time of orphans when they end, whenever they used it.
  const others = [...parents.keys()].filter((pid) => pid !== '1' && !isOurs(pid))
  return new Map(others.map((pid) => [pid, cpuOfOne(pid)]))
}

/** Begins to watch what other processes use; the answer tells their CPU milliseconds since. */
export function watchOthers(): () => number {
  const before = cpuOfOthers()
  return () => {
    let sum = 0
    for (const [pid, cpu] of cpuOfOthers()) sum += Math.max(0, cpu - (before.get(pid) ?? 0))
    return sum
  }
}

/** Puts this process on a core. */
export function pinSelf(core: string): void {
  execFileSync('taskset', ['-a', '-cp', core, String(process.pid)], { stdio: 'ignore' })
}
