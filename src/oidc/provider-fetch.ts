/** The one fetch for the provider: bounded in size and time, never redirected, its faults told apart by code. */
import type { Milliseconds, Now, Timers } from '../core/clock.js'
import { GatewayError } from '../core/errors.js'

/** Bytes that any answer of a provider may have. */
export const answerLimit = 1024 * 1024
/** Bytes that a key set may have. */
export const keySetLimit = 256 * 1024

/** How long the provider may take for one answer. */
const timeout: Milliseconds = 10_000

/** Seconds after which a provider is asked again that does not say when. */
const usualRetryAfter = 10
/** Seconds that a provider may ask to be left alone. */
const maxRetryAfter = 3600

/** A fetch that rejects with ERR_PROVIDER_UNAVAILABLE or ERR_PROVIDER_ANSWER, and nothing else. */
export type ProviderFetch = (url: string, init: RequestInit, limit?: number) => Promise<Response>

async function readBounded(response: Response, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > limit) {
      throw new GatewayError('ERR_PROVIDER_ANSWER', { cause: new Error(`over ${limit} bytes`) })
    }
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

/** Seconds of a `Retry-After`, a number or a date (RFC 9110 §10.2.3). */
function readRetryAfter(value: string | null, now: Milliseconds): number | undefined {
  const text = value?.trim() ?? ''
  const seconds = /^[0-9]{1,9}$/.test(text) ? Number(text) : (Date.parse(text) - now) / 1000
  if (!Number.isFinite(seconds)) return undefined
  return Math.min(Math.max(1, Math.ceil(seconds)), maxRetryAfter)
}

/** What a 5xx or a 429 says of the provider; 502 to 504 come from what stands before a provider that is not there. */
function faultOf({ status, headers }: Response, now: Milliseconds): GatewayError {
  const asked = readRetryAfter(headers.get('retry-after'), now)
  const isDown = status >= 502 && status <= 504
  return new GatewayError('ERR_PROVIDER_UNAVAILABLE', {
    cause: new Error(`the provider answered ${status}`),
    retryAfter: asked ?? usualRetryAfter,
    ...(isDown ? { provider: 'down' } : {}),
    ...(status === 429 && asked !== undefined ? { provider: 'busy' } : {}),
  })
}

async function ask(url: string, init: RequestInit, limit: number, now: Now): Promise<Response> {
  const response = await fetch(url, { ...init, redirect: 'manual' })
  const body = await readBounded(response, limit)
  if (response.status >= 500 || response.status === 429) throw faultOf(response, now())
  // A Response can't be built with a body for statuses that have none (RFC 9110 §15.3.5, §15.3.6).
  const bodiless = [204, 205, 304].includes(response.status)
  return new Response(bodiless ? null : body, {
    status: response.status < 200 ? 502 : response.status,
    headers: response.headers,
  })
}

/**
 * Builds the fetch. It rejects with
 * {@link GatewayError} ERR_PROVIDER_UNAVAILABLE — no connection, no answer in 10 s, or a 5xx or 429; or with
 * {@link GatewayError} ERR_PROVIDER_ANSWER — an answer over `limit` bytes.
 */
export function createProviderFetch(timers: Timers, now: Now): ProviderFetch {
  return async (url, init, limit = answerLimit) => {
    const controller = new AbortController()
    const timer = timers.setTimeout(
      () => controller.abort(new Error('the provider took too long')),
      timeout,
    )
    timer.unref()
    try {
      return await ask(url, { ...init, signal: controller.signal }, limit, now)
    } catch (cause) {
      if (cause instanceof GatewayError) throw cause
      const details = { cause, retryAfter: usualRetryAfter, provider: 'down' } as const
      throw new GatewayError('ERR_PROVIDER_UNAVAILABLE', details)
    } finally {
      timers.clearTimeout(timer)
    }
  }
}
