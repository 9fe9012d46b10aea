/** A fault of ours is answered, wherever it is thrown: neither Fastify nor http-proxy swallows it. */
import { createServer } from 'node:http'
import { t } from '../fixtures/tap.js'
import { FastifyAdapter } from '../../src/app/fastify.js'
import { realTimers } from '../../src/core/clock.js'
import { noEndpoint } from '../../src/request/context.js'
import type { RequestContext, Stage } from '../../src/request/context.js'
import { listen } from '../fixtures/listen.js'
import { createContext } from '../fixtures/request-context.js'
import type { RequestSketch } from '../fixtures/request-context.js'

const fault = new Error('a fault of ours')
const fail = (): never => {
  throw fault
}
const answer = ({ response }: RequestContext): 'answered' => {
  response.end('answered')
  return 'answered'
}

/** Where it is thrown: in a stage, in the handler of an own endpoint, or in forwarding. */
interface Throwing {
  readonly stage?: Stage
  readonly forward?: (context: RequestContext) => void
  readonly handle?: (context: RequestContext) => Promise<void>
}

async function statusOf(throwing: Throwing, sketch: RequestSketch = {}) {
  const refused: unknown[] = []
  const adapter = await FastifyAdapter.create(undefined)
  const stages = [throwing.stage ?? (() => undefined)]
  await adapter.serve({
    own: stages,
    forwarded: stages,
    forward: throwing.forward ?? answer,
    refuse: ({ response }, error) => {
      refused.push(error)
      response.writeHead(500).end()
    },
    bodyTimeout: 1000,
    timers: realTimers,
  })
  const server = createServer((request, response) =>
    adapter.handle(createContext({ ...sketch, request, response })),
  )
  const port = await listen(server)
  const { status } = await fetch(`http://127.0.0.1:${port}/x`)
  server.close()
  await adapter.close()
  return { status, refused }
}

const endpoint = (handle: (context: RequestContext) => Promise<void>) => ({
  endpoint: { ...noEndpoint, name: 'own', handle },
})

const throwers: readonly (readonly [where: string, Throwing, RequestSketch?])[] = [
  ['forwarding', { forward: fail }],
  ['a stage', { stage: fail }],
  ['a stage that waited', { stage: () => Promise.reject(fault) }],
  ['an own endpoint', {}, endpoint(() => Promise.reject(fault))],
  ['an own endpoint, at once', {}, endpoint(fail)],
]

for (const [where, throwing, sketch] of throwers) {
  await t.test(`a fault in ${where} is answered once`, async (t) => {
    t.strictSame(await statusOf(throwing, sketch), { status: 500, refused: [fault] })
  })
}

await t.test('what answers by itself is left alone', async (t) => {
  t.strictSame(await statusOf({}), { status: 200, refused: [] })
  t.strictSame(await statusOf({ stage: answer, forward: fail }), { status: 200, refused: [] })
})
