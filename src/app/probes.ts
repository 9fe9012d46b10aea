/** What is tried in the background: keys and Trac until both were reached once, then keys ahead of their end. */
import { request } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { backOff } from '../core/back-off.js'
import type { Milliseconds, Now, Timer, Timers } from '../core/clock.js'
import type { UpstreamAddress } from '../core/upstream-address.js'
import type { Upstream } from '../forward/upstream.js'
import type { Readiness } from '../observe/readiness.js'
import { firstRetry, maxRetry } from '../oidc/provider-endpoints.js'
import type { AppContext } from './context.js'
import type { Services } from './services.js'
import { tellFault } from './tell-fault.js'
import { tracsOf, upstreamName } from './upstreams.js'

/** How often an upstream that was not reached yet is tried again. */
const retryEvery: Milliseconds = 2000

/** Node's timers hold no longer span. */
const maxTimer: Milliseconds = 2 ** 31 - 1

/** Connects as requests do, TLS with its certificate verified. */
function open(address: UpstreamAddress): Socket {
  if (address.kind === 'unix') return connect({ path: address.path })
  const { host, port, tls, serverName } = address
  return tls ? connectTls({ host, port, servername: serverName }) : connect({ host, port })
}

/** An upstream that has taken the connection answers within this, or is tried again. */
const longestAnswer: Milliseconds = 10_000

/** How the gateway calls itself where it asks on its own account, so that an upstream's log can tell it from people. */
export const probeAgent = 'trac-gateway-probe'

/** Names nobody to an upstream, signed so that Trac's plugin takes it; nothing where the upstream has no key. */
export function nameNobody(
  { headerRules: { host }, sign }: Upstream,
  { method, path, perms = '' }: { method: string; path: string; perms?: string },
  nowSeconds: number,
): { readonly signature: string; readonly headers: readonly string[] } {
  if (sign === undefined) return { signature: '', headers: [] }
  const nobody = { user: '', perms, email: '', name: '' }
  const signature = sign({ method, host, path, query: '' }, nobody, nowSeconds, 0)
  const headers = ['X-Trac-User', '', 'X-Trac-Perms', perms, 'X-Trac-Signature', signature]
  return { signature, headers }
}

/**
 * Why an upstream doesn't answer; undefined when it does, whatever the status: a server that takes connections and says
 * nothing is not there yet.
 */
export function findFault(
  upstream: Upstream,
  now: Now,
  signal?: AbortSignal,
): Promise<Error | undefined> {
  const { address, timeouts } = upstream
  return new Promise((resolve) => {
    const socket = open(address)
    const asked = { method: 'HEAD', path: '/' }
    const headers = [
      ...['Host', upstream.headerRules.host, 'User-Agent', probeAgent, 'Connection', 'close'],
      ...nameNobody(upstream, asked, Math.floor(now() / 1000)).headers,
    ]
    const probe = request({ ...asked, createConnection: () => socket, headers, signal })
    const end = (fault?: Error): void => {
      probe.destroy()
      resolve(fault)
    }
    const late = () => end(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' }))
    socket.setTimeout(timeouts.connect, late)
    const isTls = address.kind === 'tcp' && address.tls
    socket.once(isTls ? 'secureConnect' : 'connect', () => socket.setTimeout(longestAnswer))
    probe.once('response', () => end())
    probe.on('error', end)
    probe.end()
  })
}

/** Tries at once, then again and again until it worked or was stopped; `waitAfter` says when, by the failures so far. */
function untilReached(
  timers: Timers,
  attempt: () => Promise<boolean>,
  waitAfter: (failures: number) => Milliseconds,
  onReached: () => void,
): () => void {
  let stopped = false
  let failures = 0
  let timer: Timer | undefined
  const run = async (): Promise<void> => {
    const reached = await attempt()
    if (stopped) return
    if (reached) {
      onReached()
      return
    }
    timer = timers.setTimeout(() => void run(), waitAfter(++failures))
    timer.unref()
  }
  void run()
  return () => {
    stopped = true
    timers.clearTimeout(timer)
  }
}

/**
 * Starts the probes of one configuration.
 * @returns stops them
 */
export function startProbes(services: Services, app: AppContext, readiness: Readiness): () => void {
  const { timers, random } = app
  const { all, main } = services.issuers
  const { config } = services
  const { maxAge } = services.config.identity.keys
  const refreshAll = () => {
    for (const issuer of all) void issuer.keys.refresh()
  }
  const timer = timers.setInterval(refreshAll, Math.min(maxAge, maxTimer))
  timer.unref()
  // After a reload most keys are known already: those that are not old are left alone.
  for (const { keys } of all) if (keys.isOld) void keys.refresh()
  const stopKeys = untilReached(
    timers,
    async () => {
      if (main.keys.fetchedAt === undefined) await main.keys.refresh()
      // Keys kept from an earlier run serve as well; the provider is still waited for.
      if (main.keys.generation > 0) readiness.serves('keys')
      return main.keys.fetchedAt !== undefined
    },
    (failures) => backOff(failures, firstRetry, maxRetry, random()),
    () => app.logger.info('keys are known'),
  )
  const stopping = new AbortController()
  const stopUpstream = untilReached(
    timers,
    async () => {
      for (const name of tracsOf(config)) {
        const upstream = services.upstreams.get(name)!
        const fault = await findFault(upstream, app.now, stopping.signal)
        if (fault === undefined) continue
        if (stopping.signal.aborted) return false
        app.onUpstream(false, upstreamName(name, upstream.address), tellFault(fault))
        return false
      }
      return true
    },
    () => retryEvery,
    () => app.onUpstream(true),
  )
  return () => {
    timers.clearInterval(timer)
    stopKeys()
    stopUpstream()
    stopping.abort()
  }
}
