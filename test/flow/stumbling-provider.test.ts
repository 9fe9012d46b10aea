/** A provider that stumbles is not stormed: who must wait is told so, one asks for all, and nobody loses a session by it. */
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import type { Timers } from '../../src/core/clock.js'
import type { OpenSession } from '../../src/session/open-session.js'
import { scaled } from '../fixtures/scale.js'
import { createScriptedKey } from '../fixtures/scripted-keys.js'
import type { ScriptedKey } from '../fixtures/scripted-keys.js'
import { badAnswers } from '../fixtures/scripted-provider.js'
import type { Answer } from '../fixtures/scripted-provider.js'
import { signInAsStudent } from '../fixtures/sign-ins.js'
import { stage } from '../fixtures/stage.js'
import { createTimers } from '../fixtures/timers.js'
import { until } from '../fixtures/until.js'
import { Visitor } from '../fixtures/visitor.js'

t.setTimeout(600_000)

const apiRoute = { routes: [{ name: 'api', path: '/api/**', upstream: 'api' }] }

const second = 1000
const minute = 60 * second
const { upstream } = await stage(t, { upstream: true, gateway: false })

/** A gateway whose time stands still, with a provider of its own that rotates refresh tokens and forgives nothing. */
async function start(t: Test, dialect: 'cognito' | 'standard' = 'cognito', timers?: Timers) {
  const s = await stage(t, {
    ...(timers === undefined ? {} : { timers }),
    provider: 'scripted',
    providerOptions: { dialect },
    tokens: { rotates: true },
    upstream,
    api: upstream,
  })
  const { clock, provider, tokens, url, gateway, names } = s
  clock.stop()
  // Its first keys may still be on their way: what a test changes or counts comes after them.
  const iat = Math.floor(clock() / 1000)
  const authorization = `Bearer ${provider.sign('id', { iat, exp: iat + 60 })}`
  const first = await new Visitor().fetch(`${url}/api/x`, { headers: { authorization } })
  t.equal(first.status, 200)
  const { sessions } = gateway.gateway.services
  const subject = String(provider.person['sub'])
  const begin = (): Promise<OpenSession> => {
    const now = clock()
    const times = { begunAt: now, issuedAt: now, expiresAt: now + 60 * minute }
    const { issuer } = provider
    return sessions.begin(signInAsStudent(tokens, { issuer, subject, ...times }))
  }
  const exchanges = () =>
    provider.received.token
      .map(({ form }) => form.get('refresh_token'))
      .filter((token) => token !== null)
  return {
    ...s,
    /** Browsers of so many people, whose tokens all end in an hour. */
    browsers: (count: number) =>
      Promise.all(
        Array.from({ length: count }, async () => {
          const visitor = new Visitor()
          visitor.cookies(url).set(names.session, (await begin()).value)
          return visitor
        }),
      ),
    ask: (visitor: Visitor) => visitor.fetch(`${url}/api/x`),
    exchanges,
    /** How many exchanges `work` causes. */
    async caused(work: () => Promise<unknown>) {
      const before = exchanges().length
      await work()
      return exchanges().length - before
    },
    breakWith: (answer: Answer) => provider.replace('token', answer),
    mend: () => provider.replace('token', tokens),
  }
}
type Started = Awaited<ReturnType<typeof start>>

/** What each of some browsers is answered, a few at a time. */
async function askAll({ ask }: Started, visitors: readonly Visitor[]) {
  const statuses: number[] = []
  for (let i = 0; i < visitors.length; i += 50) {
    const wave = await Promise.all(visitors.slice(i, i + 50).map(ask))
    statuses.push(...wave.map(({ status }) => status))
  }
  return statuses
}

