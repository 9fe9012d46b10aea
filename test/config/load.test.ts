/** The loader: each mistake with its place, all at once; defaults; secrets; never anything but problems. */
import * as fc from 'fast-check'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t } from '../fixtures/tap.js'
import { loadConfig } from '../../src/config/load.js'
import { ConfigProblems } from '../../src/config/problems.js'
import { warningNames } from '../../src/config/schema.js'
import type { Config } from '../../src/config/schema.js'
import { createCertificate } from '../fixtures/certificate.js'
import { scaled } from '../fixtures/scale.js'
import { learnTracGroups } from '../../src/config/topics/permissions.js'
import {
  loadText,
  minimal,
  problemsOf,
  secretOf,
  secrets,
  withPermissions,
} from '../fixtures/config.js'
import type { Sources } from '../fixtures/config.js'

/** A mistake: what stands in the file instead, and the report it must lead to. */
interface Mistake {
  readonly name: string
  /** Replaces this text of {@link base} … */
  readonly old?: string
  /** … with this; without `old` it is added at the end. */
  readonly put: string
  readonly at: readonly [line: number, column: number]
  readonly path: string
  readonly found: RegExp
  readonly wanted: RegExp
  readonly sources?: Sources
}

/** A file with one of each thing, to put mistakes into. Lines are counted from 1. */
const base = `server:
  publicUrl: https://trac.example.edu/trac
  listen: 127.0.0.1:8080
  trustedProxies: [10.0.0.0/8, unix]
identity:
  issuer: https://idp.example.edu/realms/trac
  clientId: trac
  machines:
    bot-1: { username: ci-bot, scopes: [trac/write] }
  username:
    aliases: { s-1: alice }
session:
  secrets: [{ fromEnv: SESSION }]
  idleTimeout: 8h
upstreams:
  trac:
    url: http://127.0.0.1:8001
    signingKeys: [{ id: k1, secret: { fromEnv: SIGNING } }]
  api: { url: http://127.0.0.1:8002 }
routes:
  - name: api
    path: /api/**
    upstream: api
    require: { anyGroup: [staff] }
`

/** The text with what it must have besides, at its end, where it moves no line. */
const withGroups = (text: string): string =>
  /^permissions:/m.test(text) ? text : `${text}permissions: { groups: { admins: [TRAC_ADMIN] } }\n`

const long = 'x'.repeat(40)
const pem = createCertificate()

