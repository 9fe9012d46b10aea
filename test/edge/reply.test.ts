/** Who is asking: a person who navigates, a form, or a program; and what a foreign error becomes. */
import { t } from '../fixtures/tap.js'
import { isNavigation, toGatewayError, wantsPage } from '../../src/edge/reply.js'
import { GatewayError } from '../../src/core/errors.js'
import { noHeaders } from '../../src/request/headers.js'
import type { RequestContext } from '../../src/request/context.js'

const html = 'text/html,*/*;q=0.8'
const cases: readonly (readonly [
  method: string,
  headers: Readonly<Record<string, unknown>>,
  navigation: boolean,
  page: boolean,
])[] = [
  ['GET', { accept: html, fetchMode: 'navigate' }, true, true],
  ['HEAD', { accept: html, fetchMode: 'navigate' }, true, true],
  ['POST', { accept: html, fetchMode: 'navigate' }, false, true],
  ['GET', { accept: html }, true, true],
  ['GET', { accept: '*/*' }, false, false],
  ['GET', { accept: '' }, false, false],
  ['GET', { accept: html, requestedWith: true }, false, false],
  ['GET', { accept: html, fetchMode: 'cors' }, false, false],
  ['GET', { accept: html, fetchMode: 'no-cors' }, false, false],
  ['GET', { accept: html, fetchMode: 'websocket' }, false, false],
  ['GET', { accept: 'application/json', fetchMode: 'navigate' }, true, false],
  ['POST', { accept: html }, false, true],
  ['POST', { accept: html, contentType: 'multipart/form-data; boundary=x' }, false, true],
  ['POST', { accept: html, contentType: 'text/xml' }, false, false],
  ['GET', { accept: html, contentType: 'application/json' }, false, false],
]

for (const [method, said, navigation, page] of cases) {
  await t.test(`${method} with ${JSON.stringify(said)}`, async (t) => {
    const headers = { accept: '', fetchMode: '', requestedWith: false, contentType: '', ...said }
    const exchange = { method, headers } as unknown as RequestContext
    t.equal(isNavigation(exchange), navigation)
    t.equal(wantsPage(exchange), page)
  })
}

await t.test('before the headers were read nobody is a person', async (t) => {
  const exchange = { method: 'GET', headers: noHeaders } as unknown as RequestContext
  t.equal(isNavigation(exchange), false)
  t.equal(wantsPage(exchange), false)
})

await t.test('a foreign error is one 500, its cause for the log alone', async (t) => {
  const cause = new TypeError('secret')
  const error = toGatewayError(cause)
  t.equal(error.code, 'ERR_INTERNAL')
  t.equal(error.status, 500)
  t.equal(error.details.cause, cause)
  t.notMatch(error.message, /secret/)
  const own = new GatewayError('ERR_CROSS_SITE')
  t.equal(toGatewayError(own), own)
})
