/** cognito-local calls the Lambda as its trigger, and the gateway grants what the claim says. */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { t } from '../fixtures/tap.js'
import { signInAt, startCognitoLocal } from '../fixtures/cognito-servers.js'
import type { CognitoServer } from '../fixtures/cognito-servers.js'
import { listen } from '../fixtures/listen.js'
import { callLambda } from '../fixtures/pre-token-generation.js'
import type { TokenEvent } from '../fixtures/pre-token-generation.js'
import { stage } from '../fixtures/stage.js'

let cognito: CognitoServer | undefined
const called: string[] = []

/** cognito-local names no groups in its event, as Cognito does: it is asked for them. */
async function withGroups(event: TokenEvent & { readonly userName?: string }): Promise<TokenEvent> {
  const { Groups } = (await cognito!.api('AdminListGroupsForUser', {
    UserPoolId: cognito!.userPoolId,
    Username: event.userName,
  })) as { Groups: readonly { readonly GroupName: string }[] }
  const groupsToOverride = Groups.map(({ GroupName }) => GroupName)
  return { ...event, request: { ...event.request, groupConfiguration: { groupsToOverride } } }
}

/** Lambda's own way to be called: POST /2015-03-31/functions/NAME/invocations. */
async function invoke(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  called.push(request.url ?? '')
  const event = JSON.parse(Buffer.concat(chunks).toString()) as TokenEvent
  const permissions = '{"instructors":"LEARNING_PARTICIPATE,REPORT_CREATE","students":""}'
  const answer = await callLambda(await withGroups(event), permissions)
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(answer))
}
const lambda = createServer((request, response) => void invoke(request, response))
const lambdaPort = await listen(lambda)
t.teardown(() => lambda.close())

await t.test(
  'what the Lambda adds to the ID token is granted, and nothing beyond it',
  async (t) => {
    cognito = await startCognitoLocal(t, [], {
      TriggerFunctions: { PreTokenGeneration: 'pre-token-generation' },
      LambdaClient: {
        endpoint: `http://127.0.0.1:${lambdaPort}`,
        region: 'local',
        credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
      },
    })
    const { url } = await stage(t, {
      issuer: `http://localhost:${cognito.port}/${cognito.userPoolId}`,
      clientId: cognito.clientId,
      cognitoDomain: cognito.endpoint,
      upstream: true,
      overlay: { permissions: { groups: {}, fromClaims: ['nonAdmin', 'LEARNING_PARTICIPATE'] } },
    })
    const { idToken } = await signInAt(cognito)
    t.ok(called.length > 0)
    t.match(called[0], /^\/2015-03-31\/functions\/pre-token-generation\/invocations/)
    const answer = await fetch(`${url}/auth/session`, {
      headers: { authorization: `Bearer ${idToken}`, accept: 'application/json' },
    })
    t.equal(answer.status, 200)
    const { permissions } = (await answer.json()) as {
      permissions: readonly { readonly action: string; readonly from: readonly string[] }[]
    }
    const claimed = permissions.filter(({ from }) => from.some((one) => one.includes('claim')))
    t.ok(
      claimed.some(({ action }) => action === 'LEARNING_PARTICIPATE'),
      JSON.stringify(permissions),
    )
    t.ok(claimed.some(({ action }) => action === 'REPORT_CREATE'))
    t.notOk(permissions.some(({ action }) => action === 'TRAC_ADMIN'))
  },
)
