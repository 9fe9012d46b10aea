/** One object of Trac has one address: what else names it leads there, or nowhere, so that a rule on the path holds. */
import { t } from '../fixtures/tap.js'
import { stage } from '../fixtures/stage.js'
import { ask, codeOf } from '../fixtures/wire.js'

const { gateway, upstream, alice, ivan, sam, bearerOf, cookieOf } = await stage(t, {
  provider: 'cognito',
  upstream: true,
  api: true,
  overlay: {
    routes: [
      { name: 'page', path: '/wiki/Syllabus', access: 'deny' },
      { name: 'template', path: '/wiki/PageTemplates/Exam', access: 'deny' },
      { name: 'report', path: '/report/1', access: 'deny' },
      { name: 'milestone', path: '/milestone/Final', access: 'deny' },
      { name: 'ticket', path: '/ticket/7', access: 'deny' },
      { name: 'upload', path: '/raw-attachment/wiki/Rules/**', access: 'deny' },
      { name: 'archive', path: '/zip-attachment/**', access: 'deny' },
      // A rule of the operator's own is no way past another one.
      { name: 'wiki', path: '/wiki/**', access: 'optional' },
      { name: 'named', path: '/named/**', backslash: true, access: 'public' },
      { name: 'plain', path: '/plain/**', access: 'public' },
      { name: 'edits', path: '/edits', query: { action: 'edit' }, access: 'deny' },
      { name: 'edits-not', path: '/edits', access: 'public' },
      { name: 'api', path: '/api/**', upstream: 'api', methods: ['GET', 'PUT'] },
      { name: 'live', path: '/live', upstream: 'api', access: 'optional', websocket: true },
    ],
  },
})
const admin = await bearerOf(alice)

/** What a GET is answered with: where it leads, a code, or what the upstream was asked for. */
async function got(line: string, headers: readonly string[] = [admin]): Promise<string> {
  const before = upstream.received.length
  const [method = '', target = ''] = line.split(' ')
  const answer = await ask(gateway, `${method} /trac${target}`, [...headers])
  if (upstream.received.length > before) return `sent ${upstream.received.at(-1)?.url}`
  return answer.header('location') || `${answer.status} ${codeOf(answer)}`
}

/** What is asked, and where it leads below `/trac`. */
const moved: readonly (readonly [asked: string, to: string])[] = [
  ['GET /wiki?page=Syllabus', '/wiki/Syllabus'],
  ['HEAD /wiki?page=Syllabus', '/wiki/Syllabus'],
  ['GET /wiki/?page=Syllabus', '/wiki/Syllabus'],
  ['GET /wiki?page=Syllabus&format=txt', '/wiki/Syllabus?format=txt'],
  ['GET /wiki?format=%74xt&%70age=Syllabus&page=Other', '/wiki/Syllabus?format=%74xt'],
  ['GET /wiki?page=a+b%2Fc%3Fd%23e%25', '/wiki/a%20b/c%3Fd%23e%25'],
  ['GET /wiki?page=%2FSyllabus', '/wiki/Syllabus'],
  ['GET /wiki?page=Gr%C3%B6%C3%9Fe', '/wiki/Gr%C3%B6%C3%9Fe'],
  ['GET /wiki?page=', '/wiki'],
  ['GET /wiki?page=A%3BB', '/wiki/A;B'],
  ['GET /report?id=1', '/report/1'],
  ['GET /report/-1?id=1&asc=1', '/report/1?asc=1'],
  ['GET /report/01', '/report/1'],
  ['GET /milestone?id=Final', '/milestone/Final'],
  ['GET /milestone?id=TCP%5CIP&action=edit', '/milestone/TCP%5CIP?action=edit'],
  ['GET /milestone?id=&action=new', '/milestone?action=new'],
  ['GET /ticket/007?format=csv', '/ticket/7?format=csv'],
  ['GET /attachment/wiki?path=Rules/a.txt', '/attachment/wiki/Rules/a.txt'],
  ['GET /raw-attachment/wiki?path=Rules/a.txt', '/raw-attachment/wiki/Rules/a.txt'],
  ['GET /attachment/wiki/Rules/a.txt?format=raw', '/raw-attachment/wiki/Rules/a.txt'],
  ['GET /attachment/wiki/Other/?format=zip&x=1', '/zip-attachment/wiki/Other/?x=1'],
]

