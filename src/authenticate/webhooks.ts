/**
 * Deliveries of webhooks: whose one is follows from the row, and counts once the signature of its body is found good. Until
 * then it is only claimed, and nothing is sent on (deploy/docs/guides/programs.md#webhooks).
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Milliseconds, Now } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'
import type { Facts } from '../core/errors.js'
import type { Identity } from '../core/identity.js'
import { isSameText } from '../core/same-text.js'
import { standardKey } from '../config/topics/webhook-keys.js'
import type { WebhookConfig } from '../config/topics/webhook-keys.js'
import type { RequestContext } from '../request/context.js'
import { rawValues } from '../request/headers.js'
import type { BadTokens } from './bad-tokens.js'
import { machinePrincipal } from './principals.js'
import type { PrincipalParts } from './principals.js'

/** What deliveries are judged with. */
export interface WebhookParts {
  readonly parts: PrincipalParts
  /** The main one: its groups are those of the configuration. */
  readonly issuer: string
  readonly anonymous: Identity
  readonly badTokens: BadTokens
  /** Uses a signed delivery for the first time; false if it was used before. */
  readonly used: { use(delivery: string): Promise<boolean> }
  readonly now: Now
}

/** The rows, as the configuration has them. */
export type WebhookRows = readonly {
  readonly name: string
  readonly webhook?: WebhookConfig | undefined
}[]

/** Judges deliveries. */
export interface Webhooks {
  /**
   * The headers of a delivery: its identity is claimed from then on.
   * @throws {@link GatewayError} ERR_WEBHOOK_SIGNATURE, ERR_WEBHOOK_REPLAYED, ERR_HEADER_REPEATED, ERR_METHOD_NOT_ALLOWED;
   *   ERR_RATE_LIMITED — its address brought too many bad ones
   */
  claim(context: RequestContext): void
  /** Its body, chunk by chunk; `finish` rejects if it is not what was signed, and else the identity is proven. */
  prove(context: RequestContext): {
    readonly update: (chunk: Buffer) => void
    readonly finish: () => Promise<void>
  }
}

/** What the headers of a delivery claim. */
interface Claim {
  /** What the HMAC of the body should be: one of them. */
  readonly signatures: readonly Buffer[]
  /** What is signed before the body. */
  readonly prefix: string
  /** In milliseconds; undefined where the sender signs no time. */
  readonly signedAt: Milliseconds | undefined
}

/** One row. */
interface Hook {
  readonly form: WebhookConfig['form']
  readonly keys: readonly (Buffer | string)[]
  readonly identity: Identity
}

/** How far the time that was signed may be from ours. Deliveries are remembered for twice that. */
const tolerance: Milliseconds = 5 * 60_000

function badSignature(found: Facts, wanted: Facts): GatewayError {
  return new GatewayError('ERR_WEBHOOK_SIGNATURE', { found, wanted })
}

/** A header that must come once; empty text if it is absent. */
function headerOf(rawHeaders: readonly string[], name: string): string {
  const values = rawValues(rawHeaders, name)
  if (values.length > 1) {
    const found = { header: name, times: values.length }
    throw new GatewayError('ERR_HEADER_REPEATED', { found, wanted: { header: name, times: 1 } })
  }
  return values[0] ?? ''
}

const known = (value: string): string => (value === '' ? 'absent' : 'of another form')

/** Reads `X-Hub-Signature-256`. No time is signed. */
function readGithub(rawHeaders: readonly string[]): Claim {
  const name = 'x-hub-signature-256'
  const value = headerOf(rawHeaders, name)
  const hex = /^sha256=([0-9a-f]{64})$/.exec(value)?.[1]
  if (hex === undefined) {
    throw badSignature({ [name]: known(value) }, { [name]: 'sha256= and 64 hexadecimal digits' })
  }
  return { signatures: [Buffer.from(hex, 'hex')], prefix: '', signedAt: undefined }
}

/** 32 bytes in base64, in their one spelling: the last character has no bit that decoding drops (RFC 4648 §3.5). */
const signatureForm = /^v1,[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/

/** Reads the three headers of Standard Webhooks. An id has no dot, so that what is signed can be read in one way. */
function readStandard(rawHeaders: readonly string[]): Claim {
  const wanted = {
    'webhook-id': 'letters, digits, _ and -',
    'webhook-timestamp': 'seconds since 1970',
    'webhook-signature': 'v1, and base64 of 32 bytes',
  }
  const [id, time, list] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) =>
    headerOf(rawHeaders, name),
  ) as [string, string, string]
  const signatures = list
    .split(' ')
    .filter((one) => signatureForm.test(one))
    .map((one) => Buffer.from(one.slice(3), 'base64'))
  const fits =
    /^[A-Za-z0-9_-]{1,256}$/.test(id) && /^[0-9]{1,12}$/.test(time) && signatures.length > 0
  if (!fits) {
    const found = {
      'webhook-id': id === '' ? 'absent' : 'present',
      'webhook-timestamp': time === '' ? 'absent' : 'present',
      'webhook-signature': list === '' ? 'absent' : `${signatures.length} by v1`,
    }
    throw badSignature(found, wanted)
  }
  return { signatures, prefix: `${id}.${time}.`, signedAt: Number(time) * 1000 }
}

