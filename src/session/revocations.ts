/** What was ended before its time: sign-ins by any identifier they had, and people by name (design §7, Logout). */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { GatewayError } from '../errors.js'
import type { Milliseconds, Now } from '../identity.js'

/** How one token or session can be recognised. */
export interface Traces {
  readonly issuer: string
  /** Identifiers of the sign-in and of the token, such as `sid 08a5…`; unique within the issuer. */
  readonly ids: readonly string[]
  /** `sub` of the person. */
  readonly subject: string
  /** Whether `ids` name the sign-in; without, a later sign-out of the person counts. */
  readonly namesSignIn: boolean
  /** `auth_time`, else `iat`. */
  readonly since: Milliseconds
}

/** Reads the traces out of a token's claims. */
export function tracesOf(issuer: string, claims: Readonly<Record<string, unknown>>): Traces {
  const ids: string[] = []
  const add = (kind: string, value: unknown) => {
    if (typeof value === 'string' && value !== '') ids.push(`${kind} ${value}`)
  }
  add('origin_jti', claims['origin_jti'])
  add('sid', claims['sid'])
  const authTime = claims['auth_time']
  if (typeof authTime === 'number') add('auth_time', `${String(claims['sub'])} ${authTime}`)
  const namesSignIn = ids.length > 0
  add('jti', claims['jti'])
  const since = typeof authTime === 'number' ? authTime : Number(claims['iat'])
  return {
    issuer,
    ids,
    subject: String(claims['sub']),
    namesSignIn,
    since: Number.isFinite(since) ? since * 1000 : 0,
  }
}

/** Length first, so that no issuer and identifier can read as another pair. */
function keyOf(traces: { readonly issuer: string }, id: string): string {
  return `${traces.issuer.length} ${traces.issuer} ${id}`
}

/** One entry: a trace is refused, if `before` is set only what is not later than it. */
interface Entry {
  readonly key: string
  readonly before: Milliseconds | undefined
  readonly until: Milliseconds
}

/** Where entries outlive the process. */
export interface RevocationLog {
  load(): readonly string[]
  append(line: string): void
  rewrite(lines: readonly string[]): void
}

/** The revocations known to this process. */
export interface Revocations {
  /** Grows with every entry: what was checked against this number need not be checked again. */
  readonly generation: number
  /** Whether an entry is kept over a restart. */
  readonly durable: boolean
  /** Ends a sign-in: everything with one of its identifiers, and the person's nameless tokens until now. */
  endSignIn(traces: Traces, until: Milliseconds): void
  /** Ends everything of a person at the provider up to now. */
  endPerson(issuer: string, subject: string, until: Milliseconds): void
  /** Ends all with one identifier of a sign-in, such as `sid 08a5…`. */
  endTrace(issuer: string, id: string, until: Milliseconds): void
  /** Ends everything of a user up to now; the name as Trac knows it. */
  endUser(user: string): void
  /** Ends a single identifier, such as a session's id. */
  endId(id: string, until: Milliseconds): void
  isRevoked(traces: Traces, user: string): boolean
  isIdRevoked(id: string): boolean
}

/** Entries kept; beyond it the oldest go. Only a sign-out or an operator adds any. */
const mostEntries = 1_000_000
const pruneEvery: Milliseconds = 60_000

/** A file of JSON lines, each on disk before the sign-out is answered. */
export function createRevocationFile(path: string): RevocationLog {
  let file: number | undefined
  return {
    load() {
      try {
        // A last line without its end was cut by a crash before anybody was told it was kept.
        return readFileSync(path, 'utf8').split('\n').slice(0, -1).filter(Boolean)
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return []
        throw cause
      }
    },
    append(line) {
      try {
        file ??= openSync(path, 'a', 0o600)
        writeSync(file, `${line}\n`)
        fsyncSync(file)
      } catch (cause) {
        throw new GatewayError('ERR_STORE_UNAVAILABLE', { cause })
      }
    },
    rewrite(lines) {
      if (file !== undefined) closeSync(file)
      const next = openSync(`${path}.new`, 'w', 0o600)
      writeSync(next, lines.map((line) => `${line}\n`).join(''))
      fsyncSync(next)
      closeSync(next)
      renameSync(`${path}.new`, path)
      file = undefined
    },
  }
}

/** A line that can't be read could have been a revocation: rather no start than a sign-out forgotten. */
function parseLine(line: string): [string, number, number] {
  try {
    return JSON.parse(line) as [string, number, number]
  } catch (cause) {
    throw new Error('session.revocationFile has a line that is no revocation', { cause })
  }
}

/** Creates the list and loads what the log kept. `life` is how long an entry can matter. */
export function createRevocations(
  now: Now,
  life: Milliseconds,
  log: RevocationLog | undefined,
): Revocations {
  const entries = new Map<string, Entry>()
  let generation = 0
  let prunedAt = now()

  const take = (entry: Entry): void => {
    const old = entries.get(entry.key)
    // An entry never shrinks: what ended stays ended for the longer of the two.
    const merged = {
      key: entry.key,
      before: Math.max(entry.before ?? 0, old?.before ?? 0) || undefined,
      until: Math.max(entry.until, old?.until ?? 0),
    }
    entries.delete(entry.key)
    entries.set(entry.key, merged)
    generation++
  }
  const prune = (): void => {
    if (now() - prunedAt > pruneEvery) {
      prunedAt = now()
      for (const [key, entry] of entries) if (entry.until < now()) entries.delete(key)
    }
    for (const key of entries.keys()) {
      if (entries.size <= mostEntries) break
      entries.delete(key)
    }
  }
  const add = (entry: Entry): void => {
    // In memory first: a disk that is full must not keep alive here what somebody ended.
    take(entry)
    prune()
    log?.append(JSON.stringify([entry.key, entry.until, entry.before ?? 0]))
  }
  const holds = (key: string, since: Milliseconds): boolean => {
    const entry = entries.get(key)
    if (entry === undefined || entry.until < now()) return false
    return entry.before === undefined || since <= entry.before
  }

  for (const line of log?.load() ?? []) {
    const [key, until, before] = parseLine(line)
    if (until >= now()) take({ key, until, before: before || undefined })
  }
  log?.rewrite(
    [...entries.values()].map((entry) =>
      JSON.stringify([entry.key, entry.until, entry.before ?? 0]),
    ),
  )

  return {
    get generation() {
      return generation
    },
    durable: log !== undefined,
    endSignIn(traces, until) {
      for (const id of traces.ids) add({ key: keyOf(traces, id), before: undefined, until })
      add({ key: keyOf(traces, `sub ${traces.subject}`), before: now(), until })
    },
    endPerson(issuer, subject, until) {
      add({ key: keyOf({ issuer }, `person ${subject}`), before: now(), until })
    },
    endTrace(issuer, id, until) {
      add({ key: keyOf({ issuer }, id), before: undefined, until })
    },
    endUser(user) {
      add({ key: `user ${user.toLowerCase()}`, before: now(), until: now() + life })
    },
    endId(id, until) {
      add({ key: `id ${id}`, before: undefined, until })
    },
    isRevoked(traces, user) {
      if (entries.size === 0) return false
      return (
        traces.ids.some((id) => holds(keyOf(traces, id), 0)) ||
        (!traces.namesSignIn && holds(keyOf(traces, `sub ${traces.subject}`), traces.since)) ||
        holds(keyOf(traces, `person ${traces.subject}`), traces.since) ||
        holds(`user ${user.toLowerCase()}`, traces.since)
      )
    },
    isIdRevoked: (id) => holds(`id ${id}`, 0),
  }
}
