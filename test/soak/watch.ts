/** Measures the memory of each gateway while a soak runs. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Records } from './records.js'
import type { Replica, Replicas } from './replicas.js'

const mebibyte = 1024 * 1024

/** How often, in seconds: in a long run, and in one that is looked at second by second. */
const spansOf = (seconds: number) =>
  seconds > 1200 ? { resident: 5, collected: 60 } : { resident: 1, collected: 15 }

const runs = ({ isReady, process: gateway }: Replica): boolean => isReady && gateway.end === ''

async function measure(records: Records, replica: Replica, isDue: boolean): Promise<void> {
  const { number, process: gateway } = replica
  const isKilled = () => gateway !== replica.process || !runs(replica)
  const held = isDue
    ? await gateway.heldMemory().catch((error: unknown) => {
        if (!isKilled()) throw error
      })
    : undefined
  // One that is killed meanwhile tells nothing more.
  if (isKilled()) return
  records.memory.push({
    at: records.now(),
    replica: number,
    pid: gateway.pid,
    resident: gateway.residentMemory() / mebibyte,
    held: held === undefined ? undefined : held / mebibyte,
  })
}

/**
 * Writes down the resident memory of each gateway that runs, and from time to time has it collect its garbage and writes down what
 * it still holds: V8 puts off collecting for minutes, and what it puts off says nothing about what is kept for ever.
 */
export async function watchMemory(
  seconds: number,
  records: Records,
  replicas: Replicas,
  ended: AbortSignal,
): Promise<void> {
  const spans = spansOf(seconds)
  let collectAt = 0
  while (!ended.aborted) {
    const isDue = records.now() >= collectAt
    if (isDue) collectAt += spans.collected
    await Promise.all(replicas.all.filter(runs).map((replica) => measure(records, replica, isDue)))
    await pause(spans.resident * 1000, undefined, { signal: ended }).catch(() => undefined)
  }
}
