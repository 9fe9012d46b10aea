/** Real clients that know nothing but a name and a password come in by a personal token, to a real Trac. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { asBasic, makeToken } from '../fixtures/personal-tokens.js'
import { root } from '../fixtures/root.js'
import { stage } from '../fixtures/stage.js'
import { t } from '../fixtures/tap.js'
import { pythonOf, rpcServer, startFixture } from '../fixtures/tracs.js'
import { Visitor } from '../fixtures/visitor.js'

const run = promisify(execFile)
const folder = t.testdir({})
// TracXMLRPC loads on no later Trac than 1.2, and pages of that are not the plugin's to know.
const key = { id: 'rpc-1', secret: 'A-key-of-the-other-Trac-with-32-bytes-or-more' }
const rpc = await startFixture(t, rpcServer, { basePath: '/trac', keys: [key] })
const s = await stage(t, {
  provider: 'cognito',
  trac: 'tracd 1.6',
  env: { KEY: key.secret },
  overlay: {
    tokens: { file: join(folder, 'tokens') },
    permissions: {
      groups: {
        students: ['XML_RPC', 'TICKET_CREATE', 'TICKET_MODIFY', 'TICKET_VIEW', 'TIMELINE_VIEW'],
      },
    },
    upstreams: {
      rpc: {
        url: `http://127.0.0.1:${rpc.port}`,
        signingKeys: [{ id: key.id, secret: { fromEnv: 'KEY' } }],
      },
    },
    routes: [
      {
        name: 'rpc',
        path: '/login/rpc',
        upstream: 'rpc',
        basic: 'token',
        require: { anyPermission: ['XML_RPC'] },
      },
      {
        name: 'feed',
        path: '/timeline',
        query: { format: 'rss' },
        basic: 'token',
        require: { anyPermission: ['TIMELINE_VIEW'] },
      },
    ],
  },
})
const { url, gateway } = s
const python = await pythonOf('1.6')
const sam = await s.signIn(s.sam)
const token = await makeToken(sam, url, { name: 'everything' })
const withUser = (secret: string) => url.replace('://', `://sam:${secret}@`)

const client = `
import sys
from xmlrpc.client import ServerProxy, ProtocolError
try:
    with ServerProxy(sys.argv[1] + '/login/rpc') as trac:
        number = trac.ticket.create('by a token', 'text', {})
        print(number, trac.ticket.get(number)[3]['reporter'], trac.ticket.changeLog(int(sys.argv[2])))
except ProtocolError as error:
    print(error.errcode)
`

/** Makes a ticket, and tells its number, its reporter, and what became of the first one. */
async function call(secret: string): Promise<string> {
  const { stdout } = await run(python, ['-c', client, withUser(secret), '1'])
  return stdout.trim()
}

