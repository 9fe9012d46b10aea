/** authlib, as a script of a person uses it: it calls with its tokens and lets the gateway renew them. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { t } from '../fixtures/tap.js'
import { signIn } from '../../src/demo/sign-in.js'
import { cacheFolder } from '../../src/demo/trac.js'
import { stage } from '../fixtures/stage.js'

const run = promisify(execFile)
const { provider, gateway, url, sam } = await stage(t, {
  provider: 'cognito',
  upstream: true,
  api: true,
})

/** Renews by itself before a call, since the token it starts with has ended; the body is made JSON where a client would be authenticated. */
const script = `
import json, sys
from urllib.parse import parse_qs
from authlib.integrations.requests_client import OAuth2Session

base, refresh_token, client_id = sys.argv[1:]

def as_json(client, method, url, headers, body):
    token = parse_qs(body)['refresh_token'][0]
    return url, {**headers, 'Content-Type': 'application/json'}, json.dumps({'refresh_token': token})

renewed = []
client = OAuth2Session(
    client_id,
    token={'access_token': 'ended', 'token_type': 'Bearer', 'refresh_token': refresh_token, 'expires_at': 1},
    token_endpoint=base + '/auth/refresh',
    token_endpoint_auth_method='json',
    update_token=lambda token, refresh_token=None, access_token=None: renewed.append(token),
)
client.register_client_auth_method(('json', as_json))
answers = [client.get(base + path) for path in ('/auth/session', '/api/x')]
print(json.dumps({
    'statuses': [answer.status_code for answer in answers],
    'user': answers[0].json()['user'],
    'renewals': len(renewed),
    'lives': renewed[0]['expires_in'],
}))
`

await t.test('authlib renews through the gateway and calls with the new token', async (t) => {
  const { refreshToken } = await signIn(provider, sam)
  const python = join(cacheFolder(), 'peers/bin/python')
  const { clientId } = gateway.gateway.services.config.identity
  const { stdout } = await run(python, ['-c', script, url, refreshToken, clientId])
  t.same(JSON.parse(stdout), {
    statuses: [200, 200],
    user: 'sam',
    renewals: 1,
    lives: 3600,
  })
})
