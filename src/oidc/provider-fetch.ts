/** The one fetch for the provider: bounded in size and time, never redirected, its faults told apart by code. */
import { GatewayError } from '../core/errors.js'

/** Bytes that any answer of a provider may have. */
export const answerLimit = 1024 * 1024
/** Bytes that a key set may have. */
export const keySetLimit = 256 * 1024

/** How long the provider may take for one answer. */
const timeout = 10_000

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

/**
 * Asks the provider once.
 * @throws {@link GatewayError} ERR_PROVIDER_UNAVAILABLE — no connection, no answer in 10 s, or a 5xx or 429
 * @throws {@link GatewayError} ERR_PROVIDER_ANSWER — an answer over `limit` bytes
 */
export const providerFetch: ProviderFetch = async (url, init, limit = answerLimit) => {
  try {
    const response = await fetch(url, {
      ...init,
      redirect: 'manual',
      signal: AbortSignal.timeout(timeout),
    })
    const body = await readBounded(response, limit)
    if (response.status >= 500 || response.status === 429) {
      throw new GatewayError('ERR_PROVIDER_UNAVAILABLE', {
        cause: new Error(`the provider answered ${response.status}`),
        retryAfter: 10,
      })
    }
    // A Response can't be built with a body for statuses that have none (RFC 9110 §15.3.5).
    const bodiless = response.status === 204 || response.status === 304
    return new Response(bodiless ? null : body, {
      status: response.status < 200 ? 502 : response.status,
      headers: response.headers,
    })
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause
    throw new GatewayError('ERR_PROVIDER_UNAVAILABLE', { cause, retryAfter: 10 })
  }
}
