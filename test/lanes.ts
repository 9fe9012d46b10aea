/** Which test files run beside which, and which ones `npm run test:quick` runs. A new file needs no entry. */

/** Which files run beside which others. */
export type Lane = 'heavy' | 'working' | 'waiting'

/**
 * What runs at once, on two cores: each track takes files of its first lane, and then of its next. Heavy files come one
 * at a time, so that none is late because of another.
 */
export const tracks: readonly (readonly Lane[])[] = [
  ['heavy', 'working'],
  ['working'],
  ['waiting', 'working'],
  ['waiting', 'working'],
]

/** Folders whose files fill a core and more: with a browser, Keycloak or the whole demo. */
const heavy = ['browser/', 'demo/', 'providers/']

/** Folders of long files, which come first: at the end they would run alone. */
const long = ['bridge/', 'forward-auth/']

/** Files that mostly wait: for limits of Node's that are spans of real time, or for other processes to start. */
const waiting: readonly string[] = [
  'attack/cve-2025-66220-certificate-name',
  'attack/cve-2026-54762-missing-secret',
  'attack/held-connections',
  'attack/slow-clients',
  'cli/main',
  'cli/revoke',
  'flow/aborts',
  'flow/at-rest',
  'flow/early-answers',
  'flow/https',
  'flow/redis',
  'flow/replicas',
  'flow/restart-under-load',
  'flow/rolling-restart',
  'flow/stop',
  'flow/stores',
  'flow/survival',
  'flow/testssl',
]

const isIn = (name: string, folders: readonly string[]): boolean =>
  folders.some((folder) => name.startsWith(folder))

/** What a test is called: its path below `test/`, without an ending. */
export const nameOf = (file: string): string =>
  file.replace(/^test\//, '').replace(/\.(?:test|long)(?:\.[jt]s)?$/, '')

/** How many files of a folder one process runs, one after the other: fewer where each takes long. */
const batchSizes: Readonly<Record<string, number>> = {
  'bridge/': 2,
  'browser/': 2,
  'demo/': 1,
  'providers/': 1,
}
const batchSize = 8

/** Files that measure their own process, or change what belongs to all of it. */
const alone: readonly string[] = [
  'demo/trac',
  'flow/flat-memory',
  'flow/rate-limits',
  'flow/token-memory',
  'flow/tracing-off',
  'forward/request-headers',
]

const folderOf = (name: string): string => name.slice(0, name.lastIndexOf('/') + 1)

/** Files of one lane, divided into as many as a process runs: of one folder, and no more than it may be. */
function batch(names: readonly string[]): string[][] {
  const batches: string[][] = []
  let folder = ''
  let last: string[] = []
  for (const name of names) {
    const size = batchSizes[folder] ?? batchSize
    if (alone.includes(name)) {
      batches.push([name])
    } else if (folderOf(name) === folder && last.length > 0 && last.length < size) {
      last.push(name)
    } else {
      folder = folderOf(name)
      last = [name]
      batches.push(last)
    }
  }
  return batches
}

/** The files of each lane, in the order in which they are started; those that one process runs are together. */
export function divide(names: readonly string[]): Record<Lane, string[][]> {
  const lanes: Record<Lane, string[]> = { heavy: [], working: [], waiting: [] }
  const longFirst = [
    ...names.filter((name) => isIn(name, long)),
    ...names.filter((name) => !isIn(name, long)),
  ]
  for (const name of longFirst) {
    const lane = waiting.includes(name) ? 'waiting' : isIn(name, heavy) ? 'heavy' : 'working'
    lanes[lane].push(name)
  }
  return { heavy: batch(lanes.heavy), working: batch(lanes.working), waiting: batch(lanes.waiting) }
}

/** Files whose proofs of scale have a large form, which `npm run test:long` runs (test/fixtures/scale.ts). */
export const scaledFiles: readonly string[] = [
  'attack/cve-2026-54762-missing-secret',
  'attack/differential',
  'attack/head-as-page',
  'bridge/fail-closed',
  'bridge/threads',
  'cli/replay',
  'config/load',
  'deploy/archive',
  'flow/early-answers',
  'flow/explain',
  'flow/metric-series',
  'flow/rate-limits',
  'flow/renewal',
  'flow/replicas',
  'flow/rolling-restart',
  'flow/stumbling-provider',
  'flow/testssl',
  'request/path-patterns',
  'request/target',
]

/** Folders that need no Trac, no browser and no other program. */
const quickFolders = [
  'authorize/',
  'config/',
  'core/',
  'edge/',
  'forward/',
  'oidc/',
  'request/',
  'session/',
  'sign-in/',
]

/** One of each kind beside them: the relay's faults and large bodies, a sign-in, a tunnel, an attack, the program. */
const quickFiles: readonly string[] = [
  'attack/pipelining',
  'attack/session-fixation',
  'cli/check',
  'conformance/table',
  'docs',
  // Here, because only these run on all versions of Node, which differ in it.
  'flow/at-rest',
  'flow/bearer',
  'flow/large-bodies',
  'flow/login',
  'flow/upstream-faults',
  'flow/websocket',
  'layers',
  'trac/routes',
  'trac/user-names',
]

/** Whether a test belongs to the quick run. */
export function isQuick(name: string): boolean {
  return quickFiles.includes(name) || isIn(name, quickFolders)
}

/** @throws Error — a list names a file that is not there (any more) */
export function verifyLists(names: readonly string[]): void {
  const gone = [...waiting, ...alone, ...scaledFiles, ...quickFiles].filter(
    (name) => !names.includes(name),
  )
  if (gone.length > 0) throw new Error(`test/lanes.ts names ${gone.join(', ')}, which is not there`)
}
