/** A copy of Redis, made and put back by the commands of deploy/docs/guides/recovery.md. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { blocksOf, readGuide, sectionOf } from '../fixtures/guides.js'
import { freePort } from '../fixtures/ports.js'
import { t } from '../fixtures/tap.js'

const run = promisify(execFile)

const section = sectionOf(await readGuide('recovery'), 'What to keep a copy of')
const aboutRedis = blocksOf(section, 'sh').filter((block) => block.includes('redis'))

await t.test('what was in Redis is there again', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'trac-gateway-'))
  const [state, kept, conf] = [join(folder, 'state'), join(folder, 'kept'), join(folder, 'conf')]
  await mkdir(state)
  await mkdir(kept)
  const port = await freePort()
  await writeFile(conf, `port ${port}\nbind 127.0.0.1\ndir ${state}\nsave ""\nappendonly yes\n`)
  const follow = async (commands: string) => {
    const here = commands
      .replaceAll('/var/lib/redis', state)
      .replaceAll('/etc/redis/redis.conf', conf)
      .replaceAll('TODAY', kept)
      .replaceAll('redis-cli', `redis-cli -p ${port}`)
    return (await run('/bin/sh', ['-e', '-c', here], { timeout: 60_000 })).stdout.trim()
  }
  const start = 'redis-server /etc/redis/redis.conf --daemonize yes\n'
  const ready = 'until redis-cli PING | grep -q PONG; do sleep 0.1; done'
  t.teardown(async () => {
    await follow('redis-cli SHUTDOWN NOSAVE').catch(() => undefined)
    await rm(folder, { recursive: true, force: true })
  })

  t.equal(aboutRedis.length, 2)
  const [copy = '', putBack = ''] = aboutRedis
  await follow(start + ready)
  await follow('redis-cli HSET trac-gateway:names carl "somebody"')
  await follow(copy)
  await follow('redis-cli SHUTDOWN')
  await rm(state, { recursive: true })
  await mkdir(state)
  await follow(putBack)
  await follow(start + ready)
  t.equal(await follow('redis-cli HGET trac-gateway:names carl'), 'somebody')
})