await t.test('Python’s xmlrpc.client calls TracXMLRPC as the owner', async (t) => {
  t.match(await call(token), /^\d+ sam \[/)
  t.equal(await call(token.slice(0, -1)), '401')
})

await t.test('a call may do no more than the token', async (t) => {
  const view = await makeToken(sam, url, { name: 'view', may: 'some', permission: 'TICKET_VIEW' })
  t.equal(await call(view), '403', 'it lacks XML_RPC')
})

/** What each program of the guide prints, in their order there. */
const printed = [/^\uFEFFid,summary,reporter,/, /^\[1, /, /<rss .*<item>/s]

const guide = readFileSync(`${root}deploy/docs/guides/personal-tokens.md`, 'utf8')
const programs = [...guide.matchAll(/^```(sh|python)\n([^]*?)^```$/gm)]

await t.test('the programs of the guide run as they stand there', async (t) => {
  t.equal(programs.length, printed.length, 'each is known')
  const line = 'machine trac.example.edu login alice password TOKEN'
  t.ok(guide.includes(`\`${line}\``))
  const own = (text: string) =>
    text
      .replaceAll('https://trac.example.edu/trac', url)
      .replaceAll("'https://alice:'", "'http://sam:'")
      .replaceAll('@trac.example.edu/trac', `@${url.slice('http://'.length)}`)
      .replace('machine trac.example.edu login alice', 'machine localhost login sam')
  await writeFile(join(folder, '.netrc'), own(line).replace('TOKEN', token), { mode: 0o600 })
  const env = { PATH: process.env['PATH'], HOME: folder, TOKEN: token }
  for (const [i, [, language, text = '']] of programs.entries()) {
    const program = own(text)
    const [command, words] =
      language === 'python'
        ? [python, ['-c', program]]
        : ['bash', ['-euo', 'pipefail', '-c', program]]
    const { stdout } = await run(command, words, { env })
    t.match(stdout, printed[i]!, text)
  }
})

/** As feed readers do: asked for a password, they come again with one. */
const reader = `
import sys
from urllib.request import HTTPBasicAuthHandler, HTTPPasswordMgrWithDefaultRealm, build_opener
passwords = HTTPPasswordMgrWithDefaultRealm()
passwords.add_password('Trac', sys.argv[1], 'sam', sys.argv[2])
opener = build_opener(HTTPBasicAuthHandler(passwords))
with opener.open(sys.argv[1] + '/timeline?ticket=on&format=rss') as feed:
    print(feed.headers['Content-Type'], feed.read().decode())
`

await t.test('a feed reader is asked for a password, and gets the feed', async (t) => {
  const { stdout } = await run(python, ['-c', reader, url, token])
  t.match(stdout, /^application\/rss\+xml.*<item>/s)
})

await t.test('a browser is not asked: it is sent to sign in, or refused', async (t) => {
  const page = await new Visitor().open(`${url}/timeline?format=rss`)
  t.equal(page.status, 401)
  t.equal(page.headers['www-authenticate'], 'Bearer realm="Trac"')
  const headers = { ...asBasic('sam', token), 'sec-fetch-site': 'same-origin' }
  t.equal((await new Visitor().open(`${url}/timeline?format=rss`, { headers })).status, 403)
})

await t.test('the hook of a repository comments on tickets that commits name', async (t) => {
  const hook = await makeToken(sam, url, {
    ...{ name: 'hook', may: 'some', permission: ['XML_RPC', 'TICKET_MODIFY', 'TICKET_VIEW'] },
    ...{ where: 'some', route: 'rpc' },
  })
  const [bare, work] = [join(folder, 'bare.git'), join(folder, 'work')]
  await run('git', ['init', '--quiet', '--bare', bare])
  const configure = (name: string, value: string) => run('git', ['-C', bare, 'config', name, value])
  const file = join(folder, 'token')
  await writeFile(file, `${hook}\n`, { mode: 0o600 })
  await configure('trac.url', url)
  await configure('trac.user', 'sam')
  await configure('trac.tokenFile', file)
  await mkdir(join(bare, 'hooks'), { recursive: true })
  await copyFile(`${root}deploy/hooks/post-receive`, join(bare, 'hooks/post-receive'))
  await chmod(join(bare, 'hooks/post-receive'), 0o755)
  await run('git', ['clone', '--quiet', bare, work])
  const git = (...rest: string[]) =>
    run('git', [
      ...['-C', work, '-c', 'user.name=Sam', '-c', 'user.email=sam@example.edu'],
      ...rest,
    ])
  await git('commit', '--quiet', '--allow-empty', '-m', 'Count from one, refs #1')
  const pushed = await git('push', '--quiet', 'origin', 'HEAD:refs/heads/main')
  t.match(pushed.stderr, /Trac: ticket #1 was told of/)
  t.match(await call(token), /Count from one, refs #1/)
  t.match(
    gateway.lines.findLast(({ msg, token: name }) => msg === 'request' && name === 'hook'),
    { via: 'token', route: 'rpc', user: 'sam', status: 200 },
  )
  await writeFile(file, 'trac_pat_gone\n')
  await git('commit', '--quiet', '--allow-empty', '-m', 'Count from two, refs #1')
  const failed = await git('push', '--quiet', 'origin', 'HEAD:refs/heads/main')
  t.match(failed.stderr, /Trac was not told: .*401/, 'and the push went well all the same')
})

await t.test('nothing of a token is in the log', async (t) => {
  t.notMatch(gateway.log(), token.slice(33))
})
