/** `trac-gateway explain` and `POST /explain`, from outside: what they say, what they never show, and that nothing changes. */
import { t } from '../fixtures/tap.js'
import { runProgram } from '../fixtures/program.js'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Report } from '../../src/app/ask/report.js'
import { explain } from '../../src/cli/explain.js'
import { minimal, secretOf, secrets } from '../fixtures/config.js'
import { configurationOf } from '../fixtures/gateway.js'
import { createScriptedKey } from '../fixtures/scripted-keys.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import { ask } from '../fixtures/wire.js'

const folder = t.testdir({})
const file = join(folder, 'gateway.yaml')
writeFileSync(
  file,
  minimal
    .replace('https://trac.example.edu', 'https://trac.example.edu/trac')
    .replace(
      /^permissions: .*$/m,
      'permissions: { anonymous: [WIKI_VIEW], groups: { students: [TICKET_VIEW, TICKET_CREATE], admins: [TRAC_ADMIN] } }',
    ),
)

/** Runs the program to its end. */
const run = (args: readonly string[], input = '', env: NodeJS.ProcessEnv = {}) =>
  runProgram(args, { input, env: { ...secrets, ...env } })

const explained = (args: readonly string[], input?: string) =>
  run(['explain', '-c', file, ...args], input)
const shortNames: Readonly<Record<string, string>> = {
  '-c': 'config',
  '-u': 'user',
  '-g': 'groups',
  '-p': 'permissions',
  '-X': 'method',
  '-H': 'header',
}
const flags = new Set(['browser', 'anonymous', 'online'])

/** The command in this process, which starts sooner: what it prints for programs and for people. */
async function inProcess(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const given = new Map<string, string[]>([['config', [file]]])
  const operands: string[] = []
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!
    const name = shortNames[arg] ?? (arg.startsWith('--') ? arg.slice(2) : undefined)
    if (name === undefined) operands.push(arg)
    else if (flags.has(name)) given.set(name, [])
    else if (name === 'config') given.set(name, [args[++i]!])
    else given.set(name, [...(given.get(name) ?? []), args[++i]!])
  }
  const said: string[] = []
  for (const form of ['people', 'json']) {
    if (form === 'people' && given.has('online')) continue
    await explain({
      operands,
      env: { ...secrets, ...env },
      out: {
        print: (text) => said.push(text),
        note: (text) => said.push(text),
        paint: (_, text) => text,
        progress: undefined,
      },
      text: (option) => given.get(option)?.[0],
      texts: (option) => given.get(option) ?? [],
      flag: (option) => given.has(option) || option === form,
    })
  }
  return { out: said[0] ?? '', report: JSON.parse(said.at(-1) ?? '') as Report }
}
const reportOf = async (args: readonly string[]) => (await inProcess(args)).report

await t.test('a request of somebody who is described is explained step by step', async (t) => {
  const { code, out } = await explained([
    '--user',
    'alice',
    '--groups',
    'students,chess',
    '--method',
    'POST',
    '/ticket/7',
  ])
  t.equal(code, 0)
  for (const told of [
    /^POST \/trac\/ticket\/7$/m,
    /path +\/ticket\/7$/m,
    /from +alice, by session; groups students$/m,
    /assumed +Sec-Fetch-Site: same-origin/m,
    /✓ route +trac:ticket-write: \/ticket\/\*$/m,
    /✓ access and require +optional; TICKET_VIEW — TICKET_VIEW by group:students$/m,
    /trac:ticket +the method is none of GET$/m,
    /TICKET_CREATE +by group:students$/m,
    /X-Trac-User: +alice$/m,
    /X-Trac-Signature: +\[set\]$/m,
    /Decision: forwarded to trac \(route trac:ticket-write\)$/m,
  ]) {
    t.match(out, told)
  }
})

await t.test(
  'the first check that refuses is told, and those after it are not reached',
  async (t) => {
    const { steps, decision } = await reportOf(['--user', 'sam', '--groups', 'students', '/admin'])
    t.match(decision, {
      outcome: 'refuse',
      status: 403,
      code: 'ERR_PERMISSION_REQUIRED',
      route: 'trac:admin',
    })
    t.match(
      steps.find(({ name }) => name === 'access'),
      { outcome: 'refused' },
    )
    t.match(steps.at(-1), { name: 'bodyLimits', outcome: 'not reached' })
    t.same(
      steps.map(({ name }) => name),
      [
        ...['framing', 'canonicalPath', 'host', 'scheme', 'basePath', 'matchRoute', 'answerMoved'],
        ...[
          'answerPreflight',
          'authenticate',
          'environment',
          'rateLimit',
          'csrf',
          'access',
          'answerSignIn',
          'upgrades',
          'bodyLimits',
        ],
      ],
    )
  },
)

