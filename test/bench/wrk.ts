/** Load as fast as it is answered, by wrk: a fixed number of connections, one request at a time on each. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { otherCore } from './machine.js'

/** What is sent. */
export interface Load {
  /** Where it is sent; wrk connects to 127.0.0.1 whatever the host is called. */
  readonly url: URL
  /** Names a file with a header on each line, which the requests bring in turn. */
  readonly headersFile: string
  /** Each line is sent once, and that is the end. */
  readonly once: boolean
  /** Bytes of the body; 0: a GET. */
  readonly bodySize: number
  readonly connections: number
  readonly milliseconds: number
}

/** What came of it; times of an answer are in microseconds. */
export interface LoadResult {
  readonly requests: number
  readonly microseconds: number
  readonly p50: number
  readonly p99: number
  /** Answers that were no 2xx or 3xx. */
  readonly refused: number
  /** Connections that failed. */
  readonly broken: number
}

// Not compiled: it stands in the source folder alone.
const script = fileURLToPath(new URL('../../../test/bench/wrk.lua', import.meta.url))

/** Sends it. */
export async function load(what: Load): Promise<LoadResult> {
  const { url, headersFile, once, bodySize, connections, milliseconds } = what
  const to = `${url.protocol}//127.0.0.1:${url.port}${url.pathname}${url.search}`
  const own = [
    '-t1',
    '--timeout',
    '10s',
    `-c${connections}`,
    `-d${Math.ceil(milliseconds / 1000)}s`,
    '-s',
    script,
    to,
  ]
  const args = ['--', headersFile, once ? 'once' : 'again', String(bodySize), url.host]
  const run = promisify(execFile)
  const { stdout } = await run('taskset', ['-c', otherCore, 'wrk', ...own, ...args])
  const line = stdout.split('\n').find((one) => one.startsWith('{'))
  if (line === undefined) throw new Error(`wrk said: ${stdout}`)
  return JSON.parse(line) as LoadResult
}
