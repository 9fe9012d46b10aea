/** Scripts call Trac's XML-RPC and JSON-RPC through the gateway, with a real TracXMLRPC behind it. */
import { t } from '../fixtures/tap.js'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { stage } from '../fixtures/stage.js'
import { pythonOf, rpcServer } from '../fixtures/tracs.js'
import { ask, codeOf } from '../fixtures/wire.js'
import type { WireAnswer } from '../fixtures/wire.js'

const run = promisify(execFile)

const s = await stage(t, {
  provider: 'cognito',
  trac: rpcServer,
  overlay: {
    permissions: {
      groups: {
        admins: ['TRAC_ADMIN'],
        students: ['XML_RPC', 'TICKET_CREATE', 'TICKET_VIEW', 'WIKI_VIEW'],
        instructors: ['TICKET_CREATE', 'TICKET_VIEW', 'WIKI_VIEW', 'WIKI_MODIFY'],
      },
    },
    // The built-in rows take GET and POST alone; an operator's own may take any verb.
    routes: [{ name: 'any-verb', path: '/jsonrpc', require: { allPermissions: ['XML_RPC'] } }],
  },
})
const { gateway, provider } = s

const python = await pythonOf('1.6')
const alice = await provider.mint({}, { person: s.alice })
const ivan = await provider.mint({}, { person: s.ivan })
const sam = await provider.mint({}, { person: s.sam })
const bearer = (token: string) => `Authorization: Bearer ${token}`
const cookie = await s.cookieOf(s.sam)
const evil = ['Origin: https://evil.example', 'Sec-Fetch-Site: cross-site']
const own = [`Origin: ${gateway.origin}`, 'Sec-Fetch-Site: same-origin']

/** What a call came to, as Python's client tells it. */
interface Outcome {
  readonly result?: unknown
  readonly fault?: readonly [code: number, text: string]
  readonly refused?: { readonly status: number; readonly challenge: string | null }
}

/** Two ways in which scripts hand a header to `xmlrpc.client`: the parameter, and a transport of their own. */
const client = `
import json, sys, xmlrpc.client as client
url, way, token, calls = json.loads(sys.argv[1])
headers = [('Authorization', 'Bearer ' + token)] if token else []

class BearerTransport(client.Transport):
    def send_headers(self, connection, own):
        super().send_headers(connection, own + headers)

given = {'headers': headers} if way == 'headers' else {'transport': BearerTransport()}
outcomes = []
with client.ServerProxy(url, allow_none=True, **given) as proxy:
    for name, *arguments in calls:
        arguments = ['x' * each['times'] if isinstance(each, dict) and 'times' in each else each
                     for each in arguments]
        try:
            outcomes.append({'result': getattr(proxy, name)(*arguments)})
        except client.Fault as fault:
            outcomes.append({'fault': [fault.faultCode, fault.faultString]})
        except client.ProtocolError as error:
            challenge = error.headers.get('WWW-Authenticate')
            outcomes.append({'refused': {'status': error.errcode, 'challenge': challenge}})
print(json.dumps(outcomes, default=str))
`

async function xmlrpc(
  token: string,
  calls: readonly (readonly unknown[])[],
  path = '/rpc',
  way: 'headers' | 'transport' = 'headers',
): Promise<Outcome[]> {
  const parameters = JSON.stringify([gateway.url + path, way, token, calls])
  const { stdout } = await run(python, ['-c', client, parameters])
  return JSON.parse(stdout) as Outcome[]
}

const jsonCall = (method: string, ...params: readonly unknown[]) =>
  JSON.stringify({ method, params, id: 7 })
const newTicket = (summary: string) => jsonCall('ticket.create', summary, 'text', { type: 'task' })
const newTicketXml = (summary: string) =>
  `<?xml version="1.0"?><methodCall><methodName>ticket.create</methodName><params><param><value><string>${summary}</string></value></param><param><value><string>text</string></value></param></params></methodCall>`

/** One call as plain text, with any verb and headers. */
function call(
  line: string,
  headers: readonly string[],
  body: string,
  type = 'application/json',
): Promise<WireAnswer> {
  const framing = [`Content-Type: ${type}`, `Content-Length: ${Buffer.byteLength(body)}`]
  return ask(gateway, line, [...headers, ...framing], body)
}

