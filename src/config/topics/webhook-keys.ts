/** `webhook` of a route: deliveries that their sender signs (deploy/docs/guides/programs.md#webhooks). */
import { choice, list, shape, text } from '../key.js'
import type { Resolved } from '../key.js'
import { group } from '../kinds/names.js'
import { secret } from '../kinds/secret.js'

/** The key. */
export const webhook = shape(
  'Takes deliveries of a webhook, each proven by its sender’s secret and by nothing else. The rule takes POST alone.',
  {
    form: choice(
      'How a delivery is proven. `github`: `X-Hub-Signature-256`, of the body. `gitlab`: `X-Gitlab-Token`, the secret itself. `standard`: Standard Webhooks, of id, time and body, so that none counts twice.',
      ['github', 'gitlab', 'standard'],
    ),
    secrets: list(secret('A secret of at least 16 bytes.', 16), {
      description:
        'What the sender proves it with, at least 16 bytes; for `standard`: `whsec_` and base64. Two while it changes: either counts.',
      minItems: 1,
      maxItems: 2,
    }),
    username: text('Its name in Trac. No person and no machine can have it.', {
      wanted: 'a user name',
      examples: ['ci-hook'],
    }),
    groups: list(group, { description: 'Groups that it is in.', default: [] }),
  },
)

/** `webhook` of a route. */
export type WebhookConfig = Resolved<typeof webhook>

const standardSecret = /^whsec_(?<base64>[A-Za-z0-9+/]+={0,2})$/

/** The key of a secret of Standard Webhooks; undefined if it is none of at least 16 bytes. */
export function standardKey(text: string): Buffer | undefined {
  const base64 = standardSecret.exec(text)?.groups?.['base64']
  if (base64 === undefined) return undefined
  const key = Buffer.from(base64, 'base64')
  return key.length < 16 ? undefined : key
}