const mistakes: readonly Mistake[] = [
  // YAML itself
  {
    name: 'a tab as indentation',
    old: '  listen: 127.0.0.1:8080',
    put: '\tlisten: 127.0.0.1:8080',
    at: [3, 1],
    path: '',
    found: /tab/i,
    wanted: /spaces/,
  },
  {
    name: 'a bracket that is not closed',
    old: '[10.0.0.0/8, unix]',
    put: '[10.0.0.0/8, unix',
    at: [5, 1],
    path: '',
    found: /./,
    wanted: /bracket|YAML/,
  },
  {
    name: 'a tag of its own',
    old: '8h',
    put: '!span 8h',
    at: [14, 16],
    path: '',
    found: /!span/,
    wanted: /without a tag/,
  },
  {
    name: 'two documents',
    put: '---\nserver: {}\n',
    at: [25, 1],
    path: '',
    found: /document/,
    wanted: /one document/,
  },
  {
    name: 'two keys on one line',
    old: '  idleTimeout: 8h',
    put: '  idleTimeout: maxAge: 8h',
    at: [14, 16],
    path: '',
    found: /a second key or a list on the line of a key/,
    wanted: /on a line of its own, two spaces further in/,
  },
  {
    name: 'a key below one that has a value',
    old: '  idleTimeout: 8h',
    put: '  idleTimeout: 8h\n    maxAge: 7d',
    at: [14, 16],
    path: '',
    found: /second key|neither a key/,
    wanted: /further in than/,
  },
  {
    name: 'a line that begins one column too far left',
    old: '  idleTimeout: 8h',
    put: ' idleTimeout: 8h',
    at: [14, 1],
    path: '',
    found: /another column than its neighbours/,
    wanted: /indentation of the lines next to it/,
  },
  {
    name: 'a line without a key',
    old: '  idleTimeout: 8h',
    put: '  idleTimeout',
    at: [14, 3],
    path: '',
    found: /neither a key|not ended/,
    wanted: /key/,
  },
  {
    name: 'a value that begins with @',
    old: '8h',
    put: '@8h',
    at: [14, 16],
    path: '',
    found: /keeps for itself/,
    wanted: /quotes/,
  },
  {
    name: 'a key twice',
    old: '  idleTimeout: 8h',
    put: '  idleTimeout: 8h\n  idleTimeout: 9h',
    at: [15, 3],
    path: 'session.idleTimeout',
    found: /second time/,
    wanted: /once/,
  },
  {
    name: 'a merge key, which YAML 1.2 does not have',
    old: '  idleTimeout: 8h',
    put: '  <<: { idleTimeout: 8h }',
    at: [14, 3],
    path: 'session["<<"]',
    found: /not known/,
    wanted: /idleTimeout/,
  },
  // keys
  {
    name: 'an unknown key, with what was meant',
    old: 'listen:',
    put: 'lisen:',
    at: [3, 3],
    path: 'server.lisen',
    found: /not known/,
    wanted: /listen \(did you mean/,
  },
  {
    name: 'a key in another spelling',
    old: 'clientId:',
    put: 'client_id:',
    at: [7, 3],
    path: 'identity.client_id',
    found: /not known/,
    wanted: /clientId \(did you mean/,
  },
  {
    name: 'an unknown key at the top',
    put: 'colour: blue\n',
    at: [25, 1],
    path: 'colour',
    found: /not known/,
    wanted: /one of server, admin/,
  },
  {
    name: 'a required key that is missing',
    old: '  clientId: trac\n',
    put: '',
    at: [5, 1],
    path: 'identity.clientId',
    found: /nothing/,
    wanted: /client id/,
  },
  {
    name: 'a required key missing in a list',
    old: '    path: /api/**\n',
    put: '',
    at: [21, 5],
    path: 'routes[0].path',
    found: /nothing/,
    wanted: /path pattern/,
  },
  {
    name: 'a key whose value was left out',
    old: 'require: { anyGroup: [staff] }',
    put: 'require:',
    at: [24, 13],
    path: 'routes[0].require',
    found: /empty value/,
    wanted: /keys and values/,
  },
  // values
  {
    name: 'a bare number for a span',
    old: '8h',
    put: '28800',
    at: [14, 16],
    path: 'session.idleTimeout',
    found: /28800 \(a bare number\)/,
    wanted: /30s/,
  },
  {
    name: 'a span in an unknown unit',
    old: '8h',
    put: '8 hours',
    at: [14, 16],
    path: 'session.idleTimeout',
    found: /8 hours/,
    wanted: /duration/,
  },
  {
    name: 'a span that is too short',
    old: '8h',
    put: '2s',
    at: [14, 16],
    path: 'session.idleTimeout',
    found: /2s/,
    wanted: /from 1m/,
  },
  {
    name: 'a size in KB',
    old: '  listen: 127.0.0.1:8080',
    put: '  limits: { body: 10MB }',
    at: [3, 19],
    path: 'server.limits.body',
    found: /10MB/,
    wanted: /MiB/,
  },
  {
    name: 'a bare number for a size',
    old: '  listen: 127.0.0.1:8080',
    put: '  limits: { body: 4096 }',
    at: [3, 19],
    path: 'server.limits.body',
    found: /bare number/,
    wanted: /KiB/,
  },
  {
    name: 'a list where a text is wanted',
    old: 'clientId: trac',
    put: 'clientId: [trac]',
    at: [7, 13],
    path: 'identity.clientId',
    found: /a list/,
    wanted: /client id/,
  },
  {
    name: 'a client id that YAML reads as a number',
    old: 'clientId: trac',
    put: 'clientId: 1234567890',
    at: [7, 13],
    path: 'identity.clientId',
    found: /1234567890/,
    wanted: /quotes/,
  },
  {
    name: 'a text where a list is wanted',
    old: '[10.0.0.0/8, unix]',
    put: '10.0.0.0/8',
    at: [4, 19],
    path: 'server.trustedProxies',
    found: /10\.0\.0\.0/,
    wanted: /list/,
  },
  {
    name: 'a network that is none',
    old: '[10.0.0.0/8, unix]',
    put: '[10.0.0.0/8, proxy]',
    at: [4, 32],
    path: 'server.trustedProxies[1]',
    found: /proxy/,
    wanted: /10\.0\.0\.0\/8/,
  },
  {
    name: 'a word that is not one of the choices, with what was meant',
    put: 'mode: shadows\n',
    at: [25, 7],
    path: 'mode',
    found: /shadows/,
    wanted: /enforce, shadow \(did you mean shadow/,
  },
  {
    name: 'yes for a flag',
    put: 'builtinTracRoutes: yes\n',
    at: [25, 20],
    path: 'builtinTracRoutes',
    found: /"yes"/,
    wanted: /true or false/,
  },
  {
    name: 'a number out of its range',
    old: '  idleTimeout: 8h',
    put: '  renewAt: 1',
    at: [14, 12],
    path: 'session.renewAt',
    found: /1/,
    wanted: /between 0 and 1/,
  },
  {
    name: 'a listen address without port',
    old: '127.0.0.1:8080',
    put: '127.0.0.1',
    at: [3, 11],
    path: 'server.listen',
    found: /127/,
    wanted: /host:port/,
  },
  {
    name: 'a port that does not exist',
    old: '127.0.0.1:8080',
    put: '127.0.0.1:99999',
    at: [3, 11],
    path: 'server.listen',
    found: /99999/,
    wanted: /host:port/,
  },
  {
    name: 'a permission in small letters',
    put: 'permissions: { groups: {}, anonymous: [wiki_view] }\n',
    at: [25, 40],
    path: 'permissions.anonymous[0]',
    found: /wiki_view/,
    wanted: /capitals/,
  },
  {
    name: 'a group with a line break',
    put: 'permissions: { groups: { a: [], "b\\nc": [] } }\n',
    at: [25, 33],
    path: 'permissions.groups["b\\nc"]',
    found: /b\\nc/,
    wanted: /a group as key/,
  },
  {
    name: 'a limit that no request could keep',
    old: '  listen: 127.0.0.1:8080',
    put: '  limits: { target: 1B }',
    at: [3, 21],
    path: 'server.limits.target',
    found: /1B/,
    wanted: /from 256B/,
  },
  {
    name: 'a backward slash in publicUrl',
    old: 'https://trac.example.edu/trac',
    put: 'https://trac.example.edu\\trac',
    at: [2, 14],
    path: 'server.publicUrl',
    found: /edu/,
    wanted: /such as https/,
  },
  // variables and secrets
  {
    name: 'a variable that is not set',
    old: 'clientId: trac',
    put: 'clientId: ${CLIENT}',
    at: [7, 13],
    path: 'identity.clientId',
    found: /CLIENT\}, which is not set/,
    wanted: /environment variable CLIENT/,
  },
  {
    name: 'a variable that is malformed',
    old: 'clientId: trac',
    put: 'clientId: ${CLIENT-x}',
    at: [7, 13],
    path: 'identity.clientId',
    found: /CLIENT-x/,
    wanted: /\$\{NAME:-default\}/,
  },
  {
    name: 'a secret variable that is not set',
    old: 'fromEnv: SESSION',
    put: 'fromEnv: SESION',
    at: [13, 24],
    path: 'session.secrets[0].fromEnv',
    found: /SESION", which is not set/,
    wanted: /variable/,
  },
  {
    name: 'a secret written into the file',
    old: '{ fromEnv: SESSION }',
    put: long,
    at: [13, 13],
    path: 'session.secrets[0]',
    found: /not shown/,
    wanted: /fromEnv/,
  },
  {
    name: 'a secret in place of the name of its variable',
    old: 'fromEnv: SESSION',
    put: 'fromEnv: hunter2/hunter2',
    at: [13, 24],
    path: 'session.secrets[0].fromEnv',
    found: /^text that is no name$/,
    wanted: /name of an environment variable/,
  },
  {
    name: 'a secret from two places',
    old: '{ fromEnv: SESSION }',
    put: '{ fromEnv: SESSION, fromFile: s }',
    at: [13, 13],
    path: 'session.secrets[0]',
    found: /"fromEnv" and "fromFile"/,
    wanted: /\{ fromEnv: NAME \} or/,
  },
  {
    name: 'a secret file that is not there',
    old: 'fromEnv: SESSION',
    put: 'fromFile: session.key',
    at: [13, 25],
    path: 'session.secrets[0].fromFile',
    found: /session\.key" \(ENOENT\)/,
    wanted: /can be read/,
  },
  {
    name: 'a secret file that is empty',
    old: 'fromEnv: SESSION',
    put: 'fromFile: session.key',
    at: [13, 25],
    path: 'session.secrets[0].fromFile',
    found: /0 bytes/,
    wanted: /a secret/,
    sources: { files: { 'session.key': '\n' } },
  },
  {
    name: 'a session secret that is too short',
    old: 'fromEnv: SESSION',
    put: 'fromEnv: SHORT',
    at: [13, 24],
    path: 'session.secrets[0].fromEnv',
    found: /31 bytes/,
    wanted: /at least 32 bytes/,
    sources: { env: { SHORT: 'x'.repeat(31) } },
  },
  {
    name: 'a signing key that is too short',
    old: 'fromEnv: SIGNING',
    put: 'fromEnv: SHORT',
    at: [18, 48],
    path: 'upstreams.trac.signingKeys[0].secret.fromEnv',
    found: /31 bytes/,
    wanted: /at least 32 bytes/,
    sources: { env: { SHORT: 'x'.repeat(31) } },
  },
  {
    name: 'no session secret',
    old: '[{ fromEnv: SESSION }]',
    put: '[]',
    at: [13, 12],
    path: 'session.secrets',
    found: /empty list/,
    wanted: /at least 1/,
  },
  // the public side
  {
    name: 'http:// for a public host',
    old: 'https://trac.example.edu/trac',
    put: 'http://trac.example.edu/trac',
    at: [2, 14],
    path: 'server.publicUrl',
    found: /http:\/\/ on trac/,
    wanted: /https/,
  },
  {
    name: 'a certificate for a publicUrl without TLS',
    old: 'publicUrl: https://trac.example.edu/trac',
    put: 'publicUrl: http://localhost/trac\n  tls: { certificate: { fromEnv: CERTIFICATE }, key: { fromEnv: KEY } }',
    sources: { env: { ...secrets, CERTIFICATE: pem.certificate, KEY: pem.key } },
    at: [3, 3],
    path: 'server.tls',
    found: /certificate with an http/,
    wanted: /https:\/\/ in publicUrl/,
  },
  {
    name: 'a route whose name is longer than a label of the metrics may be',
    old: 'name: api',
    put: `name: ${'a'.repeat(65)}`,
    at: [21, 11],
    path: 'routes[0].name',
    found: /aaaa/,
    wanted: /at most 64 characters/,
  },
  {
    name: 'a variable’s name that is a list',
    old: '{ fromEnv: SESSION }',
    put: '{ fromEnv: [SESSION] }',
    at: [13, 24],
    path: 'session.secrets[0].fromEnv',
    found: /list/,
    wanted: /variable/,
  },
  {
    name: 'https:// and nobody who does TLS',
    old: '  trustedProxies: [10.0.0.0/8, unix]\n',
    put: '',
    at: [1, 1],
    path: 'server',
    found: /nobody who does TLS/,
    wanted: /server\.tls.*server\.trustedProxies/,
  },
  {
    name: 'a query in publicUrl',
    old: 'https://trac.example.edu/trac',
    put: 'https://trac.example.edu/trac?x',
    at: [2, 14],
    path: 'server.publicUrl',
    found: /\?x/,
    wanted: /without query/,
  },
  {
    name: 'a fragment in publicUrl',
    old: 'https://trac.example.edu/trac',
    put: '"https://trac.example.edu/#x"',
    at: [2, 14],
    path: 'server.publicUrl',
    found: /#x/,
    wanted: /fragment/,
  },
  {
    name: 'a base path that two parsers read differently',
    old: 'https://trac.example.edu/trac',
    put: 'https://trac.example.edu/a/../trac',
    at: [2, 14],
    path: 'server.publicUrl',
    found: /\.\./,
    wanted: /plain segments/,
  },
  {
    name: 'a user name in publicUrl',
    old: 'https://trac.example.edu/trac',
    put: 'https://me@trac.example.edu/trac',
    at: [2, 14],
    path: 'server.publicUrl',
    found: /me@/,
    wanted: /without user name/,
  },
  {
    name: 'a Unix socket whose peers nobody trusts',
    old: '127.0.0.1:8080\n  trustedProxies: [10.0.0.0/8, unix]',
    put: 'unix:/run/gateway.sock\n  trustedProxies: [10.0.0.0/8]',
    at: [4, 3],
    path: 'server.trustedProxies',
    found: /no unix/,
    wanted: /unix/,
  },
  {
    name: 'forward-auth that nobody may ask',
    old: '  trustedProxies: [10.0.0.0/8, unix]\n',
    put: '  tls: { certificate: { fromFile: c.pem }, key: { fromFile: k.pem } }\n  forwardAuth: nginx\n',
    at: [5, 16],
    path: 'server.forwardAuth',
    found: /nginx without trustedProxies/,
    wanted: /trustedProxies/,
    sources: tlsFiles(),
  },
  {
    name: 'both listeners at one address',
    put: 'admin: { listen: 127.0.0.1:8080 }\n',
    at: [25, 18],
    path: 'admin.listen',
    found: /server\.listen/,
    wanted: /of its own/,
  },
  {
    name: 'a certificate that is none',
    old: '  listen: 127.0.0.1:8080',
    put: '  tls: { certificate: { fromFile: k.pem }, key: { fromFile: k.pem } }',
    at: [3, 10],
    path: 'server.tls.certificate',
    found: /no certificate/,
    wanted: /PEM/,
    sources: tlsFiles(),
  },
  {
    name: 'the key of another certificate',
    old: '  listen: 127.0.0.1:8080',
    put: '  tls: { certificate: { fromFile: c.pem }, key: { fromFile: other.pem } }',
    at: [3, 44],
    path: 'server.tls.key',
    found: /another certificate/,
    wanted: /belongs to server\.tls\.certificate/,
    sources: tlsFiles(),
  },
  // identity
  {
    name: 'no provider',
    old: '  issuer: https://idp.example.edu/realms/trac\n',
    put: '',
    at: [5, 1],
    path: 'identity',
    found: /no provider/,
    wanted: /identity\.issuer, or identity\.cognito/,
  },
  {
    name: 'a provider in the clear',
    old: 'issuer: https://idp.example.edu/realms/trac',
    put: 'issuer: http://idp.example.edu/realms/trac',
    at: [6, 11],
    path: 'identity.issuer',
    found: /http:\/\/ on idp/,
    wanted: /insecureHttpHosts/,
  },
  {
    name: 'an issuer with a query',
    old: 'issuer: https://idp.example.edu/realms/trac',
    put: 'issuer: https://idp.example.edu/?realm=trac',
    at: [6, 11],
    path: 'identity.issuer',
    found: /realm=trac/,
    wanted: /without query/,
  },
  {
    name: 'sign-in pages in the clear',
    old: '  issuer: https://idp.example.edu/realms/trac',
    put: '  cognito: { region: us-east-2, userPoolId: us-east-2_X, domain: "http://auth.example.edu" }',
    at: [6, 66],
    path: 'identity.cognito.domain',
    found: /http:\/\/ on auth/,
    wanted: /loopback/,
  },
  {
    name: 'a region that is misspelled beside the user pool of a good one',
    old: '  issuer: https://idp.example.edu/realms/trac',
    put: '  cognito: { region: us-est-2, userPoolId: us-east-2_X, domain: a }',
    at: [6, 22],
    path: 'identity.cognito.region',
    found: /^us-est-2$/,
    wanted: /us-east-2, as userPoolId begins/,
  },
  {
    name: 'the address of the discovery document as issuer',
    old: 'https://idp.example.edu/realms/trac',
    put: 'https://idp.example.edu/realms/trac/.well-known/openid-configuration',
    at: [6, 11],
    path: 'identity.issuer',
    found: /well-known/,
    wanted: /the issuer alone.*: https:\/\/idp\.example\.edu\/realms\/trac$/,
  },
  {
    name: 'a revocation file in a folder that does not exist',
    old: '  idleTimeout: 8h',
    put: '  revocationFile: /var/lib/nowhere/revocations',
    at: [14, 19],
    path: 'session.revocationFile',
    found: /^\/var\/lib\/nowhere, which does not exist$/,
    wanted: /a folder that is there before the start/,
    sources: { stat: () => undefined },
  },
  {
    name: 'a spool directory that is a file',
    old: '  listen: 127.0.0.1:8080',
    put: '  spoolDirectory: spool',
    at: [3, 19],
    path: 'server.spoolDirectory',
    found: /spool, which is no folder/,
    wanted: /a folder/,
    sources: { stat: () => ({ isFolder: false, mode: 0o100600 }) },
  },
  {
    name: 'a secret that is one byte 32 times',
    put: '',
    at: [13, 24],
    path: 'session.secrets[0].fromEnv',
    found: /32 bytes with hardly a difference/,
    wanted: /random ones, such as openssl rand/,
    sources: { env: { SESSION: 'a'.repeat(32) } },
  },
  {
    name: 'a user pool of another region',
    old: '  issuer: https://idp.example.edu/realms/trac',
    put: '  cognito: { region: us-east-2, userPoolId: eu-west-1_X, domain: a }',
    at: [6, 45],
    path: 'identity.cognito.userPoolId',
    found: /a user pool of eu-west-1, while region is us-east-2/,
    wanted: /us-east-2_/,
  },
  {
    name: 'HMAC as algorithm',
    old: '  clientId: trac',
    put: '  clientId: trac\n  algorithms: [RS256, HS256]',
    at: [8, 23],
    path: 'identity.algorithms[1]',
    found: /HS256/,
    wanted: /RS256, RS384.*never none or HMAC/,
  },
  {
    name: 'none as algorithm',
    old: '  clientId: trac',
    put: '  clientId: trac\n  algorithms: [none]',
    at: [8, 16],
    path: 'identity.algorithms[0]',
    found: /none/,
    wanted: /never none/,
  },
  {
    name: 'a client that is person and machine',
    old: 'clientId: trac',
    put: 'clientId: bot-1',
    at: [9, 5],
    path: 'identity.machines.bot-1',
    found: /sign in with/,
    wanted: /one of the two/,
  },
  {
    name: 'a machine among acceptClients',
    old: '  clientId: trac',
    put: '  clientId: trac\n  acceptClients: [bot-1]',
    at: [10, 5],
    path: 'identity.machines.bot-1',
    found: /acceptClients/,
    wanted: /one of the two/,
  },
  {
    name: 'sign-in without openid',
    old: '  clientId: trac',
    put: '  clientId: trac\n  scopes: [email]',
    at: [8, 3],
    path: 'identity.scopes',
    found: /no openid/,
    wanted: /openid/,
  },
  {
    name: 'a domain for local parts that is none',
    old: '    aliases: { s-1: alice }',
    put: '    emailLocalPart: "@example.edu"',
    at: [11, 21],
    path: 'identity.username.emailLocalPart',
    found: /@example/,
    wanted: /example\.edu, or false/,
  },
  {
    name: 'true for local parts',
    old: '    aliases: { s-1: alice }',
    put: '    emailLocalPart: true',
    at: [11, 21],
    path: 'identity.username.emailLocalPart',
    found: /true/,
    wanted: /domain/,
  },
  {
    name: 'two people with one name',
    old: '{ s-1: alice }',
    put: '{ s-1: alice, s-2: ALICE }',
    at: [11, 33],
    path: 'identity.username.aliases.s-2',
    found: /name of s-1 again/,
    wanted: /of its own/,
  },
  {
    name: 'a person with the name of a machine',
    old: '{ s-1: alice }',
    put: '{ s-1: Ci-Bot }',
    at: [9, 24],
    path: 'identity.machines.bot-1.username',
    found: /name of s-1 again/,
    wanted: /of its own/,
  },
  {
    name: 'an alias that is a permission',
    old: '{ s-1: alice }',
    put: '{ s-1: wiki_view }',
    at: [11, 21],
    path: 'identity.username.aliases.s-1',
    found: /permission of Trac/,
    wanted: /can use/,
  },
  {
    name: 'an alias that is a group',
    old: '{ s-1: alice }',
    put: '{ s-1: Staff }',
    at: [11, 21],
    path: 'identity.username.aliases.s-1',
    found: /group of the configuration/,
    wanted: /can use/,
  },
  {
    name: 'a machine that calls itself anonymous',
    old: 'username: ci-bot',
    put: 'username: Anonymous',
    at: [9, 24],
    path: 'identity.machines.bot-1.username',
    found: /means other people/,
    wanted: /can use/,
  },
  {
    name: 'a name with a comma',
    old: '{ s-1: alice }',
    put: '{ s-1: "a,b" }',
    at: [11, 21],
    path: 'identity.username.aliases.s-1',
    found: /comma/,
    wanted: /can use/,
  },
  {
    name: 'a look-alike name',
    old: '{ s-1: alice }',
    put: '{ s-1: "ａlice" }',
    at: [11, 21],
    path: 'identity.username.aliases.s-1',
    found: /NFKC/,
    wanted: /can use/,
  },
  {
    name: 'a name beyond ASCII in lower case',
    old: 'aliases: { s-1: alice }',
    put: 'aliases: { s-1: zoë }\n    case: lower',
    at: [11, 21],
    path: 'identity.username.aliases.s-1',
    found: /ASCII characters alone/,
    wanted: /can use/,
  },
  {
    name: 'a further provider without prefix',
    old: '  clientId: trac',
    put: '  clientId: trac\n  additionalIssuers: [{ issuer: https://p.example, clients: [x] }]',
    at: [8, 23],
    path: 'identity.additionalIssuers[0].prefix',
    found: /nothing/,
    wanted: /prefix/,
  },
  {
    name: 'the main provider once more',
    old: '  clientId: trac',
    put: '  clientId: trac\n  additionalIssuers: [{ issuer: https://idp.example.edu/realms/trac, clients: [x], prefix: p/ }]',
    at: [8, 33],
    path: 'identity.additionalIssuers[0].issuer',
    found: /named already/,
    wanted: /each issuer once/,
  },
  {
    name: 'two prefixes that meet',
    old: '  clientId: trac',
    put: `  clientId: trac
  additionalIssuers:
    - { issuer: https://p.example, clients: [x], prefix: p. }
    - { issuer: https://q.example, clients: [x], prefix: P.q. }`,
    at: [10, 58],
    path: 'identity.additionalIssuers[1].prefix',
    found: /like another/,
    wanted: /begins like no other/,
  },
  {
    name: 'two claims for the name',
    old: '  clientId: trac',
    put: "  clientId: trac\n  claims: { username: [preferred_username, 'cognito:username'] }",
    at: [8, 13],
    path: 'identity.claims.username',
    found: /2 claims \(preferred_username, cognito:username\)/,
    wanted: /one person needs one name; choose/,
  },
  {
    name: 'two claims for the name of partners',
    old: '  clientId: trac',
    put: `  clientId: trac
  additionalIssuers:
    - { issuer: https://p.example, clients: [x], prefix: p., claims: { username: [a, b] } }`,
    at: [9, 72],
    path: 'identity.additionalIssuers[0].claims.username',
    found: /2 claims/,
    wanted: /choose/,
  },
  {
    name: 'an alias of an issuer that nobody knows',
    old: '{ s-1: alice }',
    put: "{ 'https://p.example#x': alice }",
    at: [11, 39],
    path: 'identity.username.aliases["https://p.example#x"]',
    found: /not configured/,
    wanted: /before the #/,
  },
  {
    name: 'two aliases of one person',
    old: '{ s-1: alice }',
    put: "{ x: alice, 'https://idp.example.edu/realms/trac#x': bob }",
    at: [11, 67],
    path: 'identity.username.aliases["https://idp.example.edu/realms/trac#x"]',
    found: /same person/,
    wanted: /one name/,
  },
  {
    name: 'names of an address that cannot be verified',
    old: '{ s-1: alice }',
    put: '{ s-1: alice }\n    emailLocalPart: example.edu\n  claims: { email: [mail, email] }',
    at: [13, 13],
    path: 'identity.claims.email',
    found: /mail first/,
    wanted: /email_verified/,
  },
  {
    name: 'groups asked for and no claim that has them',
    old: '  clientId: trac',
    put: '  clientId: trac\n  claims: { groups: [] }',
    at: [8, 13],
    path: 'identity.claims.groups',
    found: /no claim/,
    wanted: /cognito:groups/,
  },
  // sessions
  {
    name: 'redis without its address',
    old: '  idleTimeout: 8h',
    put: '  store: redis',
    at: [14, 10],
    path: 'session.store',
    found: /redis without/,
    wanted: /session\.redis\.url/,
  },
  {
    name: 'replicas without redis',
    old: '  idleTimeout: 8h',
    put: '  replicas: many',
    at: [14, 13],
    path: 'session.replicas',
    found: /many/,
    wanted: /store: redis/,
  },
  {
    name: 'another kind of address for redis',
    old: '  idleTimeout: 8h',
    put: '  redis: { url: { fromEnv: SESSION } }',
    at: [14, 12],
    path: 'session.redis.url',
    found: /not shown/,
    wanted: /rediss:/,
  },
  {
    name: 'an idle limit beyond the absolute one',
    old: '8h',
    put: '8d',
    at: [14, 16],
    path: 'session.idleTimeout',
    found: /more than/,
    wanted: /at most session\.maxAge/,
  },
  {
    name: 'the same secret twice',
    old: '[{ fromEnv: SESSION }]',
    put: '[{ fromEnv: SESSION }, { fromEnv: SESSION }]',
    at: [13, 35],
    path: 'session.secrets[1]',
    found: /same secret/,
    wanted: /of its own/,
  },
  // upstreams
  {
    name: 'no upstream named trac',
    old: '  trac:\n    url',
    put: '  track:\n    url',
    at: [15, 1],
    path: 'upstreams',
    found: /track, api/,
    wanted: /named trac/,
  },
  {
    name: 'an upstream with a path',
    old: 'url: http://127.0.0.1:8002',
    put: 'url: http://127.0.0.1:8002/api',
    at: [19, 15],
    path: 'upstreams.api.url',
    found: /8002\/api/,
    wanted: /without path/,
  },
  {
    name: 'an upstream in the clear',
    old: 'url: http://127.0.0.1:8001',
    put: 'url: http://trac:8001',
    at: [17, 10],
    path: 'upstreams.trac.url',
    found: /http:\/\/ on trac/,
    wanted: /insecureHttp: true/,
  },
  {
    name: 'a host that only looks like loopback',
    old: 'url: http://127.0.0.1:8001',
    put: 'url: http://127.0.0.1.example.edu',
    at: [17, 10],
    path: 'upstreams.trac.url',
    found: /127\.0\.0\.1\.example/,
    wanted: /loopback/,
  },
  {
    name: 'an odd key id',
    old: 'id: k1',
    put: 'id: k/1',
    at: [18, 25],
    path: 'upstreams.trac.signingKeys[0].id',
    found: /k\/1/,
    wanted: /letters/,
  },
  {
    name: 'a key id twice',
    old: '[{ id: k1, secret: { fromEnv: SIGNING } }]',
    put: '[{ id: k1, secret: { fromEnv: SIGNING } }, { id: k1, secret: { fromEnv: NEW } }]',
    at: [18, 67],
    path: 'upstreams.trac.signingKeys[1].id',
    found: /second time/,
    wanted: /of its own/,
    sources: { env: { NEW: secretOf('n') } },
  },
  {
    name: 'three keys',
    old: '[{ id: k1, secret: { fromEnv: SIGNING } }]',
    put: '[{ id: a, secret: { fromEnv: A } }, { id: b, secret: { fromEnv: B } }, { id: c, secret: { fromEnv: C } }]',
    at: [18, 18],
    path: 'upstreams.trac.signingKeys',
    found: /3 entries/,
    wanted: /at most 2/,
    sources: { env: { A: secretOf('a'), B: secretOf('b'), C: secretOf('c') } },
  },
  {
    name: 'one key for two upstreams',
    old: 'api: { url: http://127.0.0.1:8002 }',
    put: 'api: { url: http://127.0.0.1:8002, signingKeys: [{ id: k1, secret: { fromEnv: SIGNING } }] }',
    at: [19, 62],
    path: 'upstreams.api.signingKeys[0].secret',
    found: /same secret as another of upstreams\.trac/,
    wanted: /of its own/,
  },
  // routes
  {
    name: 'a route to nowhere, with what was meant',
    old: '    upstream: api',
    put: '    upstream: apii',
    at: [23, 15],
    path: 'routes[0].upstream',
    found: /apii/,
    wanted: /trac, api \(did you mean api/,
  },
  {
    name: 'a route name twice',
    put: '  - { name: api, path: /x }\n',
    at: [25, 13],
    path: 'routes[1].name',
    found: /second time/,
    wanted: /unique/,
  },
  {
    name: 'a name that is ours',
    old: 'name: api',
    put: 'name: trac:wiki',
    at: [21, 11],
    path: 'routes[0].name',
    found: /trac:wiki/,
    wanted: /our own/,
  },
  {
    name: 'the name of no route',
    old: 'name: api',
    put: 'name: none',
    at: [21, 11],
    path: 'routes[0].name',
    found: /none/,
    wanted: /our own/,
  },
  {
    name: 'something required of everybody',
    old: '    upstream: api',
    put: '    access: public',
    at: [24, 5],
    path: 'routes[0].require',
    found: /public/,
    wanted: /optional or authenticated/,
  },
  {
    name: 'an empty list in require',
    old: '{ anyGroup: [staff] }',
    put: '{ anyGroup: [] }',
    at: [24, 26],
    path: 'routes[0].require.anyGroup',
    found: /empty list/,
    wanted: /at least 1/,
  },
  {
    name: 'nothing in require',
    old: '{ anyGroup: [staff] }',
    put: '{}',
    at: [24, 5],
    path: 'routes[0].require',
    found: /nothing required/,
    wanted: /no require/,
  },
  {
    name: 'a query that can never hold',
    old: '    upstream: api',
    put: '    methods: [POST]\n    query: { action: edit }',
    at: [24, 5],
    path: 'routes[0].query',
    found: /query with POST/,
    wanted: /GET or HEAD/,
  },
  {
    name: 'a method in small letters',
    old: '    upstream: api',
    put: '    methods: [get]',
    at: [23, 15],
    path: 'routes[0].methods[0]',
    found: /get/,
    wanted: /did you mean GET/,
  },
  ...(
    [
      ['api/**', /starts? with/],
      ['/api/../x', /without \. and \.\./],
      ['/api//x', /empty segments/],
      ['/api/x**', /whole segment/],
      ['/wiki?action=edit', /query/],
      ['/caf%C3%A9', /percent-decoding/],
    ] as const
  ).map(([pattern, wanted]): Mistake => ({
    name: `the path pattern ${pattern}`,
    old: 'path: /api/**',
    put: `path: ${pattern}`,
    at: [22, 11],
    path: 'routes[0].path',
    found: /./,
    wanted,
  })),
]

function tlsFiles(): Sources {
  const { certificate, key } = createCertificate()
  return { files: { 'c.pem': certificate, 'k.pem': key, 'other.pem': createCertificate().key } }
}

function withMistake({ old, put }: Mistake): string {
  if (old === undefined) return withGroups(base + put)
  if (!base.includes(old)) throw new Error(`not in the file: ${old}`)
  return withGroups(base.replace(old, () => put))
}

await t.test('the file that the mistakes are put into has none', async (t) => {
  t.same(problemsOf(withGroups(base)), [])
  t.equal(loadText(minimal).config.server.publicUrl.url, 'https://trac.example.edu')
})

await t.test(
  'reports each mistake with its place, what was found and what was wanted',
  async (t) => {
    for (const mistake of mistakes) {
      const problems = problemsOf(withMistake(mistake), mistake.sources)
      const at = problems.find(
        ({ path, found, wanted }) =>
          path === mistake.path && mistake.found.test(found) && mistake.wanted.test(wanted),
      )
      t.ok(at, `${mistake.name}: reported`, { problems })
      t.same([at?.line, at?.column], mistake.at, `${mistake.name}: at its place`)
      t.match(at?.file, /gateway\.yaml$/, `${mistake.name}: with its file`)
      t.ok(problems.length <= 2, `${mistake.name}: and not much besides`, { problems })
    }
  },
)

await t.test('reports all mistakes of a file at once, in its order', async (t) => {
  const text = `server: { publicUrl: http://trac.example.edu, lisen: x }
identity: { clientId: 5, algorithms: [HS256] }
session: { secrets: [{ fromEnv: NOT_SET }], idleTimeout: 30, replicas: many }
upstreams: { trac: { url: http://trac:8001 } }
routes: [{ name: none, path: x, upstream: y, require: { anyGroup: [] } }]
colour: blue
permissions: { groups: {} }
`
  const problems = problemsOf(text)
  t.same(
    problems.map(({ path }) => path),
    [
      'server.publicUrl',
      'server.lisen',
      'identity',
      'identity.clientId',
      'identity.algorithms[0]',
      'session.secrets[0].fromEnv',
      'session.idleTimeout',
      'session.replicas',
      'upstreams.trac.url',
      'routes[0].name',
      'routes[0].path',
      'routes[0].upstream',
      'routes[0].require.anyGroup',
      'colour',
    ],
  )
  const error = t.throws(() => loadText(text), ConfigProblems)
  t.ok(error instanceof Error && error.message.split('\n').length === problems.length)
})

await t.test('an empty file lacks all that is needed', async (t) => {
  for (const text of ['', '# nothing\n', '{}', '---\n']) {
    const paths = problemsOf(text).map(({ path }) => path)
    t.same(paths.toSorted(), [
      'identity',
      'identity.clientId',
      'permissions.groups',
      'server.publicUrl',
      'session.secrets',
      'upstreams',
    ])
  }
  t.equal(problemsOf('[]')[0]?.found, 'an empty list')
  t.equal(problemsOf('just text')[0]?.wanted, 'keys and values')
})

await t.test('never shows a secret, wherever it was put', async (t) => {
  const secret = 'Tr0ub4dor-and-3-more-words-of-it'
  const places = [
    `session: { secrets: [${secret}] }`,
    `session: { secrets: ${secret} }`,
    `session: { secrets: [{ fromEnv: ${secret} }] }`,
    `session: { secrets: [{ value: ${secret} }] }`,
    `session: { secrets: [{ fromEnv: A }], redis: { url: ${secret} } }`,
    'session: { secrets: [{ fromEnv: A }], redis: { url: { fromEnv: SECRET } } }',
    'identity: { clientSecret: "${SECRET}" }',
    'upstreams: { trac: { url: http://x, signingKeys: [{ id: a, secret: { fromEnv: SECRET } }, { id: a, secret: { fromEnv: SECRET } }] } }',
    'server: { tls: { certificate: { fromEnv: SECRET }, key: { fromEnv: SECRET } } }',
    `admin: { token: ${secret} }`,
  ]
  for (const text of places) {
    const problems = problemsOf(text, { env: { SECRET: secret, A: secretOf('a') } })
    t.ok(problems.length > 0)
    t.notMatch(JSON.stringify(problems), secret, text)
  }
})

await t.test('says what to think about, and loads all the same', async (t) => {
  const advice: readonly [string, string, string, RegExp][] = [
    ['a base path', 'server.publicUrl', base, /every application/],
    ['the cookie store', 'session.store', minimal, /redis/],
    ['revocations in memory', 'session.revocationFile', minimal, /restart/],
    [
      'preferred_username',
      'identity.claims.username',
      claims('username: preferred_username'),
      /cannot write/,
    ],
    ['an address as name', 'identity.claims.username', claims('username: email'), /cannot write/],
    [
      'the list of release 0.1',
      'identity.claims.username',
      claims('username: [sub]'),
      /write "username: sub"/,
    ],
    [
      'a claim of their own',
      'identity.claims.groups[1]',
      claims("groups: [groups, 'custom:role']"),
      /cannot write/,
    ],
    [
      'an action nobody knows',
      'permissions.anonymous[0]',
      withPermissions('groups: {}, anonymous: [WIKI_VEIW]'),
      /or WIKI_VIEW/,
    ],
    [
      'an administrator for everybody',
      'permissions.anonymous[0]',
      withPermissions('groups: {}, anonymous: [TRAC_ADMIN]'),
      /group only/,
    ],
    [
      'any claim grants',
      'permissions.fromClaims',
      withPermissions('groups: {}, fromClaims: all'),
      /nonAdmin/,
    ],
    [
      'nobody who can administer',
      'permissions.groups',
      withPermissions('groups: { students: [WIKI_VIEW] }'),
      /TRAC_ADMIN for a group/,
    ],
    [
      'a plugin’s permissions by the word of 0.1',
      'permissions.fromClaims',
      withPermissions('groups: {}, fromClaims: nonAdmin'),
      /\[nonAdmin, LEARNING_PARTICIPATE\]/,
    ],
    [
      'names in memory only',
      'identity.username.namesFile',
      minimal.replace('clientId: trac', 'clientId: trac, username: { case: lower }'),
      /after a restart/,
    ],
    [
      'an open admin listener',
      'admin.listen',
      `${minimal}admin: { listen: 0.0.0.0:9464 }\n`,
      /loopback/,
    ],
    [
      'an upstream in the clear',
      'upstreams.trac.insecureHttp',
      minimal.replace('http://127.0.0.1:8001,', 'http://trac:8001, insecureHttp: true,'),
      /https/,
    ],
    [
      'no signature for Trac',
      'upstreams.trac',
      minimal.replace(/, signingKeys.*\] \}/, ' }'),
      /bridge/,
    ],
    [
      'everybody as proxy',
      'server.trustedProxies[0]',
      minimal.replace('10.0.0.0/8', '0.0.0.0/0'),
      /networks/,
    ],
    [
      'two halves of everybody as proxies',
      'server.trustedProxies[0]',
      minimal.replace('[10.0.0.0/8]', '[0.0.0.0/1, 128.0.0.0/1]'),
      /networks/,
    ],
    [
      'networks that are everybody together',
      'server.trustedProxies',
      minimal.replace('[10.0.0.0/8]', '[0.0.0.0/2, 64.0.0.0/2, 128.0.0.0/2]'),
      /networks/,
    ],
    [
      'all of IPv6 that is in use as proxy',
      'server.trustedProxies[1]',
      minimal.replace('[10.0.0.0/8]', '[fd00::/8, 2000::/3]'),
      /networks/,
    ],
    [
      'an issuer with a slash that its tokens do not have',
      'identity.issuer',
      minimal.replace('realms/trac', 'realms/trac/'),
      /^https:\/\/idp\.example\.edu\/realms\/trac, as tokens/,
    ],
    [
      'an issuer without the slash that its tokens have',
      'identity.issuer',
      minimal.replace('idp.example.edu/realms/trac', 'x.eu.auth0.com'),
      /auth0\.com\/, as tokens/,
    ],
    [
      'Cognito without its dialect',
      'identity.issuer',
      minimal.replace(
        'https://idp.example.edu/realms/trac',
        'https://cognito-idp.us-east-2.amazonaws.com/us-east-2_X',
      ),
      /identity\.cognito/,
    ],
    [
      'the base path in a route',
      'routes[0].path',
      base.replace('/api/**', '/trac/api/**'),
      /below \/trac/,
    ],
    ['a route that is ours', 'routes[0].path', base.replace('/api/**', '/auth/x'), /our own/],
    [
      'no address for names made of it',
      'identity.scopes',
      minimal.replace(
        'clientId: trac',
        'clientId: trac, scopes: [openid], username: { emailLocalPart: example.edu }',
      ),
      /made of the address/,
    ],
    [
      'a switch without effect',
      'identity.publicRefresh',
      minimal.replace('clientId: trac', 'clientId: trac, publicRefresh: true'),
      /on anyway/,
    ],
    [
      'a machine in a group without rights',
      'identity.machines.m.groups[0]',
      minimal.replace(
        'clientId: trac',
        'clientId: trac, machines: { m: { username: x, groups: [y] } }',
      ),
      /grants nothing/,
    ],
    [
      'OPTIONS for Trac',
      'routes[0].methods',
      base.replace('    upstream: api', '    methods: [OPTIONS]'),
      /never goes to Trac/,
    ],
    [
      'a session that holds an access token',
      'upstreams.api.forwardAccessToken',
      base.replace('127.0.0.1:8002 }', '127.0.0.1:8002, forwardAccessToken: true }'),
      /proxy_buffer_size/,
    ],
    [
      'something required where nobody comes in',
      'routes[0].require',
      base.replace('    upstream: api', '    access: deny'),
      /nobody comes in/,
    ],
    [
      'a method that a query rules out',
      'routes[0].methods',
      base.replace('    upstream: api', '    methods: [GET, POST]\n    query: { a: b }'),
      /GET and HEAD/,
    ],
  ]
  for (const [name, path, written, wanted] of advice) {
    const text = withGroups(written)
    const { warnings } = loadText(text)
    const warning = warnings.find((one) => one.path === path)
    t.match(warning?.wanted, wanted, name)
    t.ok(warning && warning.line >= 1 && warning.column >= 1)
    t.ok(warningNames.includes(warning?.name ?? ''), name)
    const known = loadText(`${text}acknowledge: [${warning?.name}]\n`).warnings
    t.notOk(
      known.some((one) => one.name === warning?.name),
      `${name} can be acknowledged`,
    )
    t.ok(known.length < warnings.length)
  }
  const sources = { env: { REDIS: 'redis://127.0.0.1' } }
  const withRedis = (more: string) =>
    loadText(
      minimal.replace('session: { ', `session: { redis: { url: { fromEnv: REDIS } }, ${more} `),
      sources,
    )
      .warnings.map(({ path }) => path)
      .filter((path) => path.startsWith('session'))
      .toSorted()
  t.same(withRedis('store: redis,'), [])
  t.same(withRedis(''), ['session.redis', 'session.revocationFile', 'session.store'])
  t.same(withRedis('store: redis, revocationFile: /tmp/x,'), ['session.revocationFile'])
})

await t.test('a secret file that everybody can read is told once, with its mode', async (t) => {
  const text = minimal
    .replaceAll('fromEnv: SESSION', 'fromFile: session')
    .replaceAll('fromEnv: SIGNING', 'fromFile: signing')
  const files = { session: secretOf('s'), signing: secretOf('k') }
  const told = (mode: number) =>
    loadText(text, {
      files,
      stat: (path) => ({ isFolder: path === '/tmp', mode }),
    }).warnings.filter(({ name }) => name === 'secret-file-mode')
  t.match(told(0o100644), [
    { path: 'session.secrets[0].fromFile', found: /mode 0644/, wanted: /chmod o=/ },
    { path: 'upstreams.trac.signingKeys[0].secret.fromFile' },
  ])
  t.same(told(0o100640), [], 'its group may, as a service has one')
  t.same(told(0o100400), [])
})

function claims(text: string): string {
  return minimal.replace('clientId: trac', `clientId: trac, claims: { ${text} }`)
}

await t.test('where groups are missing, LearnTrac’s lines are shown, ready to paste', async (t) => {
  const without = minimal.replace(/^permissions.*\n/m, '')
  const [problem, ...more] = problemsOf(without)
  t.equal(more.length, 0)
  t.match(problem, { path: 'permissions.groups', found: 'nothing' })
  const lines = /\n\n(permissions:[^]*)$/.exec(problem?.wanted ?? '')?.[1] ?? ''
  const { config, warnings } = loadText(without + lines)
  t.same({ ...config.permissions.groups }, learnTracGroups)
  t.same(config.permissions.fromClaims, ['nonAdmin', 'LEARNING_PARTICIPATE'])
  t.notOk(warnings.some(({ path }) => path === 'permissions.groups'))
})

await t.test(
  'names are kept in a file where they could meet, and nothing asks for one else',
  async (t) => {
    const told = (identity: string, more = '') =>
      loadText(minimal.replace('clientId: trac', `clientId: trac, ${identity}`) + more, {
        env: { REDIS: 'redis://127.0.0.1' },
      }).warnings.filter(({ path }) => path === 'identity.username.namesFile').length
    t.equal(told('scopes: [openid]'), 0, 'names that are the sub')
    t.equal(told('claims: { username: preferred_username }'), 1)
    t.equal(told('username: { emailLocalPart: example.edu }'), 1)
    t.equal(told('username: { emailLocalPart: example.edu, namesFile: names }'), 0)
  },
)

await t.test('fills in what follows from other keys', async (t) => {
  const cognito = minimal.replace(
    'issuer: https://idp.example.edu/realms/trac',
    'cognito: { region: us-east-2, userPoolId: us-east-2_X, domain: learntrac-auth }',
  )
  const { identity } = loadText(cognito).config
  t.equal(identity.issuer, 'https://cognito-idp.us-east-2.amazonaws.com/us-east-2_X')
  t.equal(identity.cognito?.domain, 'https://learntrac-auth.auth.us-east-2.amazoncognito.com')
  t.equal(identity.claims.username, 'cognito:username')
  const listed = cognito.replace(
    'clientId: trac',
    "clientId: trac, claims: { username: ['email'] }",
  )
  t.equal(loadText(listed).config.identity.claims.username, 'email', 'a list of one is read')
  const named = loadText(cognito.replace('learntrac-auth', 'auth.example.edu')).config
  t.equal(named.identity.cognito?.domain, 'https://auth.example.edu')
  t.equal(loadText(minimal).config.identity.claims.username, 'sub')

  const text = `${base}    timeouts: { firstByte: 5m }
    query: { action: edit, old: false, format: [csv, tab] }
`
  const [route] = loadText(withGroups(text)).config.routes
  t.same(route?.timeouts, { firstByte: 300_000, idle: 60_000 })
  t.equal(route?.bodyLimit, 10 * 1024 * 1024)
  t.same({ ...route?.query }, { action: ['edit'], old: false, format: ['csv', 'tab'] })
})

await t.test(
  'takes values from the environment, with defaults, also for numbers and flags',
  async (t) => {
    const text = `${minimal.replace('clientId: trac', () => 'clientId: "${A}-${B:-x}-$${C}"')}
builtinTracRoutes: \${FLAG:-false}
rateLimit: { auth: { max: "\${MAX}" } }
`
    const { config } = loadText(text, { env: { A: 'a', B: '', MAX: '7' } })
    t.equal(config.identity.clientId, 'a-x-${C}')
    t.equal(config.builtinTracRoutes, false)
    t.equal(config.rateLimit.auth.max, 7)
    const wrong = problemsOf(text, { env: { A: 'a', MAX: 'seven', FLAG: 'maybe' } })
    t.same(
      wrong.map(({ path, found }) => [path, found]),
      [
        ['builtinTracRoutes', '"maybe"'],
        ['rateLimit.auth.max', '"seven"'],
      ],
    )
  },
)

await t.test(
  'reads secrets, keys and certificates from files beside it, without the last newline',
  async (t) => {
    const { files = {} } = tlsFiles()
    const text = minimal
      .replace('{ fromEnv: SESSION }', '{ fromFile: session.key }, { fromFile: /run/secrets/old }')
      .replace(
        'server: { ',
        'server: { tls: { certificate: { fromFile: c.pem }, key: { fromFile: k.pem } }, ',
      )
    const sources = {
      files: {
        ...files,
        'session.key': secretOf('a') + '\r\n',
        '/run/secrets/old': secretOf('b'),
      },
    }
    const { config, files: read } = loadText(text, sources)
    t.same(config.session.secrets, [secretOf('a'), secretOf('b')])
    t.match(config.server.tls?.certificate.path, /c\.pem$/)
    t.match(config.server.tls?.key.value, /^-----BEGIN PRIVATE KEY-----/)
    t.equal(read.length, 5, 'this file and all that it names, for whoever watches them')
  },
)

await t.test(
  'a client id or group named like a property of objects finds only what is in the file',
  async (t) => {
    const { config } = loadText(
      minimal.replace(
        'clientId: trac',
        'clientId: trac, machines: { __proto__: { username: x }, 123456789012345678901: { username: y } }',
      ),
    )
    t.equal(config.identity.machines['constructor'], undefined)
    t.equal(config.permissions.groups['toString'], undefined)
    t.same(Object.keys(config.identity.machines), ['__proto__', '123456789012345678901'])
  },
)

await t.test('the result is frozen all the way down', async (t) => {
  const frozen = (value: unknown): boolean =>
    typeof value !== 'object' ||
    value === null ||
    (Object.isFrozen(value) && Object.values(value).every(frozen))
  t.ok(frozen(loadText(withGroups(base)).config))
})

await t.test('follows aliases, and refuses a file of them that explodes', async (t) => {
  const shared = `${base}    timeouts: &limits { firstByte: 5m }
  - { name: b, path: /b, timeouts: *limits }
`
  const { config } = loadText(withGroups(shared))
  t.equal(config.routes[1]?.timeouts.firstByte, 300_000)
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
  for (let i = 1; i < 9; i++) lines.push(`a${i}: &a${i} [${`*a${i - 1}, `.repeat(10)}x]`)
  const before = process.cpuUsage()
  const problems = problemsOf(lines.join('\n'))
  const { user } = process.cpuUsage(before)
  t.match(problems[0]?.found, /too many aliases/)
  t.ok(user < 5_000_000, `soon: ${user} µs of this process`)
  t.match(problemsOf('a: &a [*a]')[0]?.found, /./, 'an alias to itself')
  t.match(problemsOf('['.repeat(50_000))[0]?.found, /./, 'brackets without end')
  t.match(problemsOf('x'.repeat(1024 * 1024 + 1))[0]?.wanted, /at most/)
})

await t.test('reads a real file, and says when there is none', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'gateway.yaml')
  t.throws(() => loadConfig(file, { env: secrets }), {
    name: 'ConfigProblems',
    problems: [{ file, line: 1, column: 1, found: /ENOENT/ }],
  })
  writeFileSync(file, minimal)
  const config: Config = loadConfig(file, { env: secrets }).config
  t.equal(config.server.spoolDirectory, '/tmp')
})