await t.test('of an own endpoint the answer is told, or what of it is not judged', async (t) => {
  const known = await reportOf(['/auth/session'])
  t.match(known.decision, { outcome: 'refuse', status: 401, code: 'ERR_LOGIN_REQUIRED' })
  t.match(known.steps.at(-1), { name: 'ownAnswer', outcome: 'refused' })
  t.same(known.notJudged, [])
  t.match((await reportOf(['--browser', '/login?referer=/trac/wiki'])).decision, {
    outcome: 'answer',
    status: 302,
    location: '/trac/auth/login?return_to=%2Ftrac%2Fwiki',
  })
  const open = await reportOf(['--browser', '/auth/login'])
  t.match(open.decision, { outcome: 'own', route: 'auth:login' })
  t.match(open.notJudged, [/begins a sign-in/])
  const { out } = await inProcess(['-X', 'POST', '/auth/refresh'])
  t.match(out, /\? own endpoint: its answer +not judged: origin \(403\)/)
  t.match(out, /^Not judged\n +what the endpoint itself does: origin/m)
  t.match(out, /Decision: answered by our own endpoint auth:refresh; how, is not judged/)
})

await t.test(
  'the headers of a body are told, and what of one in chunks is not known',
  async (t) => {
    const headers = ['-u', 'sam', '-g', 'students', '-X', 'POST', '/newticket']
    const told = async (...more: readonly string[]) => {
      const report = await reportOf([...headers, ...more])
      const of = (name: string) => report.headers.find(([key]) => key === name)?.[1]
      return [of('Content-Length'), of('Content-Type'), report.notJudged.length]
    }
    const form = 'application/x-www-form-urlencoded'
    t.same(await told(), ['0', form, 0])
    t.same(await told('-H', 'Content-Length: 7'), ['7', 'application/octet-stream', 0])
    const multipart = 'Content-Type: multipart/form-data'
    t.same(await told('-H', 'Transfer-Encoding: chunked', '-H', multipart), [
      '[counted]',
      'multipart/form-data',
      1,
    ])
  },
)

await t.test('nobody is asked to sign in as a browser or as a program would be', async (t) => {
  const browser = await reportOf(['--browser', '/report'])
  t.match(browser.decision, {
    status: 302,
    code: 'ERR_LOGIN_REQUIRED',
    location: /^\/trac\/auth\/login/,
  })
  const program = await reportOf(['--anonymous', '/report'])
  t.match(program.decision, { status: 401 })
  t.same(
    program.headers.find(([name]) => name === 'WWW-Authenticate'),
    ['WWW-Authenticate', 'Bearer realm="Trac"'],
  )
})

await t.test('what a claim names in vain is told with the reason', async (t) => {
  const { leftOut, permissions } = await reportOf([
    '-u',
    'sam',
    '-p',
    'TRAC_ADMIN,LEARN,wiki_view,REPORT_VIEW',
    '/wiki',
  ])
  t.match(leftOut, [
    { action: 'TRAC_ADMIN', why: /administrators/ },
    { action: 'LEARN', why: /Trac itself does not know it/ },
    { action: 'wiki_view', why: /not written like/ },
  ])
  t.match(
    permissions.find(({ action }) => action === 'REPORT_VIEW'),
    { from: ['claim'] },
  )
})

await t.test('a curl line is read strictly, and its secrets are not shown', async (t) => {
  const line = `curl 'https://trac.example.edu/trac/wiki/Start?action=edit' \\
  -H 'Accept: text/html' -b 'trac_session=hidden' --compressed`
  const { decision, headers } = JSON.parse(
    (await explained(['--curl', '-', '--json'], line)).out,
  ) as Report
  t.match(decision, { status: 302, route: 'trac:wiki-edit' })
  const open = await reportOf(['--curl', line.replace('?action=edit', '')])
  t.equal(open.decision.outcome, 'forward')
  t.same(
    open.headers.find(([name]) => name === 'Cookie'),
    ['Cookie', '[set]'],
  )
  t.notMatch(JSON.stringify([headers, open.headers]), 'hidden')
  for (const [odd, said] of [
    ['curl --proxy x https://trac.example.edu/', /curl option --proxy/],
    ['curl https://trac.example.edu/ -d @file', /a body from a file/],
    ['wget https://trac.example.edu/', /begins with curl/],
    ['curl "https://trac.example.edu/$HOME"', /between double quotes/],
    ['curl https://trac.example.edu/ | sh', /words and quotes alone/],
  ] as const) {
    t.match(await explained(['--curl', odd]), { code: 2, said })
  }
})

