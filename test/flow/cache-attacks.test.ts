/** Nobody can put anything into what is kept for others, or take anything out that is not theirs. */
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import { Wire, answerText, answering, ask, requestText } from '../fixtures/wire.js'

/** An upstream that repeats everything it was asked, as careless applications do. */
const heads: string[] = []
const echo = answering((head) => {
  heads.push(head)
  return answerText(head, [
    'Content-Type: text/css',
    'Last-Modified: Wed, 01 Jan 2025 10:00:00 GMT',
  ])
})
const shared = { access: 'optional', cache: 'shared' }
const { gateway, clock, bearerOf, cookieOf, sam } = await stage(t, {
  provider: 'cognito',
  upstream: 'raw',
  answer: echo,
  api: 'own',
  apiAnswer: (_request, response) => void response.end('the other upstream'),
  overlay: {
    routes: [
      { name: 'other', path: '/chrome/both', query: { to: 'api' }, upstream: 'api', ...shared },
      { name: 'shared', path: '/shared/**', ...shared },
    ],
  },
})
clock.stop()

let number = 0
const fresh = () => `/trac/chrome/${++number}`
const get = (target: string, headers: readonly string[] = []) =>
  ask(gateway, `GET ${target}`, headers)
/** A head without what is new in each request of ours. */
const plain = (head: string) =>
  head.replace(/^(x-request-id|x-trac-signature): .*$/gim, '$1').replace(/^GET \S+/, 'GET')

const mark = 'poison'
const inputs: readonly (readonly string[])[] = [
  ...[
    ...['X-Forwarded-Host', 'X-Forwarded-Proto', 'X-Forwarded-For', 'X-Forwarded-Prefix'],
    ...['Forwarded', 'X-Host', 'X-Original-URL', 'X-Rewrite-URL', 'X-HTTP-Method-Override'],
    ...['X-Trac-User', 'X_Trac_User', 'X-Trac-Perms', 'X-Trac-Signature', 'Remote-User', 'Via'],
    ...['Accept', 'Accept-Language', 'Accept-Encoding', 'User-Agent', 'Referer', 'X-Request-Id'],
    ...['Cookie', 'Cache-Control', 'Pragma', 'If-None-Match', 'If-Modified-Since', 'If-Match'],
    ...['If-Unmodified-Since', 'If-Range', 'Range', 'X-Sendfile-Type', 'X-Unknown', 'DNT', 'TE'],
  ].map((name) => [`${name}: ${mark}`]),
  ['Origin: https://poison.example'],
  [`Connection: ${mark}, accept`],
  ['Range: bytes=5-9'],
  ['Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: no-cors'],
  [`Cookie: trac_session=${mark}`],
  [`Authorization: Basic ${mark}`],
]

await t.test('no header of a client has a part in what others get', async (t) => {
  const first = fresh()
  await get(first)
  const usual = plain(heads.at(-1)!)
  for (const headers of [...inputs, [await bearerOf(sam)], [await cookieOf(sam)]]) {
    const target = fresh()
    const before = heads.length
    const poisoned = await get(target, headers)
    t.ok([200, 206].includes(poisoned.status), headers.join())
    const clean = await get(target)
    t.equal(heads.length, before + 1, `asked for once: ${headers.join()}`)
    t.equal(plain(heads.at(-1)!), usual, headers.join())
    t.equal(plain(clean.body), usual)
    t.notMatch(JSON.stringify(clean), mark)
  }
})

await t.test('no query has a part in a static file, whatever it says', async (t) => {
  const target = fresh()
  for (const query of [
    '',
    `?${mark}`,
    '?utm_content=x',
    '?a=1;b=2',
    '?%00',
    '??',
    '?/../x',
    '?=',
  ]) {
    const answer = await get(target + query)
    t.equal(answer.status, 200, query)
    t.equal(answer.body.split(' ')[1], target, query)
  }
  t.equal(heads.filter((head) => head.startsWith(`GET ${target} `)).length, 1)
})