await t.test('whatever the text, nothing but problems is thrown', async (t) => {
  const pieces = [
    'server publicUrl identity routes session upstreams trac url require secrets fromEnv fromFile',
    'SESSION https://x.example/ ${A ${A} &a *a !!map !x << { } [ ] , | > # ? ~ : - " \'',
  ].flatMap((line) => line.split(' '))
  const blanks = [
    ': ',
    '- ',
    '\n',
    '\n  ',
    '\n    ',
    '\t',
    '---\n',
    '...\n',
    '%YAML 1.1\n',
    '\u0000',
  ]
  const words = fc.constantFrom(...pieces, ...blanks)
  const texts = fc.oneof(
    { weight: 3, arbitrary: fc.array(words, { maxLength: 60 }).map((parts) => parts.join('')) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 200 }) },
    {
      weight: 3,
      arbitrary: fc
        .tuple(fc.nat(base.length), fc.nat(40), fc.array(words, { maxLength: 3 }))
        .map(([at, cut, put]) => base.slice(0, at) + put.join('') + base.slice(at + cut)),
    },
  )
  fc.assert(
    fc.property(texts, (text) => {
      for (const { line, column, found, wanted } of problemsOf(text)) {
        if (line < 1 || column < 1 || found === '' || wanted === '') return false
      }
      return true
    }),
    { numRuns: scaled(1000, 10_000) },
  )
  t.pass('held for all that were tried')
})

