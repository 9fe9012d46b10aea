/**
 * Loaded into a process (`--import`): at one SIGUSR2 it begins to take a profile, at the next one it writes it.
 * The address says which and where: `profiled.js?kind=cpu&to=FILE`; `kind=allocations` counts what was collected, too.
 */
import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'

const asked = new URL(import.meta.url).searchParams
const to = asked.get('to') ?? ''
/** Bytes between two samples of what is allocated, on average. */
const samplingInterval = 4096

const session = new Session()
session.connect()
const isCpu = asked.get('kind') === 'cpu'
if (isCpu) session.post('Profiler.enable')

function begin(): void {
  if (isCpu) session.post('Profiler.start')
  else {
    session.post('HeapProfiler.startSampling', {
      samplingInterval,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    })
  }
}

function end(): void {
  const write = (error: Error | null, result?: { profile: object }): void => {
    writeFileSync(to, JSON.stringify(error === null ? result!.profile : { error: String(error) }))
  }
  if (isCpu) session.post('Profiler.stop', write)
  else session.post('HeapProfiler.stopSampling', write)
}

let runs = false
process.on('SIGUSR2', () => {
  if (runs) end()
  else begin()
  runs = !runs
})
