/** The log in each of its forms, by way of sockets; its level and form change by a reload. */
import { readFile, writeFile } from 'node:fs/promises'
import { t } from '../fixtures/tap.js'
import { rawExchange } from '../fixtures/gateway.js'
import { stage } from '../fixtures/stage.js'
import { until } from '../fixtures/until.js'
import { ask } from '../fixtures/wire.js'

const s = await stage(t, { provider: 'scripted', upstream: true })
const { gateway, port, url } = s

/** Bytes of an attack, as latin-1. */
const hostile = [
  ...[
    '\u001b[2J',
    '\u009b2J',
    '\u0085',
    '\u00c2\u009b2J',
    '\u00e2\u0080\u00a8',
    '\u00e2\u0080\u00ae',
  ],
  ...['\u00ff\u00fe', '%0d%0a{"msg":"request"}', '%1b[2J', '%C2%9b2J', '%E2%80%A8', '%E2%80%AE'],
  ...['"}{"', '%22%20user=root', '\\', '\r{"msg":"request"}', 'a'.repeat(3000)],
]

for (const format of ['json', 'ecs', 'plain'] as const) {
  await t.test(`${format}: bytes on a socket make no line and no command`, async (t) => {
    await gateway.reload({ log: { format } })
    const before = gateway.log().length
    let sent = 0
    const send = async (target: string, headers: string) => {
      sent++
      const host = `Host: localhost:${port}\r\n`
      const head = `GET ${target} HTTP/1.1\r\n${host}Connection: close\r\n${headers}\r\n`
      await rawExchange(port, head)
    }
    for (const bytes of hostile) {
      await send(`/trac/wiki/${bytes}`, '')
      await send(`/trac/auth/callback?error=${bytes}&error_description=${bytes}&state=x`, '')
      await send('/trac/wiki/Start', `X-Request-Id: ${bytes}\r\nUser-Agent: ${bytes}\r\n`)
      await send('/trac/wiki/Start', `traceparent: ${bytes}\r\nAuthorization: ${bytes} x\r\n`)
    }
    const groups = hostile.map((bytes) => Buffer.from(bytes, 'latin1').toString('utf8'))
    await s.signIn({ 'cognito:groups': groups, name: groups.join('') })
    const isRequest = (line: string) =>
      format === 'plain'
        ? /^\S+Z [A-Z]+ +request /.test(line)
        : /"(msg|message)":"request"/.test(line)
    const lines = () => gateway.log().slice(before).split('\n').slice(0, -1)
    // A sign-in is three requests: to the provider, back, and the page.
    await until(() => lines().filter(isRequest).length >= sent + 3, 'all are written')
    t.equal(lines().filter(isRequest).length, sent + 3)
    t.notMatch(
      gateway.log().slice(before),
      // eslint-disable-next-line no-control-regex -- control characters are what it looks for
      /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e]/,
    )
    const form = format === 'plain' ? /^\d{4}-\S+Z (INFO|WARN|ERROR) +\S/ : /^\{.*\}$/
    for (const line of lines()) {
      t.match(line, form)
      t.ok(line.length < 20_000, `${line.length} characters`)
      if (format !== 'plain') JSON.parse(line)
    }
    t.ok(lines().some((line) => line.includes('sign-in')))
  })
}

await t.test('SIGHUP changes level and form, and nothing else', async (t) => {
  const lines: string[] = []
  const { gateway: child, url: address } = await stage(t, {
    provider: s.provider,
    upstream: s.upstream,
    gateway: 'process',
    onLine: (line) => void lines.push(line),
  })
  const get = async () => void (await (await fetch(`${address}/auth/healthz`)).text())
  const seen = (form: RegExp) => until(() => lines.some((line) => form.test(line)), form.source)
  const change = async (log: object) => {
    const text = await readFile(child.file, 'utf8')
    await writeFile(child.file, text.replace(/log:\n(?: .*\n)+/, `log: ${JSON.stringify(log)}\n`))
    const taken = await child.metric('trac_gateway_config_generation')
    lines.length = 0
    child.signal('SIGHUP')
    await until(async () => (await child.metric('trac_gateway_config_generation')) > taken)
  }
  await get()
  await seen(/"msg":"request"/)
  await change({ level: 'warn' })
  await get()
  // What waits is written within a quarter of a second; then comes what is told at any level.
  const text = await readFile(child.file, 'utf8')
  await writeFile(child.file, `${text}\nnonsense: 1\n`)
  child.signal('SIGHUP')
  await seen(/"level":"error".*the new configuration is refused/)
  t.notOk(lines.some((line) => line.includes('"msg":"request"')))
  await writeFile(child.file, text.replace(/log: .*\n/, 'log:\n  level: info\n'))
  await change({ level: 'info', format: 'plain' })
  await get()
  await seen(/^\S+Z INFO {2}request GET \/trac\/auth\/healthz 200 /)
})

await t.test('in json the fields keep their names', async (t) => {
  await gateway.reload({})
  const before = gateway.log().length
  await ask({ port }, 'GET /trac/wiki/Start')
  const text = () => gateway.log().slice(before)
  await until(() => text().includes('"msg":"request"'))
  t.match(text(), /^\{"level":"info","time":"[^"]+","request_id":"/m)
  t.match(url, /\/trac$/)
})
