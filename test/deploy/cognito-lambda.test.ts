/** The Lambda of the user pool, with events of each version. */
import { readFileSync } from 'node:fs'
import { t } from '../fixtures/tap.js'
import { callLambda } from '../fixtures/pre-token-generation.js'
import { root } from '../fixtures/root.js'
import { stage } from '../fixtures/stage.js'

const permissions = JSON.stringify({
  admins: 'LEARNING_PARTICIPATE,WIKI_VIEW',
  students: 'LEARNING_PARTICIPATE',
  guests: '',
})

/** As in Amazon's description of the trigger. */
const eventOf = (version: string, groups: readonly string[]) => ({
  version,
  triggerSource: 'TokenGeneration_HostedAuth',
  region: 'eu-central-1',
  userPoolId: 'eu-central-1_Example',
  userName: 'f27b64d8-93a4-4c0e-b7d6-b0a9c5e14533',
  callerContext: { awsSdkVersion: 'aws-sdk-unknown-unknown', clientId: '1example23456789' },
  request: {
    userAttributes: { sub: 'f27b64d8', email: 'sam@example.edu', email_verified: 'true' },
    groupConfiguration: {
      groupsToOverride: groups,
      iamRolesToOverride: [],
      preferredRole: null,
    },
    ...(version === '1' ? {} : { scopes: ['openid', 'email'] }),
  },
  response:
    version === '1' ? { claimsOverrideDetails: null } : { claimsAndScopeOverrideDetails: null },
})

await t.test('an event of version 1 gets the claim for the ID token', async (t) => {
  const event = eventOf('1', ['students', 'admins', 'others'])
  const { response, ...rest } = await callLambda(structuredClone(event), permissions)
  t.strictSame(response, {
    claimsOverrideDetails: {
      claimsToAddOrOverride: { trac_permissions: 'LEARNING_PARTICIPATE,WIKI_VIEW' },
      groupOverrideDetails: event.request.groupConfiguration,
    },
  })
  const { response: _, ...sent } = event
  t.strictSame(rest, sent, 'all else goes back as it came')
})

for (const version of ['2', '3']) {
  await t.test(`an event of version ${version} gets it for both tokens`, async (t) => {
    const event = eventOf(version, ['students'])
    const { response } = await callLambda(structuredClone(event), permissions)
    const claims = { claimsToAddOrOverride: { trac_permissions: 'LEARNING_PARTICIPATE' } }
    t.strictSame(response, {
      claimsAndScopeOverrideDetails: {
        idTokenGeneration: claims,
        accessTokenGeneration: claims,
        groupOverrideDetails: event.request.groupConfiguration,
      },
    })
  })
}

interface Answered {
  readonly claimsAndScopeOverrideDetails?: Readonly<
    Record<
      'idTokenGeneration' | 'accessTokenGeneration',
      { readonly claimsToAddOrOverride: Readonly<Record<string, string>> }
    >
  >
}

await t.test(
  'the gateway grants what an access token got from version 2, and no more',
  async (t) => {
    const { url, provider } = await stage(t, {
      provider: 'scripted',
      overlay: {
        identity: { username: {} },
        permissions: { groups: {}, fromClaims: ['nonAdmin', 'LEARNING_PARTICIPATE'] },
      },
    })
    const settings = '{"students":"LEARNING_PARTICIPATE,REPORT_CREATE,WIKI_ADMIN,PROJECT_LEAD"}'
    /** What somebody's access token says, and what the gateway makes of it. */
    const ask = async (version: string, groups: readonly string[]) => {
      const { response } = await callLambda(eventOf(version, groups), settings)
      const { claimsAndScopeOverrideDetails: details } = response as Answered
      // As Cognito lays them over its own. In version 1 there are none for access tokens.
      const claims = details?.accessTokenGeneration.claimsToAddOrOverride ?? {}
      const token = provider.sign('access', { ...claims, 'cognito:groups': groups })
      const answer = await fetch(`${url}/auth/session`, {
        headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
      })
      t.equal(answer.status, 200)
      const { permissions, left_out } = (await answer.json()) as {
        readonly permissions: readonly {
          readonly action: string
          readonly from: readonly string[]
        }[]
        readonly left_out?: readonly string[]
      }
      const claimed = permissions.filter(({ from }) => from.includes('claim'))
      return { claimed: claimed.map(({ action }) => action).toSorted(), left_out }
    }
    t.strictSame(await ask('2', ['students']), {
      claimed: ['LEARNING_PARTICIPATE', 'REPORT_CREATE'],
      left_out: ['PROJECT_LEAD', 'WIKI_ADMIN'],
    })
    t.strictSame(await ask('2', ['others']), { claimed: [], left_out: undefined })
    t.strictSame(await ask('1', ['students']), { claimed: [], left_out: undefined })
  },
)

await t.test('who is in no group that brings anything gets no claim', async (t) => {
  for (const groups of [[], ['others'], ['guests'], ['toString', '__proto__']]) {
    const { response } = await callLambda(eventOf('1', groups), permissions)
    t.match(response, { claimsOverrideDetails: { claimsToAddOrOverride: {} } })
    t.notMatch(JSON.stringify(response), /trac_permissions/)
  }
  // A machine has no groups.
  const machine = { version: '3', request: { groupConfiguration: null }, response: null }
  t.notMatch(JSON.stringify(await callLambda(machine, permissions)), /trac_permissions/)
})

await t.test('settings that cannot be meant make no token', async (t) => {
  for (const wrong of [
    undefined,
    '',
    'students=WIKI_VIEW',
    '[]',
    'null',
    '{"students":["WIKI_VIEW"]}',
    '{"students":"wiki_view"}',
    '{"students":"WIKI_VIEW, TICKET_VIEW"}',
  ]) {
    await t.rejects(
      callLambda(eventOf('2', ['students']), wrong),
      /TRAC_PERMISSIONS must be/,
      wrong ?? 'none',
    )
  }
})

await t.test('what is deployed is what `npm run docs` makes of the source', async (t) => {
  const { made } = (await import(`${root}deploy/cognito/lambda/build.mjs`)) as {
    made: () => Promise<ReadonlyMap<string, string>>
  }
  const files = await made()
  t.equal(files.size, 2)
  for (const [file, text] of files) t.equal(readFileSync(file, 'utf8'), text, file)
})
