/** The demo's API tells what reached it. */
import { t } from '../fixtures/tap.js'
import { startApi } from '../../src/demo/api.js'
import { freePort } from '../fixtures/ports.js'

await t.test('the API answers every path with the request as it arrived', async (t) => {
  const api = await startApi()
  t.teardown(() => api.stop())
  const answer = await fetch(`${api.url}/trac/api/things?a=1?b`, {
    method: 'PUT',
    headers: {
      'X-Trac-User': 'j%C3%B6rg',
      'X-Trac-Perms': 'TICKET_VIEW,WIKI_VIEW',
      'X-Trac-Signature': 'x',
      Authorization: 'Bearer x',
    },
    body: 'fünf',
  })
  t.equal(answer.status, 200)
  t.same(await answer.json(), {
    method: 'PUT',
    path: '/trac/api/things',
    query: 'a=1?b',
    user: 'jörg',
    permissions: ['TICKET_VIEW', 'WIKI_VIEW'],
    authorization: 'present',
    cookie: 'absent',
    signature: 'present',
    bodyLength: 5,
  })
})

await t.test('the API says when a request brings no user and no body', async (t) => {
  const api = await startApi()
  t.teardown(() => api.stop())
  const answer = await fetch(api.url)
  t.match(await answer.json(), {
    user: '',
    permissions: [],
    authorization: 'absent',
    signature: 'absent',
    bodyLength: 0,
  })
})

await t.test('the API frees its port when it stops, and says when it is in use', async (t) => {
  const port = await freePort()
  const api = await startApi({ port })
  await t.rejects(startApi({ port }), { code: 'EADDRINUSE' })
  await api.stop()
  const again = await startApi({ port })
  t.equal(again.url, api.url)
  await again.stop()
})
