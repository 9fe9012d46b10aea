/** The connection to Redis or Valkey: whatever goes wrong there is "the store can't be reached", never "no session". */
import { createRequire } from 'node:module'
import type * as Ioredis from 'ioredis'
import type { Cluster, Redis } from 'ioredis'
import { GatewayError } from '../core/errors.js'
import type { Milliseconds } from '../core/clock.js'
import type { RedisAddress } from '../core/redis-address.js'
import { defineCommands } from './redis-commands.js'

/** A client that reaches every key. */
export type RedisClient = Redis | Cluster

/** How Redis is reached. */
export interface RedisLinkOptions {
  readonly address: RedisAddress
  /** PEM of the authority that signed the servers' certificates; undefined: the platform's own list. */
  readonly authority: string | undefined
  /** What every key of this gateway begins with. */
  readonly prefix: string
  /** Hears of faults of the connection, for the log; a reconnect follows by itself. */
  readonly onFault: (cause: unknown) => void
}

/** Redis as the sessions see it. */
export interface RedisLink {
  readonly prefix: string
  readonly client: RedisClient
  /** Whether it is connected now. */
  isReady(): boolean
  /**
   * Runs a command.
   * @throws {@link GatewayError} ERR_STORE_UNAVAILABLE — whatever went wrong
   */
  ask<T>(work: (client: RedisClient) => Promise<T>): Promise<T>
  /**
   * Every key that begins so, on all servers of a cluster. For an operator's work only: it reads all keys there are.
   * @throws {@link GatewayError} ERR_STORE_UNAVAILABLE
   */
  keys(start: string): AsyncIterable<string>
  /** Opens a connection of its own, on which it hears what is published on a channel. */
  subscribe(channel: string, onMessage: () => void): void
  close(): void
}

const unavailable = (cause: unknown): GatewayError =>
  new GatewayError('ERR_STORE_UNAVAILABLE', { cause, retryAfter: 2 })

/** Reads what Redis gave. @throws {@link GatewayError} ERR_STORE_UNAVAILABLE — it is damaged */
export function readKept<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw unavailable(cause)
  }
}

/** A command that has no answer after this has failed. */
const timeout: Milliseconds = 1500
/** Between two attempts to connect. */
const minRetryDelay: Milliseconds = 50
const maxRetryDelay: Milliseconds = 1000

function retryDelay(attempt: number): Milliseconds {
  return Math.min(minRetryDelay * attempt, maxRetryDelay)
}

function optionsOf(address: RedisAddress, authority: string | undefined) {
  return {
    ...(address.username === undefined ? {} : { username: address.username }),
    ...(address.password === undefined ? {} : { password: address.password }),
    // The server's certificate is verified against the name or address in the URL.
    ...(address.tls ? { tls: authority === undefined ? {} : { ca: authority } } : {}),
    connectTimeout: timeout,
    commandTimeout: timeout,
    // A connection that the server closed for idleness is made again under the waiting command.
    maxRetriesPerRequest: 1,
    retryStrategy: retryDelay,
    // The client's own way to subscribe again leaves a refusal to nobody: a rejection that ends the process.
    autoResubscribe: false,
    // After a failover the old master may still be there, but no longer takes a write.
    reconnectOnError: (error: Error) =>
      error.message.startsWith('READONLY') ? (2 as const) : false,
  }
}

/** Loaded where Redis is used, and only there: it takes an eighth of what a start takes. */
const load = createRequire(import.meta.url)

function connect(address: RedisAddress, authority: string | undefined): RedisClient {
  const { Cluster, Redis } = load('ioredis') as typeof Ioredis
  const options = optionsOf(address, authority)
  const [first] = address.hosts
  if (address.kind === 'cluster') {
    return new Cluster([...address.hosts], {
      redisOptions: options,
      clusterRetryStrategy: retryDelay,
      // With TLS a node is asked for by the name that its certificate has.
      ...(address.tls ? { dnsLookup: (name, done) => done(null, name) } : {}),
    })
  }
  if (address.kind === 'sentinel') {
    return new Redis({
      ...options,
      sentinels: [...address.hosts],
      name: address.master,
      sentinelRetryStrategy: retryDelay,
      ...('tls' in options ? { sentinelTLS: options.tls, enableTLSForSentinelMode: true } : {}),
    })
  }
  return new Redis({ ...options, host: first!.host, port: first!.port, db: address.db })
}

/** Keys looked at in one step. */
const scanSize = 500

async function* scan(node: Redis, start: string): AsyncGenerator<string> {
  const pattern = `${start.replaceAll(/[\\*?[\]^-]/g, '\\$&')}*`
  let cursor = '0'
  do {
    const [next, keys] = await node.scan(cursor, 'MATCH', pattern, 'COUNT', scanSize)
    yield* keys
    cursor = next
  } while (cursor !== '0')
}

/** Connects in the background, and tries again until it is closed. */
export function connectRedis(options: RedisLinkOptions): RedisLink {
  const open = (): RedisClient => {
    const client = connect(options.address, options.authority)
    client.on('error', options.onFault)
    defineCommands(client)
    return client
  }
  const client = open()
  const clients = [client]
  return {
    prefix: options.prefix,
    client,
    isReady: () => client.status === 'ready',
    async ask(work) {
      try {
        return await work(client)
      } catch (cause) {
        throw unavailable(cause)
      }
    },
    async *keys(start) {
      try {
        for (const node of 'nodes' in client ? client.nodes('master') : [client]) {
          yield* scan(node, start)
        }
      } catch (cause) {
        throw unavailable(cause)
      }
    },
    subscribe(channel, onMessage) {
      const listener = open()
      clients.push(listener)
      listener.on('message', onMessage)
      // Whoever reads the channel also looks by himself: what can't be subscribed to waits for the next connection.
      listener.on('ready', () => void listener.subscribe(channel).catch(options.onFault))
    },
    close() {
      for (const one of clients) one.disconnect()
    },
  }
}
