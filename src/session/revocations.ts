/** What was ended before its time: sign-ins by any identifier they had, and people by name (deploy/docs/sessions.md#revocation). */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { GatewayError } from '../core/errors.js'
import type { Milliseconds, Now } from '../core/clock.js'

/** How one token or session can be recognised. */
export interface TokenIdentifiers {
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
export function identifiersOf(
  issuer: string,
  claims: Readonly<Record<string, unknown>>,
): TokenIdentifiers {
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
function keyOf(identifiers: { readonly issuer: string }, id: string): string {
  return `${identifiers.issuer.length} ${identifiers.issuer} ${id}`
}

/** One entry: a trace is refused, if `before` is set only what is not later than it. */
interface Entry {
  readonly key: string
  readonly before: Milliseconds | undefined
  readonly until: Milliseconds
}

/** Where entries outlive the process. */
export interface RevocationLog {
  /** Hands over what is kept, each line at least once: before it returns, or later and again and again if others write, too. */
  start(learn: (line: string) => void): void
  /** Keeps a line before it is answered. @throws {@link GatewayError} ERR_STORE_UNAVAILABLE */
  append(line: string): Promise<void>
  /**
   * Undefined if what others wrote is known here; else resolves when it is.
   * @throws {@link GatewayError} ERR_STORE_UNAVAILABLE — it can't be known now
   */
  catchUp(): Promise<void> | undefined
}

/** The revocations known to this process. */
export interface Revocations {
  /** Grows with every entry: what was checked against this number need not be checked again. */
  readonly generation: number
  /** Whether an entry is kept over a restart. */
  readonly durable: boolean
  /** Ends a sign-in: everything with one of its identifiers, and the person's nameless tokens until now. */
  endSignIn(identifiers: TokenIdentifiers, until: Milliseconds): Promise<void>
  /** Ends everything of a person at the provider up to now. */
  endPerson(issuer: string, subject: string, until: Milliseconds): Promise<void>
  /** Ends all with one identifier of a sign-in, such as `sid 08a5…`. */
  endIdentifier(issuer: string, id: string, until: Milliseconds): Promise<void>
  /** Ends everything of a user up to now; the name as Trac knows it. */
  endUser(user: string): Promise<void>
  /** Ends a single identifier, such as a session's id. */
  endId(id: string, until: Milliseconds): Promise<void>
  /** As {@link RevocationLog.catchUp}. */
  catchUp(): Promise<void> | undefined
  isRevoked(identifiers: TokenIdentifiers, user: string): boolean
  isIdRevoked(id: string): boolean
}

/** Entries kept; beyond it the oldest go. Only a sign-out or an operator adds any. */
const maxEntries = 1_000_000
const pruneEvery: Milliseconds = 60_000

function readLines(path: string): readonly string[] {
  try {
    // A last line without its end was cut by a crash before anybody was told it was kept.
    return readFileSync(path, 'utf8').split('\n').slice(0, -1).filter(Boolean)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw cause
  }
}

function rewrite(path: string, lines: readonly string[]): void {
  const next = openSync(`${path}.new`, 'w', 0o600)
  writeSync(next, lines.map((line) => `${line}\n`).join(''))
  fsyncSync(next)
  closeSync(next)
  renameSync(`${path}.new`, path)
}

/** A file of JSON lines, each on disk before the sign-out is answered; what has run out by `now` is dropped at the start. */
export function createRevocationFile(path: string, now: Now): RevocationLog {
  let file: number | undefined
  return {
    start(learn) {
      const lines = readLines(path)
      for (const line of lines) learn(line)
      rewrite(
        path,
        lines.filter((line) => parseEntry(line).until >= now()),
      )
    },
    append(line) {
      try {
        file ??= openSync(path, 'a', 0o600)
        writeSync(file, `${line}\n`)
        fsyncSync(file)
        return Promise.resolve()
      } catch (cause) {
        return Promise.reject(new GatewayError('ERR_STORE_UNAVAILABLE', { cause }))
      }
    },
    catchUp: () => undefined,
  }
}

function formatEntry({ key, until, before }: Entry): string {
  return JSON.stringify([key, until, before ?? 0])
}

/** A line that can't be read could have been a revocation: rather no start than a sign-out forgotten. */
function parseEntry(line: string): Entry {
  try {
    const [key, until, before] = JSON.parse(line) as [string, number, number]
    return { key, until, before: before || undefined }
  } catch (cause) {
    throw new Error('a line among the revocations that are kept is none', { cause })
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
    if (merged.until === old?.until && merged.before === old.before) return
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
      if (entries.size <= maxEntries) break
      entries.delete(key)
    }
  }
  const add = async (...more: readonly Entry[]): Promise<void> => {
    // In memory first: a disk that is full must not keep alive here what somebody ended.
    for (const entry of more) take(entry)
    prune()
    if (log === undefined) return
    for (const entry of more) await log.append(formatEntry(entry))
  }
  const holds = (key: string, since: Milliseconds): boolean => {
    const entry = entries.get(key)
    if (entry === undefined || entry.until < now()) return false
    return entry.before === undefined || since <= entry.before
  }

  log?.start((line) => {
    const entry = parseEntry(line)
    if (entry.until < now()) return
    take(entry)
    prune()
  })

  return {
    get generation() {
      return generation
    },
    durable: log !== undefined,
    endSignIn: (identifiers, until) =>
      add(
        ...identifiers.ids.map((id) => ({ key: keyOf(identifiers, id), before: undefined, until })),
        {
          key: keyOf(identifiers, `sub ${identifiers.subject}`),
          before: now(),
          until,
        },
      ),
    endPerson: (issuer, subject, until) =>
      add({ key: keyOf({ issuer }, `person ${subject}`), before: now(), until }),
    endIdentifier: (issuer, id, until) =>
      add({ key: keyOf({ issuer }, id), before: undefined, until }),
    endUser: (user) =>
      add({ key: `user ${user.toLowerCase()}`, before: now(), until: now() + life }),
    endId: (id, until) => add({ key: `id ${id}`, before: undefined, until }),
    catchUp: () => log?.catchUp(),
    isRevoked(identifiers, user) {
      if (entries.size === 0) return false
      return (
        identifiers.ids.some((id) => holds(keyOf(identifiers, id), 0)) ||
        (!identifiers.namesSignIn &&
          holds(keyOf(identifiers, `sub ${identifiers.subject}`), identifiers.since)) ||
        holds(keyOf(identifiers, `person ${identifiers.subject}`), identifiers.since) ||
        holds(`user ${user.toLowerCase()}`, identifiers.since)
      )
    },
    isIdRevoked: (id) => holds(`id ${id}`, 0),
  }
}
