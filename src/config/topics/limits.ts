/** `rateLimit`: how often the gateway's own endpoints are used. */
import { count, shape } from '../key.js'
import { duration } from '../kinds/duration.js'
import type { Topic } from '../topic.js'

const rate = (description: string, max: number) =>
  shape(description, {
    max: count('Requests in a period.', { default: max }),
    per: duration('The period.', '1m', { min: '1s', max: '1d' }),
  })

const rateLimit = shape('Limits of our own endpoints.', {
  auth: rate(
    'Sign-in, callback and JSON refresh, per client address (IPv6: per /64). A whole class may sit behind one address.',
    600,
  ),
  failures: rate('What fails, per browser or refresh token.', 20),
  badTokens: rate(
    'Bearer tokens that are refused, per client address (IPv6: per /64). Beyond it, tokens from there that are not known yet get 429; known ones go on. An expired token is not counted: its client has to be told. Deliveries of webhooks that are refused count, too.',
    600,
  ),
})

/** How often the gateway's own endpoints are used. */
export const limitsTopic = {
  keys: { rateLimit },
  checks: [],
  warnings: {},
} satisfies Topic<{ rateLimit: typeof rateLimit }, object>
