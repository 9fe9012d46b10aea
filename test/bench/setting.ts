/** What the contenders of a bench share: a provider that runs here, its key, and tokens of many people. */
import { createPublicKey, randomUUID } from 'node:crypto'
import type { JsonWebKey } from 'node:crypto'
import { startProvider } from '../../src/demo/provider.js'
import type { DemoProvider } from '../../src/demo/provider.js'
import { manyTokens } from './cases.js'
import { startUpstream } from './contenders.js'
import type { Setting } from './contenders.js'

/** Starts provider and upstream. @param folder where files of the contenders go */
export async function createSetting(
  folder: string,
): Promise<{ provider: DemoProvider; setting: Setting }> {
  const provider = await startProvider()
  const client = provider.clients[0]!
  client.clientSecret = randomUUID()
  const setting = {
    folder,
    issuer: provider.issuer,
    poolOrigin: provider.origin,
    clientId: provider.clientId,
    clientSecret: client.clientSecret,
    ...(await readKey(provider)),
    upstreamPort: await startUpstream(folder),
  }
  return { provider, setting }
}

/** The key of ID tokens. */
async function readKey({ jwksUri }: DemoProvider): Promise<{ keyId: string; publicKey: string }> {
  const { keys } = (await (await fetch(jwksUri)).json()) as {
    keys: (JsonWebKey & { kid: string })[]
  }
  const key = createPublicKey({ key: keys[0]!, format: 'jwk' })
  return { keyId: keys[0]!.kid, publicKey: key.export({ type: 'spki', format: 'pem' }).toString() }
}

/** A token of one of many people, no two the same. */
export function createToken(provider: DemoProvider, i: number): Promise<string> {
  const subject = `6f1b9a52-3c1d-4e0a-9a57-${String(i % manyTokens).padStart(12, '0')}`
  const now = Math.floor(Date.now() / 1000)
  return provider.mint({
    sub: subject,
    'cognito:username': subject,
    'cognito:groups': ['admins'],
    email: `person-${i % manyTokens}@example.edu`,
    email_verified: true,
    auth_time: now,
    jti: randomUUID(),
  })
}
