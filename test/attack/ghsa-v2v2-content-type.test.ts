/**
 * GHSA-v2v2-hph8-q5xp, GHSA-qmw8-3v4g-gwj4 (reply-from): the type of a body is between client and upstream; the
 * gateway parses none that it forwards, and its own endpoints take none but their own.
 */
import { t } from '../fixtures/tap.js'
import { startAttacked } from '../fixtures/attacked.js'
import { ask, codeOf } from '../fixtures/wire.js'

/** Names of a media type, spelt so that parsers differ, each with a body of no such type. */
const types = [
  ...['application/json', 'application/JSON', 'APPLICATION/json', 'application/json;charset=utf-8'],
  ...['application/json ; a=b', 'application/json;x="; text/plain"', 'application/json;;'],
  ...['text/plain', 'text/plain; application/json', 'application/vnd.api+json'],
  ...['text/html; application/json', 'application/jsonx'],
  ...['application/x-www-form-urlencoded', 'multipart/form-data', 'multipart/form-data; boundary='],
  ...['text/xml', 'application/octet-stream', 'x/y', 'application/json; charset=utf-7'],
]
/** No media types at all. */
const none = [
  '',
  'application/json, text/plain',
  'application',
  '/',
  ';',
  '*',
  'application/json/x',
  'a b/c',
]
const body = '{"a":1}}\r\n0\r\n\r\n<x>=%zz&\0\xff'

await t.test('a body is forwarded byte for byte under the type that it came with', async (t) => {
  const { gateway, upstream, sam, bearerOf } = await startAttacked(t)
  const token = await bearerOf(sam)
  const length = `Content-Length: ${body.length}`
  for (const type of [...types, ...none]) {
    const before = upstream.received.length
    for (const line of ['POST /trac/private/x', 'PUT /trac/private/x', 'DELETE /trac/private/x']) {
      const answer = await ask(gateway, line, [token, length, `Content-Type: ${type}`], body)
      t.equal(answer.status, 200, `${line} ${type}`)
      t.equal(upstream.received.at(-1)?.body.toString('latin1'), body, type)
      t.equal(upstream.lastHeaders()['content-type'], type)
      t.equal(upstream.lastHeaders()['x-trac-user'], 'sam')
    }
    t.equal(upstream.received.length, before + 3)
    const refused = await ask(
      gateway,
      'POST /trac/admins/x',
      [token, length, `Content-Type: ${type}`],
      body,
    )
    t.equal(codeOf(refused), 'ERR_GROUP_REQUIRED', 'and is judged before anybody reads it')
  }
})

await t.test('a body without a type is forwarded as well, and Trac is told one type', async (t) => {
  const { gateway, upstream, alice, bearerOf } = await startAttacked(t)
  const token = await bearerOf(alice)
  const length = `Content-Length: ${body.length}`
  for (const method of ['POST', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY', 'PROPFIND']) {
    const answer = await ask(gateway, `${method} /trac/private/x`, [token, length], body)
    t.equal(answer.status, 200, method)
    t.equal(upstream.received.at(-1)?.body.toString('latin1'), body, method)
    t.notOk('content-type' in upstream.lastHeaders(), method)
  }
  for (const type of [[], ['Content-Type:']]) {
    for (const [sent, told] of [
      [body, 'application/octet-stream'],
      ['', 'application/x-www-form-urlencoded'],
    ] as const) {
      const headers = [token, `Content-Length: ${sent.length}`, ...type]
      t.equal((await ask(gateway, 'POST /trac/newticket', headers, sent)).status, 200)
      t.equal(upstream.lastHeaders()['content-type'], told, type.join())
      t.equal(upstream.received.at(-1)?.body.toString('latin1'), sent)
    }
  }
})

await t.test('refresh takes JSON under its one name and nothing else', async (t) => {
  const { gateway, provider } = await startAttacked(t)
  const json = '{"refresh_token":"made-up"}'
  const length = `Content-Length: ${json.length}`
  const statusFor = async (type: string) =>
    (await ask(gateway, 'POST /trac/auth/refresh', [length, `Content-Type: ${type}`], json)).status
  for (const type of [...types, ...none]) {
    const before = provider.counts.token
    const isJson = /^application\/json *(;|$)/i.test(type)
    const status = await statusFor(type)
    if (isJson) t.ok(status === 401 || status === 415, `${type}: ${status}`)
    else t.equal(status, 415, type)
    t.equal(provider.counts.token, before + (status === 401 ? 1 : 0), 'asked or not asked')
  }
  t.equal(await statusFor('application/json'), 401)
})