const faults: readonly (readonly [string, (started: Started) => Answer])[] = [
  ['503', () => () => ({ status: 503 })],
  ['500', () => () => ({ status: 500 })],
  ['a broken connection', () => () => badAnswers.broken],
  [
    '200 without an access token',
    ({ provider }) =>
      () => ({ body: { id_token: provider.sign('id'), token_type: 'Bearer' } }),
  ],
  ['an error that is not final', () => () => ({ status: 400, body: { error: 'invalid_client' } })],
]
for (const [what, fault] of faults) {
  await t.test(
    `after ${what} a session whose tokens are dead waits 1 s, and twice as long each time`,
    async (t) => {
      const started = await start(t)
      const { clock, browsers, ask, caused, breakWith, mend } = started
      const [visitor] = (await browsers(1)) as [Visitor]
      clock.advance(61 * minute)
      breakWith(fault(started))
      const waits: number[] = []
      for (let i = 0; i < 8; i++) {
        const made = await caused(async () => {
          for (let n = 0; n < 11; n++) {
            const answer = await ask(visitor)
            t.equal(answer.status, 503)
            t.match(answer.json(), { code: 'ERR_PROVIDER_UNAVAILABLE' })
            t.same(answer.setCookies, [], 'the session is not dropped')
            if (n === 10) waits.push(Number(answer.headers['retry-after']))
          }
        })
        t.equal(made, 1, 'eleven requests make one exchange')
        clock.advance(waits.at(-1)! * second)
      }
      t.same(waits, [2, 3, 5, 9, 18, 36, 60, 60], 'with jitter, and a minute at most')
      mend()
      t.equal((await ask(visitor)).status, 200)
    },
  )
}

await t.test('a session whose tokens live waits as well, and is served meanwhile', async (t) => {
  const { clock, browsers, ask, caused, breakWith } = await start(t)
  const [visitor] = (await browsers(1)) as [Visitor]
  clock.advance(46 * minute)
  breakWith(() => badAnswers.unavailable)
  const exchanges = await caused(async () => {
    for (let i = 0; i < 60; i++) {
      t.equal((await ask(visitor)).status, 200)
      clock.advance(second)
    }
  })
  t.ok(exchanges <= 6, `${exchanges} exchanges in a minute`)
})

await t.test(
  'while the token endpoint is down one asks for all, and the first success lets everybody through',
  async (t) => {
    const started = await start(t)
    const { clock, browsers, exchanges, caused, breakWith, mend } = started
    const count = scaled(60, 1000)
    const visitors = await browsers(count)
    clock.advance(61 * minute)
    breakWith(() => ({ status: 503 }))
    const first = await caused(() => askAll(started, visitors))
    t.ok(first <= 50, `${first} exchanges before it was known, of those that came at once`)
    const before = exchanges().length
    for (let i = 0; i < 20; i++) {
      clock.advance(second)
      const made = await caused(async () => {
        t.same(new Set(await askAll(started, visitors)), new Set([503]))
      })
      t.ok(made <= 1, `${made} in a second`)
    }
    const probes = exchanges().slice(before)
    t.ok(probes.length >= 19, 'it goes on being asked')
    for (const [i, token] of probes.entries()) t.not(token, probes[i - 1], 'by another session')
    mend()
    clock.advance(second)
    await askAll(started, visitors)
    clock.advance(second)
    t.same(new Set(await askAll(started, visitors)), new Set([200]), 'within a second')
    const last = exchanges().slice(-count)
    t.equal(new Set(last).size, count, 'each has renewed once')
  },
)

await t.test('one probe is in flight at a time, however long it takes', async (t) => {
  const started = await start(t)
  const { clock, browsers, ask, caused, breakWith, provider, tokens } = started
  const visitors = await browsers(8)
  clock.advance(61 * minute)
  breakWith(() => ({ status: 502 }))
  for (const visitor of visitors.slice(0, 3)) await ask(visitor)
  clock.advance(second)
  let release = (): void => undefined
  const held = new Promise<void>((resolve) => (release = resolve))
  provider.replace('token', async (request) => {
    await held
    return tokens(request)
  })
  const asked = provider.next('token')
  const probe = ask(visitors[3]!)
  await asked
  const made = await caused(async () => {
    for (let i = 0; i < 5; i++) {
      clock.advance(second)
      for (const visitor of visitors.slice(4)) t.equal((await ask(visitor)).status, 503)
    }
  })
  t.equal(made, 0)
  release()
  t.equal((await probe).status, 200)
  clock.advance(second)
  t.same(new Set(await askAll(started, visitors)), new Set([200]))
})

