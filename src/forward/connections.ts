/** Connections to one upstream: kept ones for a GET without a body, one request at a time; fresh ones for all else. */
import type { Milliseconds, Timers } from '../core/clock.js'
import type { UpstreamAddress } from '../core/upstream-address.js'
import type { Connection } from './connection.js'
import { OwnConnection } from './own-connection.js'
import { Ticks } from './ticks.js'
import { UndiciConnection, undiciOrigin } from './undici-connection.js'
import type { InterimRule } from './upstream-socket.js'

/** Where an upstream is and how long it may take. */
export interface ConnectionOptions {
  readonly address: UpstreamAddress
  readonly connectTimeout: Milliseconds
  readonly interim: InterimRule
  /** Whose connections are kept: our own need a plain socket, so TLS has undici's whatever stands here. */
  readonly client: 'own' | 'undici'
  readonly timers: Timers
  /** One more is open, or one less. */
  readonly onCount: (change: 1 | -1) => void
}

/** The connections of one upstream. */
export type Connections = ReturnType<typeof createConnections>

/** Idle connections kept; beyond it they are closed when their answer is complete. */
const maxIdle = 64
/**
 * Where answers are late on kept connections, a fresh one is opened as long as no more than these are in use. Then kept ones
 * are better: tracd lets five wait to be accepted, and a sixth comes again after a second.
 */
const fewInUse = 4

/** Builds the connections; none is opened before it is needed. */
export function createConnections(options: ConnectionOptions) {
  const { address, connectTimeout, interim, timers } = options
  const isOwn = options.client === 'own' && (address.kind === 'unix' || !address.tls)
  const undici = undiciOrigin(address)
  const idle: Connection[] = []
  // A number, and a mark on each: a set of them would be made anew every few dozen requests (see gate.ts).
  let open = 0
  const own = new Set<OwnConnection>()
  let closing = false
  let isLateWhenKept = false
  const ticks = new Ticks(timers, (now) => {
    for (const connection of own) connection.tick(now)
  })

  const discard = (connection: Connection): void => {
    if (!connection.isOpen) return
    connection.isOpen = false
    open--
    const at = idle.indexOf(connection)
    if (at >= 0) idle.splice(at, 1)
    options.onCount(-1)
    connection.destroy()
  }

  const createOwn = (): Connection => {
    const connection = new OwnConnection({
      address,
      connectTimeout,
      dropsInterim: interim.drops,
      ticks,
      onClosed(closed) {
        own.delete(closed)
        if (own.size === 0) ticks.stop()
        discard(closed)
      },
    })
    own.add(connection)
    ticks.start()
    return connection
  }
  const create = (reusable: boolean): Connection => {
    const connection =
      isOwn && reusable
        ? createOwn()
        : new UndiciConnection({
            ...undici,
            connectTimeout,
            timers,
            interim: interim.bytes,
            reusable,
            onClosed: discard,
          })
    open++
    options.onCount(1)
    return connection
  }

  const prefersFresh = (inUse: number): boolean => isLateWhenKept && inUse <= fewInUse

  return {
    /** A connection for one request. */
    take(reusable: boolean): Connection {
      const isFresh = !reusable || prefersFresh(open - idle.length + 1)
      const kept = isFresh ? undefined : idle.pop()
      return kept ?? create(reusable)
    },
    /** Gives a connection back whose answer is complete. */
    release(connection: Connection): void {
      const { reusable, isAlive } = connection
      isLateWhenKept ||= connection.isLateWhenKept
      const isGood = reusable && isAlive && connection.isOpen && !closing
      const isKept = isGood && !prefersFresh(open - idle.length)
      if (isKept && idle.length < maxIdle) idle.push(connection)
      else discard(connection)
    },
    discard,
    /** Closes those that are idle; those in use are closed when their answer is complete. */
    close(): void {
      closing = true
      for (const connection of idle.splice(0)) discard(connection)
    },
  }
}
