/** A connection that waits for its next request keeps nothing of the last one. */
import { queryObjects } from 'node:v8'
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import { Wire, requestText } from '../fixtures/wire.js'
import { RequestContext } from '../../src/request/context.js'

const connections = 10

/** How many requests are alive, after a collection. */
const alive = () => queryObjects(RequestContext, { format: 'count' })

await t.test('what was asked on it is collected', async (t) => {
  const s = await stage(t, { provider: 'cognito', upstream: true })
  const bearer = await s.bearerOf(s.alice)
  const length = 'Content-Length: 3'
  const kinds = [
    { line: 'GET /trac/wiki', headers: [bearer], status: 200 },
    { line: 'HEAD /trac/wiki', headers: [bearer], status: 200 },
    { line: 'POST /trac/newticket', headers: [bearer, length], body: 'a=b', status: 200 },
    { line: 'GET /trac/auth/session', headers: [bearer], status: 200 },
    { line: 'GET /trac/wiki', headers: ['Authorization: Bearer none'], status: 401 },
    { line: 'GET /trac/wiki/%00', headers: [bearer], status: 400 },
  ]
  for (const { line, headers, body, status } of kinds) {
    const before = alive()
    const wires = Array.from({ length: connections }, () => new Wire(s.port))
    for (const wire of wires) {
      wire.send(requestText(s.gateway, line, [...headers, 'Connection: keep-alive'], body))
      const [method] = line.split(' ')
      t.equal((await wire.answer(method))?.status, status, line)
    }
    await until(() => alive() <= before, `none of ${line} is kept`)
    for (const wire of wires) wire.destroy()
  }
})