/** How many tickets of that summary Trac has, asked as an administrator. */
async function ticketsCalled(summary: string): Promise<number> {
  const body = jsonCall('ticket.query', `summary=${summary}`)
  const answer = await call('POST /trac/rpc', [bearer(alice)], body)
  return (JSON.parse(answer.body) as { result: number[] }).result.length
}

for (const way of ['headers', 'transport'] as const) {
  for (const path of ['/rpc', '/xmlrpc', '/login/rpc', '/login/xmlrpc']) {
    await t.test(`xmlrpc.client with a token in its ${way} calls ${path}`, async (t) => {
      const summary = `From ${way} at ${path}`
      const made = await xmlrpc(
        sam,
        [['system.listMethods'], ['ticket.create', summary, 'A text with <&> and é', {}]],
        path,
        way,
      )
      t.ok([made[0]?.result].flat().includes('wiki.putPage'))
      const id = made[1]?.result
      t.type(id, 'number')
      const [read] = await xmlrpc(sam, [['ticket.get', id]], path, way)
      t.match(read, {
        result: [
          id,
          String,
          String,
          { summary, reporter: 'sam', description: 'A text with <&> and é' },
        ],
      })
    })
  }
}

const paths = ['/rpc', '/xmlrpc', '/jsonrpc', '/login/rpc', '/login/xmlrpc', '/login/jsonrpc']
const jsonPaths = ['/rpc', '/jsonrpc', '/login/rpc', '/login/jsonrpc']

await t.test('each call is judged by the rights of its own user', async (t) => {
  const page = ['wiki.putPage', 'Called', 'Written by a script.', {}] as const
  const ticket = ['ticket.create', 'Allowed to a student', 'text', {}] as const
  const [made, refused] = await xmlrpc(sam, [ticket, page])
  t.type(made?.result, 'number')
  t.equal(refused?.fault?.[0], 403, 'a student may not write a page')
  const [written, read] = await xmlrpc(alice, [page, ['wiki.getPage', 'Called']])
  t.equal(written?.result, true)
  t.equal(read?.result, 'Written by a script.')
  const bundle = jsonCall(
    'system.multicall',
    { method: 'ticket.create', params: ['In a bundle', 'text', {}], id: 1 },
    { method: 'wiki.putPage', params: ['Called', 'Overwritten.', {}], id: 2 },
  )
  const answer = await call('POST /trac/rpc', [bearer(sam)], bundle)
  t.match(JSON.parse(answer.body), { result: [{ result: Number }, { error: { code: 403 } }] })
  const [after] = await xmlrpc(sam, [['wiki.getPage', 'Called']])
  t.equal(after?.result, 'Written by a script.')
})

await t.test('a person without XML_RPC is refused before Trac is asked', async (t) => {
  const outcomes = await xmlrpc(ivan, [['system.listMethods']])
  t.match(outcomes, [{ refused: { status: 403 } }])
  for (const path of paths) {
    const answer = await call(`POST /trac${path}`, [bearer(ivan)], newTicket('By Ivan'))
    t.equal(answer.status, 403, path)
    t.equal(codeOf(answer), 'ERR_PERMISSION_REQUIRED')
  }
})

for (const path of jsonPaths) {
  await t.test(`JSON-RPC at ${path} creates a ticket and tells a refusal inside 200`, async (t) => {
    const authorization = [bearer(sam)]
    const made = await call(`POST /trac${path}`, authorization, newTicket(`JSON at ${path}`))
    t.equal(made.status, 200)
    t.match(JSON.parse(made.body), { result: Number, error: null, id: 7 })
    t.equal(await ticketsCalled(`JSON at ${path}`), 1)
    const page = jsonCall('wiki.putPage', 'WikiStart', 'Overwritten.', {})
    const refused = await call(`POST /trac${path}`, authorization, page)
    t.equal(refused.status, 200)
    t.match(JSON.parse(refused.body), { result: null, error: { code: 403 } })
  })
}

/** What proves nobody: nothing, another scheme, and a session that nobody made. */
const strangers: readonly (readonly [string, readonly string[]])[] = [
  ['nothing', []],
  ['a password', [`Authorization: Basic ${Buffer.from('sam:sam').toString('base64')}`]],
  ['a cookie that is no session', [`Cookie: ${s.names.session}=forged`]],
]

