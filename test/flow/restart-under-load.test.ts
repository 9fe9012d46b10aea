/** Trac restarted under load: only what was in flight may fail, each failure says what it is, and all that comes later works. */
import { t } from '../fixtures/tap.js'
import { startServer } from '../../src/demo/trac.js'
import { freePort } from '../fixtures/ports.js'
import { stage } from '../fixtures/stage.js'
import { startFixture, testKey } from '../fixtures/tracs.js'
import { ask } from '../fixtures/wire.js'
import type { WireAnswer } from '../fixtures/wire.js'

await t.test(
  'a tracd that stops and starts again under load fails nothing but what was in flight',
  async (t) => {
    const fixture = await startFixture(t, 'tracd 1.6', { basePath: '/trac' })
    const port = await freePort()
    const start = () =>
      startServer(
        fixture.python,
        [
          ...`-m trac.web.standalone --hostname=127.0.0.1 --port=${port}`.split(' '),
          ...['--base-path=/trac', '--single-env', fixture.environment],
        ],
        port,
      )
    let stop = await start()
    t.teardown(() => stop())
    const url = `http://127.0.0.1:${port}`
    const { gateway } = await stage(t, { upstream: { url }, signingKey: testKey })

    const load = { running: true }
    /** Which phase a request was begun in, so that what overlaps a restart can be told. */
    let phase = 0
    const answers: { from: number; to: number; line: string; answer: WireAnswer }[] = []
    const client = async (n: number): Promise<void> => {
      for (let i = 0; load.running; i++) {
        const line = (n + i) % 3 === 0 ? 'HEAD /trac/about' : 'GET /trac/about'
        const from = phase
        const answer = await ask(gateway, line)
        answers.push({ from, to: phase, line, answer })
      }
    }
    const until = async (count: number): Promise<void> => {
      const wanted = answers.length + count
      while (answers.length < wanted) await new Promise((resolve) => setTimeout(resolve, 10))
    }
    const clients = Array.from({ length: 8 }, (_, n) => client(n))
    await until(40)
    phase = 1
    await stop()
    phase = 2
    await until(40)
    phase = 3
    stop = await start()
    phase = 4
    await until(60)
    load.running = false
    await Promise.all(clients)

    const during = (from: number, to: number) =>
      answers.filter((it) => it.from >= from && it.to <= to)
    t.ok(
      during(0, 0).every(({ answer }) => answer.status === 200),
      'before',
    )
    t.ok(
      during(4, 4).every(({ answer }) => answer.status === 200),
      'after',
    )
    t.ok(during(4, 4).length >= 40)
    const failed = answers.filter(({ answer }) => answer.status !== 200)
    t.ok(failed.length > 0, 'it was away')
    for (const { answer, line } of failed) {
      t.equal(answer.status, 502)
      if (line.startsWith('GET'))
        t.match(answer.body, /"code":"ERR_UPSTREAM_(?:UNREACHABLE|RESET)"/)
    }
    const whole = answers.filter(
      ({ line, answer }) => line.startsWith('GET') && answer.status === 200,
    )
    t.ok(whole.every(({ from, to, answer }) => answer.complete || from !== to))
    t.ok(
      during(2, 2).every(({ answer }) => answer.status === 502),
      'while it is away',
    )
    const metrics = await gateway.metrics()
    t.match(metrics, /trac_gateway_upstream_errors_total\{[^}]*upstream="trac"/)
  },
)