await t.test('an endpoint that never answers is one that is down, after ten seconds', async (t) => {
  const timers = createTimers()
  const { provider, browsers, clock, ask, caused } = await start(t, 'cognito', timers)
  const visitors = await browsers(4)
  clock.advance(61 * minute)
  provider.replace('token', () => new Promise(() => undefined))
  const before = provider.counts.token
  const asked = visitors.slice(0, 3).map(ask)
  await until(() => provider.counts.token === before + 3, 'three are being renewed')
  timers.advance(10_000)
  for (const answer of asked) t.equal((await answer).status, 503)
  t.equal(await caused(() => ask(visitors[3]!)), 0, 'a fourth one waits')
})

await t.test(
  'while one request waits for the provider, its siblings are told after five seconds to come again',
  async (t) => {
    const timers = createTimers()
    const { provider, tokens, browsers, clock, ask, exchanges } = await start(t, 'cognito', timers)
    const [visitor] = (await browsers(1)) as [Visitor]
    clock.advance(61 * minute)
    let release = (): void => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    provider.replace('token', async (request) => {
      await held
      return tokens(request)
    })
    const asked = provider.next('token')
    const first = ask(visitor)
    await asked
    const waiting = timers.waiting
    const siblings = [visitor.copy(), visitor.copy()].map(ask)
    await until(() => timers.waiting >= waiting + 2, 'both wait for it')
    timers.advance(5000)
    for (const answer of await Promise.all(siblings)) {
      t.equal(answer.status, 503)
      t.match(answer.json(), { code: 'ERR_SESSION_BUSY' })
      t.equal(answer.headers['retry-after'], '2')
      t.same(answer.setCookies, [], 'the session is not dropped')
    }
    release()
    t.equal((await first).status, 200, 'who asked gets the answer')
    t.equal((await ask(visitor)).status, 200)
    t.equal(exchanges().length, 1)
  },
)

await t.test('two sessions that fail, or three over a longer time, are no outage', async (t) => {
  const { clock, browsers, ask, caused, breakWith } = await start(t)
  const visitors = await browsers(6)
  clock.advance(61 * minute)
  breakWith(() => ({ status: 503 }))
  const made = await caused(async () => {
    for (const visitor of visitors) {
      await ask(visitor)
      clock.advance(6 * second)
    }
  })
  t.equal(made, 6, 'each has asked by itself')
})

await t.test('faults that are not an outage hold up nobody else', async (t) => {
  for (const answer of [{ status: 500 }, badAnswers.html, { status: 429 }]) {
    const started = await start(t)
    const { clock, browsers, caused, breakWith } = started
    const visitors = await browsers(5)
    clock.advance(61 * minute)
    breakWith(() => answer)
    t.equal(await caused(() => askAll(started, visitors)), 5)
  }
})

await t.test('429 makes that session wait for as long as its Retry-After says', async (t) => {
  const { clock, browsers, ask, caused, breakWith, mend } = await start(t)
  const [asked, other] = (await browsers(2)) as [Visitor, Visitor]
  clock.advance(61 * minute)
  breakWith(() => ({ status: 429, headers: { 'Retry-After': '40' } }))
  const first = await ask(asked)
  t.equal(first.status, 503)
  t.equal(first.headers['retry-after'], '40')
  mend()
  t.equal((await ask(other)).status, 200, 'and nobody else')
  clock.advance(39 * second)
  t.equal(await caused(() => ask(asked)), 0)
  clock.advance(second)
  t.equal((await ask(asked)).status, 200)
})

await t.test(
  'what sign-ins and JSON refreshes meet never counts, and they never wait',
  async (t) => {
    const { clock, browsers, ask, breakWith, mend, url, caused } = await start(t)
    const [visitor] = (await browsers(1)) as [Visitor]
    breakWith(() => ({ status: 503 }))
    const redeem = (token: string) =>
      fetch(`${url}/auth/refresh`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ refresh_token: token }),
      })
    const made = await caused(async () => {
      for (let i = 0; i < 6; i++) t.equal((await redeem(`one-${i}`)).status, 503)
    })
    t.equal(made, 6)
    for (let i = 0; i < 4; i++) {
      const page = await new Visitor().follow(`${url}/auth/login`)
      t.equal(page.status, 503)
    }
    clock.advance(61 * minute)
    t.equal(await caused(() => ask(visitor)), 1, 'a renewal is tried all the same')
    for (const other of await browsers(0)) await ask(other)
    mend()
    const page = await new Visitor().follow(`${url}/auth/login`)
    t.equal(page.status, 200, 'a sign-in does not wait for any probe')
  },
)

