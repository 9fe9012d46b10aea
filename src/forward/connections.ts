/** Connections to one upstream: kept ones for a GET without a body, one request at a time; fresh ones for all else. */
import { Client, buildConnector } from 'undici'
import type { Socket } from 'node:net'
import type { Milliseconds } from '../core/clock.js'
import type { UpstreamAddress } from '../core/upstream-address.js'
import { dropInterim, outliveWriteFaults } from './upstream-socket.js'
import type { AwaitsHead } from './upstream-socket.js'

/** Where an upstream is and how long it may take. */
export interface ConnectionOptions {
  readonly address: UpstreamAddress
  readonly connectTimeout: Milliseconds
  /** The interim answers that are dropped. */
  readonly interim: RegExp
  /** One more is open, or one less. */
  readonly onCount: (change: 1 | -1) => void
}

/** One connection. Its socket is known once it has connected. */
export interface Connection extends AwaitsHead {
  readonly client: Client
  socket: Socket | undefined
  /** Whether it may be kept when its answer is complete. */
  readonly reusable: boolean
}

/** The connections of one upstream. */
export type Connections = ReturnType<typeof createConnections>

/** Idle connections kept; beyond it they are closed when their answer is complete. */
const maxIdle = 64
/** An idle one is closed after this; servers that close sooner are noticed by the retry of a GET. */
const idleFor: Milliseconds = 10_000
/** Bytes of answer headers. */
const headerLimit = 64 * 1024

/** Builds the connections; none is opened before it is needed. TLS is verified by Node's own rules. */
export function createConnections(options: ConnectionOptions) {
  const { address } = options
  const isSocket = address.kind === 'unix'
  const origin = isSocket ? 'http://localhost' : address.url
  const servername = isSocket ? '' : address.serverName
  const connect = buildConnector({
    timeout: options.connectTimeout,
    ...(isSocket ? { socketPath: address.path } : {}),
  })
  const idle: Connection[] = []
  const open = new Set<Connection>()
  let closing = false

  const discard = (connection: Connection): void => {
    if (!open.delete(connection)) return
    const at = idle.indexOf(connection)
    if (at >= 0) idle.splice(at, 1)
    options.onCount(-1)
    void connection.client.destroy()
  }

  const create = (reusable: boolean): Connection => {
    const client = new Client(origin, {
      pipelining: 1,
      keepAliveTimeout: idleFor,
      maxHeaderSize: headerLimit,
      connect: (target, callback) => {
        // By itself undici would ask for, and check, the name in `Host`, which is the gateway's.
        connect({ ...target, servername }, (error, socket) => {
          if (error !== null) {
            callback(error, null)
            return
          }
          connection.socket = socket
          dropInterim(socket, connection, options.interim)
          if (!reusable) outliveWriteFaults(socket)
          callback(null, socket)
        })
      },
    })
    const connection: Connection = { client, socket: undefined, awaitsHead: true, reusable }
    // The client would quietly connect again: a connection here is one socket, and then it is over.
    client.on('disconnect', () => discard(connection))
    open.add(connection)
    options.onCount(1)
    return connection
  }

  return {
    /** A connection for one request. */
    take(reusable: boolean): Connection {
      const kept = reusable ? idle.pop() : undefined
      if (kept === undefined) return create(reusable)
      kept.awaitsHead = true
      return kept
    },
    /** Gives a connection back whose answer is complete. */
    release(connection: Connection): void {
      const { socket } = connection
      const alive = socket !== undefined && !socket.destroyed && open.has(connection)
      if (connection.reusable && alive && !closing && idle.length < maxIdle) idle.push(connection)
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