for (const [asked, to] of moved) {
  await t.test(`${asked} leads to ${to}, for everybody`, async (t) => {
    t.equal(await got(asked), `/trac${to}`)
    t.equal(await got(asked, []), `/trac${to}`, 'no credential is read for it')
  })
}

/** What is asked, and what comes of it: it was sent on, or the code. */
const judged: readonly (readonly [asked: string, result: string])[] = [
  ['GET /wiki/Syllabus', '403 ERR_ROUTE_DENIED'],
  ['GET /wiki/Other?page=Syllabus', 'sent /trac/wiki/Other?page=Syllabus'],
  ['GET /wiki?page=a/../b', '400 ERR_TARGET_DOTS'],
  ['GET /wiki?page=a//b', '400 ERR_TARGET_SLASH'],
  ['GET /wiki?page=a%0Ab', '400 ERR_TARGET_CHARACTER'],
  ['GET /wiki?x;page=Syllabus', '400 ERR_QUERY_AMBIGUOUS'],
  ['GET /wiki?page=Other;page=Syllabus', '400 ERR_QUERY_AMBIGUOUS'],
  ['GET /?x;page=Syllabus', '400 ERR_QUERY_AMBIGUOUS'],
  ['GET /?page=Syllabus', '403 ERR_ROUTE_DENIED'],
  ['GET /?%70age=Syllabus', '403 ERR_ROUTE_DENIED'],
  ['GET /?id=5', '403 ERR_ROUTE_DENIED'],
  ['GET /?path=/secret', '403 ERR_ROUTE_DENIED'],
  ['GET /?cat_id=general&panel_id=plugin', '403 ERR_ROUTE_DENIED'],
  ['GET /?action=edit', '403 ERR_ROUTE_DENIED'],
  ['GET /?from=mail', 'sent /trac/?from=mail'],
  ['POST /wiki', '403 ERR_ROUTE_DENIED'],
  ['POST /wiki/', '403 ERR_ROUTE_DENIED'],
  ['POST /wiki?page=Other', '403 ERR_ROUTE_DENIED'],
  ['POST /wiki/Other', 'sent /trac/wiki/Other'],
  // Where Trac's form for a new report leads.
  ['POST /report/-1', 'sent /trac/report/-1'],
  ['POST /report', 'sent /trac/report'],
  ['POST /milestone', 'sent /trac/milestone'],
  ['POST /attachment/wiki', '403 ERR_ROUTE_DENIED'],
  ['POST /attachment/wiki/Other/', 'sent /trac/attachment/wiki/Other/'],
  ['POST /ticket/07', '403 ERR_ROUTE_DENIED'],
  ['GET /wiki/New?action=edit&template=Exam', '403 ERR_ROUTE_DENIED'],
  ['GET /wiki/New?action=edit&template=/Syllabus', '403 ERR_ROUTE_DENIED'],
  ['GET /wiki/New?action=edit&template=Other', 'sent /trac/wiki/New?action=edit&template=Other'],
  ['GET /query?report=1', '403 ERR_ROUTE_DENIED'],
  ['GET /query?report=2', 'sent /trac/query?report=2'],
  ['GET /query?report=%201', '403 ERR_ROUTE_DENIED'],
  ['GET /query?status=new', 'sent /trac/query?status=new'],
  ['GET /edits?x;action=edit', '400 ERR_QUERY_AMBIGUOUS'],
  ['GET /edits?x;y', 'sent /trac/edits?x;y'],
]

for (const [asked, result] of judged) {
  await t.test(`${asked} by an administrator: ${result}`, async (t) => {
    t.equal(await got(asked), result)
  })
}