await t.test('a final no of the provider shows that it is there again', async (t) => {
  const started = await start(t)
  const { clock, browsers, ask, breakWith, mend } = started
  const visitors = await browsers(6)
  clock.advance(61 * minute)
  breakWith(() => ({ status: 504 }))
  await askAll(started, visitors)
  breakWith(() => ({ status: 400, body: { error: 'invalid_grant' } }))
  clock.advance(second)
  t.equal((await ask(visitors[5]!)).status, 401)
  mend()
  clock.advance(second)
  t.same(new Set(await askAll(started, visitors.slice(0, 5))), new Set([200]))
})

await t.test('a reload neither ends an outage nor forgets who waits', async (t) => {
  const started = await start(t)
  const { clock, browsers, ask, caused, breakWith, gateway } = started
  const visitors = await browsers(10)
  clock.advance(61 * minute)
  breakWith(() => ({ status: 503 }))
  for (const visitor of visitors.slice(0, 3)) await ask(visitor)
  await gateway.reload({ log: { level: 'warn' }, ...apiRoute })
  t.equal(await caused(() => askAll(started, visitors)), 0)
})

/** Tokens signed with a key that the provider does not list (yet). */
async function newKey({ provider }: Started) {
  const key = await createScriptedKey('key-2')
  const old = [...provider.keys]
  return {
    /** Begins to sign with it. */
    sign(listed: boolean): void {
      provider.keys = [key, ...old]
      if (listed) provider.restore('jwks')
      else {
        const body = { keys: old.map(({ publicJwk }) => publicJwk) }
        provider.replace('jwks', () => ({ body }))
      }
    },
    list: () => provider.restore('jwks'),
  }
}

for (const dialect of ['cognito', 'standard'] as const) {
  await t.test(
    `a new key of a ${dialect} provider is found at once, whatever forged tokens asked for before`,
    async (t) => {
      const started = await start(t, dialect)
      const { clock, browsers, ask, url, provider } = started
      const [visitor] = (await browsers(1)) as [Visitor]
      clock.advance(46 * minute)
      const iat = Math.floor(clock() / 1000)
      const forge = async (kid: string) => {
        const token = provider.sign('id', { iat, exp: iat + 60 }, { kid })
        const headers = { authorization: `Bearer ${token}` }
        t.equal((await new Visitor().fetch(`${url}/api/x`, { headers })).status, 401)
      }
      await forge('made-up')
      const key = await newKey(started)
      key.sign(true)
      await forge('made-up, too')
      const before = provider.counts.jwks
      const answer = await ask(visitor)
      t.equal(answer.status, 200)
      t.equal(answer.setCookies.length, 1, 'renewed with the new key')
      t.equal(provider.counts.jwks, before + 1, 'by one fetch of its own')
      const fresh = await new Visitor().follow(`${url}/auth/login`)
      t.equal(fresh.status, 200)
      t.equal(provider.counts.jwks, before + 1)
    },
  )
}

await t.test('a sign-in finds a new key right after the start', async (t) => {
  const started = await start(t)
  const key = await newKey(started)
  key.sign(true)
  t.equal((await new Visitor().follow(`${started.url}/auth/login`)).status, 200)
})

await t.test(
  'keys for the provider’s own answers are fetched ten times a minute at most',
  async (t) => {
    const started = await start(t)
    const { url, provider, clock } = started
    const key = await newKey(started)
    key.sign(false)
    const before = provider.counts.jwks
    const tries = async (count: number) => {
      for (let i = 0; i < count; i++) await new Visitor().follow(`${url}/auth/login`)
      return provider.counts.jwks - before
    }
    t.equal(await tries(15), 10)
    clock.advance(minute)
    t.equal(await tries(3), 13)
  },
)