/** A file with every key. */
const contract = `
server:
  publicUrl: https://trac.example.edu/trac
  listen: 0.0.0.0:8080
  tls: { certificate: { fromFile: c.pem }, key: { fromFile: k.pem } }
  trustedProxies: [10.0.0.0/8]
  limits: { header: 32KiB, target: 4000B, body: 10MiB, spool: 1GiB }
  timeouts: { headers: 15s, bodyIdle: 30s, bodyMinimumRate: 1KiB, clientRead: 60s, queue: 10s, keepAlive: 75s, drain: 5s, shutdown: 30s }
  spoolDirectory: /tmp
  forwardAuth: traefik
admin: { listen: 127.0.0.1:9464, token: { fromFile: /run/secrets/session } }
identity:
  cognito: { region: us-east-2, userPoolId: us-east-2_Example, domain: learntrac-auth }
  issuer: https://idp.example.edu/realms/trac
  clientId: 1example23456789
  clientSecret: { fromEnv: OIDC_CLIENT_SECRET }
  scopes: [openid, email, profile]
  acceptClients: []
  additionalIssuers: []
  machines: { 9example87654321: { username: ci-bot, groups: [builders], scopes: [trac/write] } }
  algorithms: [RS256]
  clockTolerance: 30s
  keys: { maxAge: 1h, coolDown: 30s, cacheFile: keys.json }
  claims: { username: 'cognito:username', groups: ['cognito:groups', groups], permissions: [trac_permissions], email: [email], name: [name] }
  username: { aliases: { 6f0c…: alice }, emailLocalPart: false, case: keep, userinfo: auto, namesFile: /var/lib/trac-gateway/names }
  email: verified
  maxTokenLife: 24h
  publicRefresh: false
session:
  secrets: [{ fromFile: /run/secrets/session }]
  store: cookie
  replicas: one
  redis: { url: { fromEnv: REDIS_URL } }
  revocationFile: /var/lib/trac-gateway/revocations
  idleTimeout: 8h
  maxAge: 7d
  renewAt: 0.75
permissions:
  groups: { admins: [TRAC_ADMIN], instructors: [TICKET_CREATE], students: [TICKET_VIEW] }
  authenticated: []
  anonymous: []
  fromClaims: [nonAdmin, LEARNING_PARTICIPATE]
upstreams:
  trac: { url: 'http://127.0.0.1:8000', signingKeys: [{ id: k1, secret: { fromFile: k1 } }], timeouts: { connect: 2s, firstByte: 60s, idle: 60s }, insecureHttp: false }
  api: { url: 'http://127.0.0.1:8001', forwardAccessToken: true }
mode: enforce
routes:
  - name: api
    path: /api/**
    methods: [GET, POST, PUT, DELETE]
    query: { action: edit }
    upstream: api
    credentials: [bearer, session]
    access: authenticated
    require: { anyPermission: [A], allPermissions: [B], anyGroup: [c], scopes: [d] }
    mode: shadow
    rateLimit: { max: 600, per: 1m, by: principal }
    bodyLimit: 50MiB
    timeouts: { firstByte: 5m }
    websocket: false
builtinTracRoutes: true
rateLimit: { auth: { max: 600, per: 1m }, failures: { max: 20, per: 1m } }
log: { level: info, audit: true }
`

await t.test('takes every name of the contract', async (t) => {
  const { files = {} } = tlsFiles()
  const sources = {
    env: { OIDC_CLIENT_SECRET: 'x', REDIS_URL: 'redis://127.0.0.1' },
    files: { ...files, '/run/secrets/session': secretOf('s'), k1: secretOf('k') },
  }
  t.same(problemsOf(contract, sources), [])
  const { config } = loadText(contract, sources)
  t.equal(config.identity.issuer, 'https://idp.example.edu/realms/trac', 'the issuer says where')
  t.equal(config.routes[0]?.bodyLimit, 50 * 1024 ** 2)
  t.match(config.identity.keys.cacheFile, /^\/.*keys\.json$/)
})

await t.test('a directive cannot turn the file into YAML 1.1', async (t) => {
  const text = `%YAML 1.1\n---\n${minimal}`
  t.equal(problemsOf(`${text}builtinTracRoutes: no\n`)[0]?.found, '"no"')
  t.match(problemsOf(`${text}<<: { mode: shadow }\n`)[0]?.found, /not known/)
})