await t.test(
  'a token whose keys are not known here is said to be unknown, and never shown',
  async (t) => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const at = Math.floor(Date.now() / 1000)
    const claims = {
      iss: 'https://idp.example.edu/realms/trac',
      aud: 'trac',
      sub: 'x',
      iat: at,
      exp: at + 600,
    }
    const token = `${part({ alg: 'RS256', kid: 'k' })}.${part(claims)}.${'A'.repeat(342)}`
    const { code, out } = await explained(['--token', '-', '/wiki'], token)
    t.equal(code, 0)
    t.match(out, /\? credential +it depends on the keys of https:\/\/idp\.example\.edu/)
    t.match(out, /Decision: not known/)
    t.notMatch(out, token.slice(0, 20))
  },
)

await t.test('a question that makes no sense is a wrong use', async (t) => {
  for (const [args, said] of [
    [[], /found no target/],
    [['--groups', 'a', '/wiki'], /groups without a user/],
    [['--user', 'a', '--token', 'b', '/wiki'], /user and token/],
    [['--header', 'no colon', '/wiki'], /wanted "Name: value"/],
    [['--via', 'magic', '/wiki'], /session, bearer/],
  ] as const) {
    t.match(await explained(args), { code: 2, said }, args.join(' '))
  }
})

await t.test(
  'the gateway that runs explains by what it knows, logs nothing, and is left as it was',
  async (t) => {
    const admin = secretOf('a')
    const overlay = {
      admin: { token: { fromEnv: 'ADMIN' } },
      routes: [
        {
          name: 'few',
          path: '/few',
          access: 'public',
          upstream: 'api',
          rateLimit: { max: 2, per: '1m', by: 'address' },
        },
      ],
    }
    const s = await stage(t, {
      provider: 'cognito',
      upstream: true,
      api: true,
      overlay,
      env: { ADMIN: admin },
    })
    const { gateway, sam, bearerOf, cookieOf, port } = s
    const [, token = ''] = (await bearerOf(sam)).split('Bearer ')
    const post = async (body: unknown, bearer = admin) => {
      const headers = { authorization: `Bearer ${bearer}` }
      const answer = await fetch(`${gateway.adminUrl}/explain`, {
        method: 'POST',
        headers,
        body: typeof body === 'string' ? body : JSON.stringify(body),
      })
      return {
        status: answer.status,
        headers: answer.headers,
        body: (await answer.json()) as Report,
      }
    }
    // The first question loads what questions need.
    await post({ target: '/trac/' })
    const names = () => gateway.gateway.services.sessions.size
    const before = [gateway.log(), await gateway.metric('trac_gateway_names'), names()]
    const metrics = (await gateway.metrics())
      .split('\n')
      .filter((line) => /^trac_gateway_(?:token|auth|dec|dropped|jwks_f)/.test(line))

    const cookie = (await cookieOf(sam)).replace('Cookie: ', '')
    const open = names()
    for (const wish of [{ token }, { cookie }, { user: 'sam', groups: ['students'] }]) {
      const { status, headers, body } = await post({ target: '/trac/ticket/1', ...wish })
      t.equal(status, 200)
      t.equal(headers.get('cache-control'), 'no-store')
      t.match(body, {
        decision: { outcome: 'forward' },
        identity: { user: 'sam', groups: ['students'] },
      })
      t.match(body.besides, [/the name sam would be entered/])
      t.notMatch(JSON.stringify(body), token.slice(0, 40))
      t.notMatch(JSON.stringify(body), cookie.slice(30))
    }
    for (let i = 0; i < 5; i++) {
      t.equal((await post({ target: '/trac/few' })).body.decision.outcome, 'forward')
    }
    t.same([gateway.log(), await gateway.metric('trac_gateway_names')], before.slice(0, 2))
    t.equal(names(), open)
    t.same(
      (await gateway.metrics())
        .split('\n')
        .filter((line) => /^trac_gateway_(?:token|auth|dec|dropped|jwks_f)/.test(line)),
      metrics,
    )

    await ask({ port }, 'GET /trac/few')
    t.equal(
      (await post({ target: '/trac/few', peer: '127.0.0.1' })).body.decision.outcome,
      'forward',
    )
    await ask({ port }, 'GET /trac/few')
    t.match((await post({ target: '/trac/few', peer: '127.0.0.1' })).body.decision, {
      status: 429,
      code: 'ERR_RATE_LIMITED',
    })

    const target = '/trac/auth/healthz'
    const inHead = async (bytes: number) => {
      const start = ['Host', `localhost:${port}`, 'Connection', 'close', 'X-Long']
      const rest = bytes - [target, ...start].join('').length
      const headers = [start.slice(0, 2), start.slice(2, 4), ['X-Long', 'x'.repeat(rest)]]
      const lines = headers.map(([name, value]) => `${name}: ${value}`)
      const { status } = await ask({ port }, `GET ${target}`, lines)
      const { decision } = (await post({ target, headers })).body
      return [status, decision.status]
    }
    // Node counts target, names and values.
    t.same(await inHead(32 * 1024 - 1), [200, 200])
    t.same(await inHead(32 * 1024), [431, 431])

    t.equal((await post({ target: '/trac/' }, 'x')).status, 401)
    t.match(await post({ targett: '/' }), { status: 400, body: { message: /did you mean/ } })
    t.match(await post('{'), { status: 400 })

    const adminPort = Number(new URL(gateway.adminUrl).port)
    const running = join(folder, 'running.yaml')
    writeFileSync(
      running,
      configurationOf(
        { ...s.settings, overlay: { ...s.settings.overlay, ...overlay } },
        port,
        adminPort,
      ),
    )
    const env = { ADMIN: admin }
    const asked = await run(
      ['explain', '-c', running, '--running', '--token', '-', '/ticket/1'],
      token,
      env,
    )
    t.match(asked, { code: 0, out: /from +sam, by bearer; groups students/ })
  },
)

