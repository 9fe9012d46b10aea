/** The scripted provider behaves until it is told otherwise. */
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import type { JSONWebKeySet } from 'jose'
import { createScriptedCurveKey, createScriptedKey } from '../fixtures/scripted-keys.js'
import { badAnswers, hugeAnswer, startScriptedProvider } from '../fixtures/scripted-provider.js'
import type { ScriptedProvider, ScriptedProviderOptions } from '../fixtures/scripted-provider.js'

async function start(
  test: Pick<Test, 'teardown'>,
  options?: ScriptedProviderOptions,
): Promise<ScriptedProvider> {
  const provider = await startScriptedProvider(options)
  test.teardown(() => provider.stop())
  return provider
}

async function json(response: Response | Promise<Response>): Promise<Record<string, unknown>> {
  return Object(await (await response).json())
}

async function keysOf(provider: ScriptedProvider): Promise<JSONWebKeySet> {
  return Object(await json(fetch(provider.jwksUri)))
}

async function verify(provider: ScriptedProvider, token: string) {
  return jwtVerify(token, createLocalJWKSet(await keysOf(provider)), { issuer: provider.issuer })
}

await t.test('the provider runs a whole code flow, and takes a code once', async (t) => {
  const provider = await start(t)
  const found = await json(fetch(`${provider.issuer}/.well-known/openid-configuration`))
  t.equal(found['issuer'], provider.issuer)
  const redirectUri = 'http://localhost:1/auth/callback'
  const query = new URLSearchParams({
    redirect_uri: redirectUri,
    state: 'a state',
    nonce: 'a nonce',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
  })
  const authorize = `${String(found['authorization_endpoint'])}?${query.toString()}`
  const back = await fetch(authorize, { redirect: 'manual' })
  const location = new URL(back.headers.get('location') ?? '')
  t.equal(location.searchParams.get('state'), 'a state')
  const redeem = (): Promise<Response> =>
    fetch(String(found['token_endpoint']), {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        code: location.searchParams.get('code') ?? '',
        redirect_uri: redirectUri,
        // RFC 7636, appendix B.
        code_verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
      }),
    })
  const tokens = await json(redeem())
  const { payload } = await verify(provider, String(tokens['id_token']))
  t.match(payload, { nonce: 'a nonce', aud: provider.clientId, token_use: 'id' })
  t.match(decodeJwt(String(tokens['access_token'])), { client_id: provider.clientId })
  t.equal((await redeem()).status, 400)
  t.equal(provider.counts.token, 2)
  t.equal(provider.received.token[0]?.form.get('grant_type'), 'authorization_code')
})

await t.test('the provider speaks the standard dialect, too', async (t) => {
  const provider = await start(t, { dialect: 'standard', path: '' })
  t.equal(provider.issuer, provider.origin)
  const token = provider.sign('access')
  t.equal(decodeProtectedHeader(token).typ, 'at+jwt')
  t.match((await verify(provider, token)).payload, { aud: provider.clientId })
  t.notOk('token_use' in decodeJwt(token))
})

await t.test('the provider gives bad answers until it is restored', async (t) => {
  const provider = await start(t)
  const get = (): Promise<Response> => fetch(provider.jwksUri)
  provider.replace('jwks', () => badAnswers.html)
  t.match(await (await get()).text(), /^<!doctype html>/)
  provider.replace('jwks', () => badAnswers.notJson)
  await t.rejects(json(get()))
  provider.replace('jwks', () => badAnswers.empty)
  t.equal(await (await get()).text(), '')
  provider.replace('jwks', () => badAnswers.unavailable)
  t.equal((await get()).status, 503)
  provider.replace('jwks', () => hugeAnswer())
  t.ok((await (await get()).text()).length > 10_000_000)
  provider.replace('jwks', () => badAnswers.broken)
  await t.rejects(get())
  provider.replace('jwks', (request) => provider.usual('jwks', request))
  await t.resolves(json(get()))
  provider.replace('jwks', () => badAnswers.broken)
  provider.restore('jwks')
  t.equal((await keysOf(provider)).keys.length, 1)
  t.equal(provider.counts.jwks, 8)
})

await t.test('the provider holds an answer back as long as the test does', async (t) => {
  const provider = await start(t)
  let open: (() => void) | undefined
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  provider.replace('userinfo', async (request) => {
    await gate
    return provider.usual('userinfo', request)
  })
  const arrived = provider.next('userinfo')
  const answer = fetch(`${provider.origin}/oauth2/userInfo`, {
    headers: { Authorization: 'Bearer x' },
  })
  t.equal((await arrived).headers.authorization, 'Bearer x')
  open?.()
  t.match(await json(answer), { email: 'pat@example.edu', email_verified: 'true' })
})

await t.test('the provider shows the keys that a test gives it', async (t) => {
  const provider = await start(t)
  const old = provider.sign('id')
  provider.keys = [await createScriptedKey('key-2')]
  await t.rejects(verify(provider, old), { code: 'ERR_JWKS_NO_MATCHING_KEY' })
  await t.resolves(verify(provider, provider.sign('id')))
  provider.keys.push(await createScriptedKey('key-2'))
  await t.rejects(verify(provider, provider.sign('id')), {
    code: 'ERR_JWKS_MULTIPLE_MATCHING_KEYS',
  })
  provider.keys = [await createScriptedKey('weak', 1024)]
  await t.rejects(verify(provider, provider.sign('id')), /2048/)
  provider.keys = [await createScriptedCurveKey('curve')]
  await t.resolves(verify(provider, provider.sign('id')))
  provider.keys = []
  t.same(await keysOf(provider), { keys: [] })
})

await t.test('the provider signs what no provider should sign', async (t) => {
  const provider = await start(t)
  const none = provider.sign('id', {}, { alg: 'none', kid: null })
  t.match(decodeProtectedHeader(none), { alg: 'none' })
  t.ok(none.endsWith('.'))
  const pem = provider.keys[0]?.publicKey.export({ type: 'spki', format: 'pem' }) ?? ''
  const confused = provider.sign('id', {}, { key: Buffer.from(pem), kid: 'key-1' })
  t.match(decodeProtectedHeader(confused), { alg: 'HS256', kid: 'key-1' })
  await t.resolves(jwtVerify(confused, Buffer.from(pem)))
  const otherwise = provider.sign('id', {}, { alg: 'PS256' })
  await t.rejects(verify(provider, otherwise), { code: 'ERR_JWKS_NO_MATCHING_KEY' })
  const endless = provider.sign('access', { exp: undefined }, { header: { jku: 'http://evil' } })
  t.notOk('exp' in decodeJwt(endless))
  t.equal(decodeProtectedHeader(endless)['jku'], 'http://evil')
})

await t.test('the provider stops and comes back on the same port', async (t) => {
  const provider = await start(t)
  const { jwksUri } = provider
  await provider.stop()
  await t.rejects(fetch(jwksUri))
  await provider.restart()
  t.equal(provider.jwksUri, jwksUri)
  t.equal((await fetch(jwksUri)).status, 200)
})
