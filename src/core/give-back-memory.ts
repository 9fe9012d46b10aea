/** What a start leaves behind: modules were read and compiled, and V8 has made its new space large for that. */
import type { Milliseconds, Timers } from './clock.js'

/** V8 gives it back by itself after 8 to 16 seconds in Node 20 and 22, but after 100 in Node 24. */
const isLate = Number(process.versions.node.split('.', 1)[0]) >= 24

const lookEvery: Milliseconds = 1000
/** The part of its time that a process works which is quiet. */
const quiet = 0.05

/**
 * Collects all garbage there is and gives the memory back to the system, once, after the first quiet second; where V8 takes
 * long to, and if Node runs with `--expose-gc`, as our unit and our image have it. That stops the process for some 70 ms.
 * @returns gives it up
 */
export function giveBackMemory(timers: Timers): () => void {
  const { gc } = globalThis
  if (!isLate || gc === undefined) return () => undefined
  let before = performance.eventLoopUtilization()
  const timer = timers.setInterval(() => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, before)
    before = now
    if (utilization > quiet) return
    timers.clearInterval(timer)
    gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  }, lookEvery)
  timer.unref()
  return () => timers.clearInterval(timer)
}
