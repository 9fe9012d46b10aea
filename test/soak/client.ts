/** Whoever sends requests in a soak: to a replica that is ready, on kept connections, each request written down. */
import { setTimeout as pause } from 'node:timers/promises'
import { sendRequest } from '../fixtures/visitor.js'
import type { Answer } from '../fixtures/visitor.js'
import type { Kind, Records } from './records.js'
import type { Replica, Replicas } from './replicas.js'

/** What all clients have in common. */
export interface Setting {
  readonly records: Records
  readonly replicas: Replicas
  /** The gateway's public address with its base path. */
  readonly url: string
  /** A number from 0 up to 1, from a seed. */
  readonly random: () => number
}

/** A request that failed and has been written down: what was being done is given up. */
export class Failed extends Error {
  readonly status: number

  constructor(status: number, words: string) {
    super(words)
    this.status = status
  }
}

/** The kind of a request, by what it asks for. */
export function kindOf(method: string, path: string, query: string): Kind {
  if (path.startsWith('/auth/refresh')) return method === 'POST' ? 'renewal' : 'session'
  if (path.startsWith('/auth/session')) return 'session'
  if (path.startsWith('/auth/logout') || path.startsWith('/auth/signed-out')) return 'sign-out'
  if (path.startsWith('/auth/')) return 'sign-in'
  if (path.startsWith('/api/')) return 'api'
  if (path.startsWith('/chrome/')) return 'file'
  if (path.startsWith('/raw-attachment/')) return 'download'
  if (path.startsWith('/attachment/') && method === 'POST') return 'upload'
  return method === 'POST' || query.includes('action=edit') ? 'edit' : 'page'
}

/** A failure that belongs to no request. */
export const nothing = {
  kind: 'page',
  replica: -1,
  request: '',
  status: -1,
  isBearer: false,
  retryAfter: false,
  requestId: '',
} as const

/** One client: a browser or a program. */
export class Client {
  readonly name: string
  protected readonly setting: Setting
  /** The last replica that answered. */
  protected last: Replica | undefined
  /** Only this replica is asked, if there is one. */
  #only: Replica | undefined
  /** A status beyond the usual ones that is right just now. */
  #expected = 0

  constructor(setting: Setting, name: string) {
    this.setting = setting
    this.name = name
  }

  /** Acts again and again until it is told to end. What fails for any other reason than a request is written down too. */
  protected async repeat(ended: AbortSignal, interval: number, act: () => Promise<void>) {
    const { random, records } = this.setting
    await pause(random() * interval)
    while (!ended.aborted) {
      const from = records.now()
      try {
        await act()
      } catch (error) {
        if (!(error instanceof Failed)) {
          const words = error instanceof Error ? (error.stack ?? error.message) : String(error)
          records.fail({ ...nothing, client: this.name, from, to: records.now(), words })
        }
        // As Retry-After says.
        await pause(1000)
      }
      await pause(interval * 2 * random())
    }
  }

  /** Runs something whose answer must have this status, at this replica alone. */
  protected async expecting<T>(status: number, only: Replica, work: () => Promise<T>): Promise<T> {
    this.#expected = status
    this.#only = only
    try {
      return await work()
    } finally {
      this.#expected = 0
      this.#only = undefined
    }
  }

  /** Writes down that an answer was not what it should be. @throws Failed — always */
  protected wrong(answer: Answer, from: number, words: string): never {
    const { records, url } = this.setting
    const path = answer.url.pathname.slice(new URL(url).pathname.length)
    records.fail({
      from,
      to: records.now(),
      kind: kindOf('GET', path, answer.url.search),
      client: this.name,
      replica: this.last?.number ?? -1,
      request: answer.url.pathname,
      status: answer.status,
      isBearer: false,
      retryAfter: false,
      requestId: answer.headers['x-request-id'] ?? '',
      words,
    })
    throw new Failed(answer.status, words)
  }

  /** A {@link Transport}: the gateway's address leads to a replica, every other one to where it says. */
  protected readonly send = async (
    url: URL,
    method: string,
    headers: Readonly<Record<string, string>>,
    body: string | undefined,
  ): Promise<Answer> => {
    const { records, replicas } = this.setting
    const base = new URL(this.setting.url)
    if (url.host !== base.host) return sendRequest(url, method, headers, body)
    const [only, expected] = [this.#only, this.#expected]
    const from = records.now()
    const kind = kindOf(method, url.pathname.slice(base.pathname.length), url.search)
    const failure = {
      ...{ from, kind, client: this.name, request: `${method} ${url.pathname}` },
      isBearer: 'authorization' in headers,
    }
    let replica = only ?? replicas.pick()
    const ask = async () => {
      const asked = replica
      asked.open++
      try {
        return await sendRequest(url, method, headers, body, asked)
      } finally {
        asked.open--
      }
    }
    let answer: Answer
    try {
      try {
        answer = await ask()
      } catch (error) {
        // As a balancer does: nothing was sent there.
        if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') throw error
        replica = replicas.pick(replica)
        answer = await ask()
      }
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error)
      const none = { status: 0, retryAfter: false, requestId: '' }
      records.fail({ ...failure, ...none, to: records.now(), replica: replica.number, words })
      throw new Failed(0, words)
    }
    this.last = replica
    const { status } = answer
    const to = records.now()
    const isRight = expected === 0 ? status < 400 : status === expected
    if (isRight) {
      records.samples.push({ at: to, kind, ms: (to - from) * 1000 })
      return answer
    }
    const requestId = answer.headers['x-request-id'] ?? ''
    const retryAfter = 'retry-after' in answer.headers
    const words = expected === 0 ? `answered ${status}` : `answered ${status}, not ${expected}`
    const { number } = replica
    records.fail({ ...failure, to, replica: number, status, retryAfter, requestId, words })
    throw new Failed(status, words)
  }
}