await t.test('only with --online keys and userinfo are fetched, each once', async (t) => {
  const admin = secretOf('a')
  const s = await stage(t, {
    provider: 'scripted',
    upstream: true,
    env: { ADMIN: admin },
    overlay: {
      admin: { token: { fromEnv: 'ADMIN' } },
      // An access token of Cognito has no address.
      identity: { username: { emailLocalPart: 'example.edu' } },
    },
  })
  const { gateway, provider, clock, port } = s
  const { keys } = gateway.gateway.services.issuers.main
  await until(() => keys.fetchedAt !== undefined, 'keys are known')
  const asked = async (work: () => Promise<Report>) => {
    const { discovery, jwks, userinfo } = provider.counts
    const { decision, identity } = await work()
    const now = provider.counts
    return {
      outcome: decision.outcome,
      user: identity.user,
      discovery: now.discovery - discovery,
      jwks: now.jwks - jwks,
      userinfo: now.userinfo - userinfo,
    }
  }
  const running = async (token: string, online: boolean): Promise<Report> => {
    const answer = await fetch(`${gateway.adminUrl}/explain`, {
      method: 'POST',
      headers: { authorization: `Bearer ${admin}` },
      body: JSON.stringify({ target: '/trac/ticket/1', token, online }),
    })
    return (await answer.json()) as Report
  }
  const nothing = { outcome: 'unknown', user: '', discovery: 0, jwks: 0, userinfo: 0 }
  const found = { outcome: 'forward', user: 'pat', discovery: 0, jwks: 0, userinfo: 1 }

  const known = provider.sign('access')
  t.strictSame(await asked(() => running(known, false)), nothing, 'its key is known')
  t.strictSame(await asked(() => running(known, true)), found)

  provider.keys = [await createScriptedKey('key-2')]
  // An unknown key is worth a fetch every 30 s.
  clock.advance(60_000)
  const fresh = provider.sign('access')
  t.strictSame(await asked(() => running(fresh, false)), nothing, 'its key is new')
  t.strictSame(await asked(() => running(fresh, true)), { ...found, jwks: 1 })

  const path = join(folder, 'online.yaml')
  writeFileSync(path, configurationOf(s.settings, port, port + 1))
  const here = async (...more: readonly string[]): Promise<Report> => {
    const args = ['-c', path, '--token', fresh, ...more, '/ticket/1']
    return (await inProcess(args, { ADMIN: admin })).report
  }
  t.strictSame(await asked(() => here()), nothing, 'the command by itself')
  const { discovery, ...rest } = await asked(() => here('--online'))
  t.ok(discovery <= 1)
  t.strictSame({ discovery: 0, ...rest }, { ...found, jwks: 1, discovery: 0 })
})
