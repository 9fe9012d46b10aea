/** Without `tracing` nothing of it is there: no object is made, no listener added, and no request runs within a trace. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { queryObjects } from 'node:v8'
import type { Test } from 'tap'
import { startCollector } from '../fixtures/collector.js'
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { ask } from '../fixtures/wire.js'
import { RequestSpans } from '../../src/app/request-spans.js'
import { SpanExporter } from '../../src/observe/span-exporter.js'
import { Trace, Tracing } from '../../src/observe/tracing.js'

/** What tracing is made of. */
const parts = { Tracing, SpanExporter, RequestSpans, Trace }
/** How many of each are alive. */
const alive = () =>
  Object.fromEntries(
    Object.entries(parts).map(([name, one]) => [name, queryObjects(one) as number]),
  )

/** Requests of each kind, and what there was of tracing while one of them was at the upstream. */
async function serve(t: Test, tracing: { readonly endpoint: string } | undefined) {
  const s = await stage(t, {
    provider: 'scripted',
    upstream: 'held',
    overlay: tracing === undefined ? {} : { tracing },
  })
  const began = 'http.server.request.start'
  const responses = new Map<string, ServerResponse>()
  const onRequest = (message: unknown): void => {
    const { request, response } = message as {
      request: IncomingMessage
      response: ServerResponse
    }
    if (request.socket.localPort === s.port) responses.set(request.url ?? '', response)
  }
  subscribe(began, onRequest)
  const runs = t.capture(AsyncLocalStorage.prototype, 'run', AsyncLocalStorage.prototype.run)
  const looks = t.capture(
    ...([AsyncLocalStorage.prototype, 'getStore'] as const),
    AsyncLocalStorage.prototype.getStore,
  )
  await s.signIn()
  await ask(s, 'GET /trac/wiki/Start', [s.bearerOf()])
  await ask(s, 'GET /trac/register')
  const path = '/trac/wiki/held/x'
  const waiting = ask(s, `GET ${path}`, [s.bearerOf()])
  const release = await s.upstream.arrived(path)
  const seen = {
    alive: alive(),
    listeners: responses.get(path)!.listenerCount('close'),
    runs: runs().length,
    looks: looks().length,
  }
  release()
  t.equal((await waiting).status, 200)
  unsubscribe(began, onRequest)
  runs.restore()
  looks.restore()
  return seen
}

await t.test('without the key, nothing is made and nothing is wrapped', async (t) => {
  const off = await serve(t, undefined)
  t.strictSame(off.alive, { Tracing: 0, SpanExporter: 0, RequestSpans: 0, Trace: 0 })
  t.equal(off.runs, 0, 'nothing runs within a trace')
  t.equal(off.looks, 0, 'and nobody looks for one')

  // With it, each of these is there to be seen.
  const { endpoint } = await startCollector(t)
  const on = await serve(t, { endpoint })
  for (const [name, count] of Object.entries(on.alive)) t.ok(count >= 1, `${count} ${name}`)
  t.ok(on.runs >= 4, `${on.runs} requests run within a trace`)
  t.ok(on.looks >= 1, `${on.looks} questions to the provider look for theirs`)
  t.equal(on.listeners, off.listeners + 1, 'the end of an answer ends its trace')
})