await t.test('where the query counts, every other query is another file', async (t) => {
  const queries = ['', '?a=1', '?a=2', '?a=1&b=2', '?b=2&a=1', '?a=1;b=2', '?A=1', '?%61=1']
  for (const query of queries) {
    const target = `/trac/shared/x${query}`
    for (let i = 0; i < 2; i++) t.equal((await get(target)).body.split(' ')[1], target)
  }
})

await t.test('each path is a file of its own, and each file has one path', async (t) => {
  const base = fresh()
  for (const path of ['/a', '/A', '/a/', '/a.css', '/a%3Fx', '/a;x', '/a%23', '/a%2Bb', '/a+b']) {
    t.equal((await get(base + path)).body.split(' ')[1], base + path)
  }
  const before = heads.length
  t.equal((await get(`${base}/%61`)).body.split(' ')[1], `${base}/a`)
  t.equal(heads.length, before, 'one spelling of it')
  const refused = ['/%2e%2e/x', '/a%2Fb', '/a%5Cb', '/a//b', '/a%00', '/a%0d%0aX:y', '/a%ff', '/%']
  for (const path of refused) t.equal((await get(base + path)).status, 400, path)
  t.equal(heads.length, before)
})

await t.test(
  'another method, a body or another Host reaches no kept file and makes none',
  async (t) => {
    const target = fresh()
    for (const [line, status] of [
      [`POST ${target}`, 405],
      [`PUT ${target}`, 405],
      [`PURGE ${target}`, 405],
      [`OPTIONS ${target}`, 405],
    ] as const) {
      t.equal((await ask(gateway, line, ['Content-Length: 0'])).status, status, line)
    }
    t.equal(heads.filter((head) => head.includes(target)).length, 0)
    const wire = new Wire(gateway.port)
    wire.send(`GET ${target} HTTP/1.1\r\nHost: poison.example\r\n\r\n`)
    t.equal((await wire.answer())?.status, 421)
    wire.send(requestText(gateway, `GET http://poison.example${target}`, []))
    t.equal((await wire.answer())?.status, 400)
    wire.destroy()
    t.equal(heads.filter((head) => head.includes(target)).length, 0)

    t.equal((await ask(gateway, `HEAD ${target}`)).status, 200)
    const whole = await get(target)
    t.equal(whole.body.length, Number(whole.header('content-length')), 'not the empty one of HEAD')
    t.ok(whole.body.startsWith(`GET ${target} `))
    const withBody = fresh()
    await ask(gateway, `GET ${withBody}`, ['Content-Length: 4'], mark.slice(0, 4))
    await get(withBody)
    t.equal(heads.filter((head) => head.includes(withBody)).length, 2, 'a body goes its own way')
  },
)

await t.test('what one upstream gave is not what another one gives', async (t) => {
  const trac = await get('/trac/chrome/both')
  t.match(trac.body, /^GET \/trac\/chrome\/both /)
  for (let i = 0; i < 2; i++) {
    t.equal((await get('/trac/chrome/both?to=api')).body, 'the other upstream')
    t.equal((await get('/trac/chrome/both')).body, trac.body)
  }
})

await t.test('a page with the name of a file is no file', async (t) => {
  const mine = [await bearerOf(sam)]
  for (const path of ['/wiki/Start/x.css', '/wiki/chrome/x.js', '/ticket/1/..%2Fchrome/x.css']) {
    const before = heads.length
    const answers = [await get(`/trac${path}`, mine), await get(`/trac${path}`, mine)]
    const forwarded = answers.filter(({ status }) => status === 200).length
    t.equal(heads.length - before, forwarded, path)
    for (const answer of answers) t.notMatch(answer.header('cache-control'), 'public')
  }
  const before = heads.length
  for (let i = 0; i < 2; i++) await get('/trac/chromes/x.css')
  t.equal(heads.length - before, 2)
})

await t.test(
  'who leaves early, or asks for nothing but parts, spoils nothing for others',
  async (t) => {
    const target = fresh()
    const wire = new Wire(gateway.port)
    wire.send(requestText(gateway, `GET ${target}`, ['Range: bytes=-1']))
    wire.destroy()
    await until(async () => (await get(target)).status === 200)
    t.ok((await get(target)).body.startsWith(`GET ${target} `))
  },
)