for (const [name, headers] of strangers) {
  await t.test(`a call with ${name} gets 401, a challenge and a short body`, async (t) => {
    for (const path of paths) {
      for (const type of ['text/xml', 'application/xml', 'application/json; charset=utf-8']) {
        const body = type.includes('xml') ? newTicketXml('Stranger') : newTicket('Stranger')
        const answer = await call(`POST /trac${path}`, [...headers, ...own], body, type)
        t.equal(answer.status, 401, `${path} ${type}`)
        t.equal(answer.header('www-authenticate'), 'Bearer realm="Trac"')
        t.match(answer.header('content-type'), /^application\/json/)
        t.equal(answer.header('location'), '')
        t.ok(answer.body.length < 300)
        t.match(JSON.parse(answer.body), { error: 'unauthorized', code: 'ERR_LOGIN_REQUIRED' })
      }
    }
    t.equal(await ticketsCalled('Stranger'), 0)
  })
}

await t.test('xmlrpc.client without a token reads the 401, even after a large call', async (t) => {
  const refused = { refused: { status: 401, challenge: 'Bearer realm="Trac"' } }
  const large = ['wiki.putPage', 'Large', { times: 3_000_000 }, {}]
  const calls = [['system.listMethods'], ...Array.from({ length: 40 }, () => large)]
  t.strictSame(
    await xmlrpc('', calls),
    calls.map(() => refused),
  )
})

await t.test('an expired or foreign token is 401 with invalid_token', async (t) => {
  const now = Math.floor(Date.now() / 1000)
  const claims = { iat: now - 7200, auth_time: now - 7200, exp: now - 3600 }
  for (const token of [await provider.mint(claims, { person: s.sam }), 'x.y.z']) {
    const challenge = 'Bearer realm="Trac", error="invalid_token"'
    t.strictSame(await xmlrpc(token, [['system.listMethods']]), [
      { refused: { status: 401, challenge } },
    ])
    const all = [bearer(token), cookie, ...own]
    const answer = await call('POST /trac/rpc', all, newTicket('Spent'))
    t.equal(answer.status, 401, 'the cookie beside it does not help')
    t.equal(answer.header('www-authenticate'), challenge)
  }
  t.equal(await ticketsCalled('Spent'), 0)
})

await t.test('a script of our own pages calls with the session cookie', async (t) => {
  const json = await call('POST /trac/login/jsonrpc', [cookie, ...own], newTicket('From our page'))
  t.match(JSON.parse(json.body), { result: Number, error: null })
  const xml = newTicketXml('From our page')
  t.match((await call('POST /trac/rpc', [cookie, ...own], xml, 'text/xml')).body, '<int>')
  t.equal(await ticketsCalled('From our page'), 2)
})

await t.test('another site can’t call with the cookie, whatever method it uses', async (t) => {
  await call('PUT /trac/jsonrpc', [bearer(sam)], newTicket('By PUT'))
  t.equal(await ticketsCalled('By PUT'), 1, 'Trac does not look at the verb')
  for (const said of [evil, evil.slice(0, 1), evil.slice(1), []]) {
    for (const verb of ['POST', 'PUT', 'DELETE', 'PATCH', 'PROPFIND']) {
      const answer = await call(`${verb} /trac/jsonrpc`, [cookie, ...said], newTicket('Cross-site'))
      t.equal(codeOf(answer), 'ERR_CROSS_SITE', `${verb} ${said.join()}`)
    }
    for (const path of paths) {
      const xml = newTicketXml('Cross-site')
      const answer = await call(`POST /trac${path}`, [cookie, ...said], xml, 'text/xml')
      t.equal(codeOf(answer), 'ERR_CROSS_SITE', `${path} ${said.join()}`)
    }
    for (const verb of ['GET', 'HEAD']) {
      for (const type of ['application/json', 'text/xml']) {
        const body = type === 'text/xml' ? newTicketXml('Cross-site') : newTicket('Cross-site')
        const answer = await call(`${verb} /trac/rpc`, [cookie, ...said], body, type)
        t.equal(answer.status, 403, `${verb} ${type} ${said.join()}`)
      }
    }
  }
  t.equal(await ticketsCalled('Cross-site'), 0)
})

await t.test('no other site is let in by a preflight', async (t) => {
  for (const path of paths) {
    const asked = [
      'Access-Control-Request-Method: POST',
      'Access-Control-Request-Headers: content-type',
    ]
    const answer = await ask(gateway, `OPTIONS /trac${path}`, [...evil, ...asked])
    t.equal(answer.status, 204)
    t.notOk(answer.headers.some(([name]) => name.startsWith('access-control-')))
  }
})