/** GitLab's older way: the secret itself comes, and nothing of the body is signed. */
function checkGitlab(rawHeaders: readonly string[], { keys }: Hook): void {
  const name = 'x-gitlab-token'
  const value = headerOf(rawHeaders, name)
  const isGood = keys.filter((key) => isSameText(value, String(key))).length > 0
  if (isGood) return
  throw badSignature(
    { [name]: value === '' ? 'absent' : 'another text' },
    { [name]: 'one of webhook.secrets' },
  )
}

const readers = { github: readGithub, standard: readStandard }

/** Whether one of the digests is one of the signatures; every pair is compared. */
function isAmong(digests: readonly Buffer[], signatures: readonly Buffer[]): boolean {
  const same = digests.flatMap((digest) =>
    signatures.filter((one) => one.length === digest.length && timingSafeEqual(one, digest)),
  )
  return same.length > 0
}

function toHook(name: string, config: WebhookConfig, { parts, issuer }: WebhookParts): Hook {
  const { form, secrets, username, groups } = config
  const machine = { username, groups, scopes: [] }
  const facts = { clientId: '', scopes: new Set<string>() }
  return {
    form,
    // What `check` let through has a key.
    keys: form === 'standard' ? secrets.flatMap((text) => standardKey(text) ?? []) : secrets,
    identity: {
      principal: machinePrincipal(parts, machine, issuer, `webhook ${name}`, facts),
      via: 'webhook',
      expiresAt: Number.POSITIVE_INFINITY,
      accessToken: undefined,
    },
  }
}

/** Builds it, with the identity of each row. */
export function createWebhooks(rows: WebhookRows, parts: WebhookParts): Webhooks {
  const { badTokens, now } = parts
  const hooks = new Map<string, Hook>()
  for (const { name, webhook } of rows) {
    if (webhook !== undefined) hooks.set(name, toHook(name, webhook, parts))
  }
  const hookOf = ({ route }: RequestContext): Hook => {
    const hook = hooks.get(route.name)
    if (hook === undefined) throw new GatewayError('ERR_INTERNAL')
    return hook
  }

  const refuse = (context: RequestContext, error: unknown): never => {
    context.identity = parts.anonymous
    badTokens.count(context.address, error)
    throw error
  }

  const checkTime = ({ signedAt }: Claim): void => {
    if (signedAt === undefined) return
    const ahead = signedAt - now()
    if (Math.abs(ahead) <= tolerance) return
    const found = { ahead: Math.round(ahead / 1000) }
    throw new GatewayError('ERR_WEBHOOK_REPLAYED', { found, wanted: { ahead: tolerance / 1000 } })
  }

  /** A sender that tries again signs another time, and is let in; who repeats what it sent is not. */
  const useOnce = async ({ prefix, signedAt }: Claim): Promise<void> => {
    if (signedAt === undefined || (await parts.used.use(`webhook ${prefix}`))) return
    const found = { delivery: prefix.slice(0, prefix.indexOf('.')), times: 2 }
    throw new GatewayError('ERR_WEBHOOK_REPLAYED', { found, wanted: { times: 1 } })
  }

  return {
    claim(context) {
      const { method, preflight, upgradeSocket, request } = context
      const hook = hookOf(context)
      if (method !== 'POST' || preflight || upgradeSocket !== undefined) {
        throw new GatewayError('ERR_METHOD_NOT_ALLOWED', { allow: ['POST'] })
      }
      badTokens.check(context.address)
      try {
        if (hook.form === 'gitlab') {
          checkGitlab(request.rawHeaders, hook)
          context.isProven = true
        } else checkTime(readers[hook.form](request.rawHeaders))
      } catch (error) {
        refuse(context, error)
      }
      context.identity = hook.identity
    },

    prove(context) {
      const { form, keys } = hookOf(context)
      if (form === 'gitlab') throw new GatewayError('ERR_INTERNAL')
      const claimed = readers[form](context.request.rawHeaders)
      const macs = keys.map((key) => createHmac('sha256', key).update(claimed.prefix))
      const judge = async (): Promise<void> => {
        const digests = macs.map((mac) => mac.digest())
        if (!isAmong(digests, claimed.signatures)) {
          const found = { signature: 'of another body, or by another secret' }
          throw badSignature(found, { signature: 'by one of webhook.secrets', form })
        }
        // Once more: a body may have come slowly, and a delivery is not remembered for longer than its time counts.
        checkTime(claimed)
        await useOnce(claimed)
        context.isProven = true
      }
      return {
        update: (chunk) => macs.forEach((mac) => mac.update(chunk)),
        finish: () => judge().catch((error: unknown) => refuse(context, error)),
      }
    },
  }
}