await t.test(
  'a rotated refresh token is kept while its key is awaited, and the session goes on',
  async (t) => {
    const started = await start(t)
    const { clock, browsers, ask, exchanges, names, url } = started
    const [visitor, other] = (await browsers(2)) as [Visitor, Visitor]
    const key = await newKey(started)
    clock.advance(46 * minute)
    key.sign(false)
    const cookie = visitor.cookies(url).get(names.session)
    t.equal((await ask(visitor)).status, 200, 'served with the tokens that it has')
    t.not(visitor.cookies(url).get(names.session), cookie, 'the browser has the new refresh token')
    clock.advance(15 * minute)
    const dead = await ask(visitor)
    t.equal(dead.status, 503)
    t.match(dead.headers['retry-after'], /^[0-9]+$/)
    t.equal((await ask(other)).status, 503)
    key.list()
    clock.advance(minute)
    t.equal((await ask(visitor)).status, 200)
    t.equal((await ask(other)).status, 200, 'also one whose tokens had ended by then')
    t.equal(new Set(exchanges()).size, exchanges().length, 'no refresh token was used twice')
  },
)

await t.test(
  'a browser that asks for a renewal keeps the rotated refresh token, too',
  async (t) => {
    const started = await start(t)
    const { browsers, url, origin, names, clock } = started
    const [visitor] = (await browsers(1)) as [Visitor]
    const key = await newKey(started)
    key.sign(false)
    const renew = () =>
      visitor.fetch(`${url}/auth/refresh`, { method: 'POST', headers: { origin } })
    const before = visitor.cookies(url).get(names.session)
    t.equal((await renew()).status, 503)
    t.not(visitor.cookies(url).get(names.session), before)
    key.list()
    clock.advance(2 * second)
    t.equal((await renew()).status, 200)
  },
)

await t.test('while a discovery fails that worked before, nobody waits for it', async (t) => {
  const { provider, clock, url } = await start(t, 'standard')
  const login = async () => (await new Visitor().open(`${url}/auth/login`)).status
  t.equal(await login(), 302)
  const before = provider.counts.discovery
  clock.advance(61 * minute)
  provider.replace('discovery', () => new Promise(() => undefined))
  for (let i = 0; i < 20; i++) t.equal(await login(), 302, 'by what is known')
  t.equal(provider.counts.discovery, before + 1, 'with one question to the provider')
})

await t.test(
  'a provider that is down at the start is asked after 2 s, twice as late each time, until it is there',
  async (t) => {
    const s = await stage(t, {
      provider: 'scripted',
      providerOptions: { dialect: 'standard' },
      upstream,
      gateway: false,
    })
    const { provider } = s
    provider.replace('discovery', () => badAnswers.unavailable)
    const timers = createTimers()
    const { gateway } = await stage(t, { provider, upstream, timers })
    const isReady = () =>
      gateway.gateway.readiness.report().waiting.every((part) => part !== 'keys')
    // Time goes on where the probe waits for it, and nowhere else.
    const triedAt: number[] = []
    await until(() => provider.counts.discovery === 1, 'asked at once')
    const step = 500
    for (let tries = 2; tries <= 5; tries++) {
      await until(() => {
        timers.advance(step)
        return provider.counts.discovery >= tries
      }, 'asked again')
      triedAt.push(timers.monotonic())
    }
    const waits = triedAt.map((at, i) => at - (triedAt[i - 1] ?? 0))
    t.notOk(isReady())
    for (const [i, wait] of [2250, 4500, 9000, 18_000].entries()) {
      t.ok(waits[i]! >= wait - step, `${waits[i]} after ${i + 1} failures`)
    }
    provider.restore('discovery')
    await until(() => {
      timers.advance(500)
      return isReady()
    }, 'it becomes ready by itself')
  },
)