await t.test('a name in Trac may have a backslash, and nothing else may', async (t) => {
  for (const path of [
    ...['/milestone/TCP%5CIP', '/attachment/ticket/1/a%5Cb.txt', '/raw-attachment/wiki/A/a%5Cb'],
    ...['/zip-attachment/milestone/TCP%5CIP/', '/admin/ticket/components/UI%5CUX', '/wiki/A%5CB'],
    ...['/browser/a%5Cb', '/file/a%5Cb', '/export/1/a%5Cb', '/log/a%5Cb', '/changeset/1/a%5Cb'],
    '/named/a%5Cb',
  ]) {
    // The operator's rows for the wiki and the archives say nothing of it.
    const own = path.startsWith('/wiki') || path.startsWith('/zip')
    t.equal(await got(`GET ${path}`), own ? '400 ERR_TARGET_SLASH' : `sent /trac${path}`)
  }
  t.equal(await got('POST /milestone/TCP%5CIP'), 'sent /trac/milestone/TCP%5CIP')
  t.equal(
    await got('POST /admin/ticket/components/a%5cb'),
    'sent /trac/admin/ticket/components/a%5Cb',
  )
  for (const path of [
    ...['/chrome/a%5Cb', '/plain/a%5Cb', '/api/a%5Cb', '/admin/general%5Cplugin', '/blog/a%5Cb'],
    ...['/auth/login%5C', '/auth/verify/a%5Cb', '/ticket/1%5C', '/prefs/a%5Cb', '/a%5Cb'],
    ...['/milestone/a%5C..%5Cb', '/milestone/a%5C%5Cb', '/milestone/a%5C/', '/%5Cmilestone'],
    ...['/milestone/..%5Ca', '/milestone/a\\b', '/raw-attachment/%5C/a'],
  ]) {
    t.match(await got(`GET ${path}`), /^400 ERR_TARGET_(?:SLASH|DOTS)$/, path)
  }
  t.equal(await got('GET %5Cwiki'), '404 ERR_ROUTE_UNKNOWN', 'outside the base path')
})

await t.test('/intertrac leads away only for whoever asks here', async (t) => {
  const link = '/intertrac/?link=http://elsewhere.example'
  const site = (value: string) => [admin, `Sec-Fetch-Site: ${value}`]
  for (const target of [
    link,
    '/intertrac?x;link=a',
    '/intertrac?%6Cink=a',
    '/intertrac/a?link=b',
  ]) {
    for (const headers of [[admin], site('cross-site'), site('same-site')]) {
      t.equal(await got(`GET ${target}`, headers), '403 ERR_CROSS_SITE', target)
    }
    for (const value of ['same-origin', 'none']) {
      t.equal(await got(`GET ${target}`, site(value)), `sent /trac${target}`)
    }
  }
  t.equal(await got('GET /intertrac/ticket:1', site('cross-site')), 'sent /trac/intertrac/ticket:1')
  const back = await ask(
    gateway,
    `GET /trac/auth/login?return_to=${encodeURIComponent(`/trac${link}`)}`,
    [await cookieOf(sam)],
  )
  t.equal(back.header('location'), '/trac/', 'nor straight after sign-in')
})

await t.test('accounts are made by the provider: what a plugin has for it is closed', async (t) => {
  t.equal(await got('GET /register'), '403 ERR_ROUTE_DENIED')
  t.equal(await got('POST /reset_password'), '403 ERR_ROUTE_DENIED')
})

await t.test('a page of a plugin is for whoever may view something', async (t) => {
  t.equal(await got('GET /blog/2026'), 'sent /trac/blog/2026')
  t.equal(await got('GET /user/alice', [await bearerOf(sam)]), 'sent /trac/user/alice')
})

await t.test('a preflight with a body is a request like any other', async (t) => {
  const asks = ['Origin: https://app.example', 'Access-Control-Request-Method: PUT']
  t.equal(await got('OPTIONS /api/x', asks), 'sent /trac/api/x')
  const before = upstream.received.length
  for (const body of ['Content-Length: 5', 'Transfer-Encoding: chunked']) {
    const answer = await ask(gateway, 'OPTIONS /trac/api/x', [...asks, body, admin])
    t.equal(answer.status, 405, 'no row takes OPTIONS')
  }
  t.equal(upstream.received.length, before)
})

await t.test(
  'a WebSocket without Origin is for a token alone, on an optional route too',
  async (t) => {
    const handshake = [
      ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    ]
    const status = async (more: string[]) =>
      codeOf(await ask(gateway, 'GET /trac/live', [...handshake, ...more]))
    t.equal(await status([]), 'ERR_CROSS_SITE', 'nobody')
    t.equal(await status([await cookieOf(ivan)]), 'ERR_CROSS_SITE', 'a session')
    t.equal(await status(['Origin: https://evil.example', admin]), 'ERR_CROSS_SITE', 'another page')
    t.not(await status([admin]), 'ERR_CROSS_SITE', 'a program')
  },
)
