/** The texts that `init` writes: a commented gateway.yaml, and the lines for trac.ini. */
import { isLoopback } from '../../core/host.js'
import { toList } from '../../trac/ini.js'
import { placePolicy } from '../../trac/policies.js'
import { scalar } from '../yaml-text.js'
import type { Answers } from './answers.js'
import type { Found } from './find-out.js'

/** The id of the key that gateway and Trac share. */
export const keyId = 'k1'

/** Names of the files beside gateway.yaml. */
export const files = {
  session: 'secrets/session',
  signing: 'secrets/signing',
  admin: 'secrets/admin',
  client: 'secrets/client',
  names: 'state/names',
  revocations: 'state/revocations',
} as const

function serverText({ publicUrl, listen }: Answers, { trustedProxies }: Found): string {
  const { url, secure } = publicUrl
  const port = new URL(url).port || '80'
  const isProxyHere = trustedProxies?.every(isLoopback) === true
  const usual = secure ? `${isProxyHere ? '127.0.0.1' : '0.0.0.0'}:8080` : `127.0.0.1:${port}`
  const proxies =
    trustedProxies === undefined
      ? []
      : [
          '  # Who ends TLS in front, as the gateway sees its address. Its X-Forwarded-* count, and nobody else’s.',
          `  trustedProxies: [${trustedProxies.map(scalar).join(', ')}]`,
        ]
  return [
    'server:',
    '  # What browsers see.',
    `  publicUrl: ${scalar(url)}`,
    `  listen: ${scalar(listen ?? usual)}`,
    ...proxies,
  ].join('\n')
}

function identityText({ provider, clientId, clientSecret }: Answers, found: Found): string {
  const { issuer, domain, scopes, algorithm } = found
  const cognito =
    provider.kind === 'cognito'
      ? [
          '  cognito:',
          `    region: ${scalar(provider.region)}`,
          `    userPoolId: ${scalar(provider.userPoolId)}`,
          '    # Where its sign-in pages are.',
          `    domain: ${scalar(domain ?? 'CHANGE-ME')}`,
        ]
      : [`  issuer: ${scalar(issuer)}`]
  return [
    'identity:',
    ...cognito,
    `  clientId: ${scalar(clientId)}`,
    ...(clientSecret === undefined ? [] : [`  clientSecret: { fromFile: ${files.client} }`]),
    `  scopes: [${scopes.map(scalar).join(', ')}]`,
    ...(algorithm === 'RS256' ? [] : [`  algorithms: [${scalar(algorithm)}]`]),
    '  username:',
    '    # People are called by the name that the provider never changes, which may be hard to read. To call',
    '    # alice@example.edu alice, put your own domain here:',
    '    # emailLocalPart: example.edu',
    '    # Whose name is whose, over a restart.',
    `    namesFile: ${files.names}`,
  ].join('\n')
}

const permissionsText = `permissions:
  # What each group of the provider may do, by the names of Trac’s permissions.
  groups:
    # admins: [TRAC_ADMIN]
    # students: [TICKET_CREATE, TICKET_CHGPROP, WIKI_MODIFY]
    {}
  # What everybody may do who has signed in.
  authenticated:
    [WIKI_VIEW, TICKET_VIEW, MILESTONE_VIEW, REPORT_VIEW, ROADMAP_VIEW, TIMELINE_VIEW, SEARCH_VIEW]
  # What a visitor may do who has not.
  anonymous: []`

function tracText({ trac }: Answers): string {
  const isPlain = trac.kind === 'tcp' && !trac.tls && !isLoopback(trac.host)
  return [
    'upstreams:',
    '  trac:',
    `    url: ${scalar(trac.url)}`,
    ...(isPlain
      ? ['    # Plain HTTP over a network: let nobody else be on it.', '    insecureHttp: true']
      : []),
    '    # Signs who a request is from. Trac has the same key in its key file.',
    `    signingKeys: [{ id: ${keyId}, secret: { fromFile: ${files.signing} } }]`,
    '    # Tells Trac of groups, too; its plugin must be 0.4 or later.',
    '    signature: v2',
  ].join('\n')
}

/** `gateway.yaml`. */
export function gatewayText(answers: Answers, found: Found): string {
  const { adminListen } = answers
  return `${[
    '# Written by trac-gateway init. Every other key, with its default: deploy/docs/reference/options.md',
    serverText(answers, found),
    [
      'admin:',
      ...(adminListen === undefined ? [] : [`  listen: ${scalar(adminListen)}`]),
      '  # For revoke, names, explain --running and doctor.',
      `  token: { fromFile: ${files.admin} }`,
    ].join('\n'),
    identityText(answers, found),
    [
      'session:',
      '  # Seals the cookies.',
      `  secrets: [{ fromFile: ${files.session} }]`,
      '  # Who was signed out, over a restart.',
      `  revocationFile: ${files.revocations}`,
    ].join('\n'),
    permissionsText,
    tracText(answers),
  ].join('\n\n')}\n`
}

/** The lines that go into `trac.ini`. */
export function tracIniText({ publicUrl }: Answers, { ini }: Found, keyFile: string): string {
  const own = ini?.get('trac')?.get('permission_policies') ?? ''
  const policies = placePolicy(toList(own)).join(', ')
  return `# For conf/trac.ini, in place of the lines of these names. Written by trac-gateway init.
[trac]
base_url = ${publicUrl.url}
use_base_url_for_redirect = true
secure_cookies = ${publicUrl.secure}
permission_policies = ${policies}
request_filters = TracGateway

[components]
trac.web.auth.loginmodule = disabled

[trac_gateway]
key_file = ${keyFile}
`
}