await t.test(
  'a key that is not known because the provider is down is no bad token: 503, one fetch a cool-down',
  async (t) => {
    const { clock, url, provider } = await start(t)
    const key = await createScriptedKey('key-2')
    clock.advance(minute)
    const ask = async () => {
      const iat = Math.floor(clock() / 1000)
      const token = provider.sign('id', { iat, exp: iat + 60 }, { key })
      const headers = { authorization: `Bearer ${token}` }
      return new Visitor().fetch(`${url}/api/x`, { headers })
    }
    provider.replace('jwks', () => badAnswers.unavailable)
    const before = provider.counts.jwks
    for (let i = 0; i < 5; i++) {
      const answer = await ask()
      t.equal(answer.status, 503)
      t.match(answer.json(), { code: 'ERR_PROVIDER_UNAVAILABLE' })
      t.equal(answer.headers['retry-after'], '30')
    }
    t.equal(provider.counts.jwks, before + 1)
    provider.keys = [key, ...provider.keys]
    provider.restore('jwks')
    clock.advance(20 * second)
    const early = await ask()
    t.equal(early.status, 503)
    t.equal(early.headers['retry-after'], '10')
    clock.advance(10 * second + 1)
    t.equal((await ask()).status, 200)
    t.equal(provider.counts.jwks, before + 2)
  },
)

/** A key that has no `kid`, in the set and in the headers of its tokens. */
async function keyWithoutKid() {
  const { kid: _, publicJwk, ...key } = await createScriptedKey('unused')
  const { kid: __, ...jwk } = publicJwk
  return { ...key, publicJwk: jwk } as unknown as ScriptedKey
}

await t.test(
  'a provider whose single key has no kid signs people in, and may replace it',
  async (t) => {
    const s = await stage(t, { provider: 'scripted', upstream, api: upstream, gateway: false })
    const { provider } = s
    const [first, next, third] = [
      await keyWithoutKid(),
      await keyWithoutKid(),
      await keyWithoutKid(),
    ] as const
    provider.keys = [first]
    const { gateway, clock, url } = await stage(t, { provider, upstream, api: upstream })
    const judge = async (key: ScriptedKey, kid?: string) => {
      const iat = Math.floor(clock() / 1000)
      const header = kid === undefined ? {} : { kid }
      const token = provider.sign('id', { iat, exp: iat + 60 }, { key, header })
      const headers = { authorization: `Bearer ${token}` }
      const answer = await new Visitor().fetch(`${url}/api/x`, { headers })
      return answer.status === 200 ? 'served' : answer.json()['code']
    }
    t.equal((await new Visitor().follow(`${url}/auth/login`)).status, 200)
    t.ok(
      gateway.gateway.readiness.report().waiting.every((part) => part !== 'keys'),
      'it is ready',
    )
    t.equal(await judge(first), 'served')
    t.equal(await judge(first, 'x'), 'ERR_TOKEN_KEY_UNKNOWN', 'a kid must be in the set')
    provider.keys = [next]
    t.equal((await new Visitor().follow(`${url}/auth/login`)).status, 200, 'the new one, at once')
    t.equal(await judge(next), 'served')
    t.equal(await judge(first), 'ERR_TOKEN_KEY_UNKNOWN', 'the old one no more')
    provider.keys = [third]
    clock.advance(31 * second)
    t.equal(await judge(third), 'served', 'a client’s token finds it after the cool-down')
    provider.keys = [await createScriptedKey('named'), first]
    clock.advance(31 * second)
    t.equal(
      await judge(first),
      'ERR_TOKEN_KEY_UNKNOWN',
      'beside a key with a kid it counts no more',
    )
  },
)

await t.test(
  'keys that can’t be told apart are told once a minute, not every two seconds',
  async (t) => {
    const s = await stage(t, { provider: 'scripted', upstream, gateway: false })
    s.provider.keys = [await keyWithoutKid(), await keyWithoutKid()]
    const timers = createTimers()
    const { gateway, clock } = await stage(t, { provider: s.provider, upstream, timers })
    clock.stop()
    const told = () => gateway.lines.filter(({ msg }) => msg === 'keys could not be fetched')
    const tries = async (count: number) => {
      const wanted = s.provider.counts.jwks + count
      await until(() => {
        timers.advance(2000)
        return s.provider.counts.jwks >= wanted
      }, 'it is tried again')
    }
    await tries(10)
    t.equal(told().length, 1)
    t.match(JSON.stringify(told()[0]), 'has 2 keys for signatures without kid')
    clock.advance(minute)
    await tries(5)
    t.equal(told().length, 2)
  },
)
