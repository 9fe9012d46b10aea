/** The unit of systemd: systemd itself reads it, and a reload that would miss a new secret says so. */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { shippedFlags } from '../bench/contenders.js'
import { t } from '../fixtures/tap.js'
import { root } from '../fixtures/root.js'

const path = `${root}deploy/systemd/trac-gateway.service`
const unit = readFileSync(path, 'utf8')
const run = (program: string, args: readonly string[]) =>
  spawnSync(program, args, { encoding: 'utf8' })

await t.test('systemd understands each line of it', async (t) => {
  // It also wants the program that a unit names to exist.
  const folder = t.testdir({
    'trac-gateway.service': unit.replaceAll('/usr/bin/node', process.execPath),
  })
  const { status, stderr } = run('systemd-analyze', [
    'verify',
    join(folder, 'trac-gateway.service'),
  ])
  const ours = stderr.split('\n').filter((line) => line.includes('trac-gateway'))
  t.strictSame([status, ours], [0, []])
})

await t.test('it and the image start Node with the flags that the bench measures', async (t) => {
  const image = readFileSync(`${root}Dockerfile`, 'utf8')
  const [, ofUnit] =
    /^ExecStart=\/usr\/bin\/node (.*) \/opt\/trac-gateway\/dist\/main\.js start /m.exec(unit) ?? []
  const [, ofImage = '[]'] = /^ENTRYPOINT (\[.*\])$/m.exec(image) ?? []
  t.equal(ofUnit, shippedFlags.join(' '))
  t.strictSame((JSON.parse(ofImage) as string[]).slice(1, -1), shippedFlags)
})

await t.test('by systemd’s own count it is exposed less than 2 of 10', async (t) => {
  const { stdout } = run('systemd-analyze', ['security', '--offline=true', '--no-pager', path])
  const exposure = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1])
  t.ok(exposure > 0 && exposure < 2, `${exposure}`)
})

/** What `systemctl reload` asks first, with the two folders elsewhere. deploy/test-image sees a real systemd ask it. */
function checkSecrets(credentials: string, secrets: string) {
  const [, text = ''] = /^ExecReload=\+\/bin\/sh -c '(.*)'$/m.exec(unit) ?? []
  const command = text
    .replaceAll('$$', '$')
    .replaceAll('/proc/$MAINPID/root/run/credentials/trac-gateway.service', credentials)
    .replaceAll('/etc/trac-gateway/secrets', secrets)
  t.ok(command.includes(credentials) && command.includes(secrets))
  return spawnSync('/bin/sh', ['-c', command], {
    encoding: 'utf8',
    env: { ...process.env, CREDENTIALS_DIRECTORY: '/run/credentials/trac-gateway.service' },
  })
}

await t.test('a reload fails while a secret has changed that it would not see', async (t) => {
  const folder = t.testdir({
    credentials: { session: 'one', signing: 'two', 'given otherwise': 'three' },
    secrets: { session: 'one', signing: 'two', unused: 'four' },
  })
  const [credentials, secrets] = [join(folder, 'credentials'), join(folder, 'secrets')]
  t.match(checkSecrets(credentials, secrets), { status: 0, stderr: '' })
  writeFileSync(join(secrets, 'signing'), 'new')
  t.match(checkSecrets(credentials, secrets), {
    status: 1,
    stderr: /secrets\/signing has changed.*systemctl restart trac-gateway/,
  })
  writeFileSync(join(credentials, 'signing'), 'new')
  t.match(checkSecrets(credentials, secrets), { status: 0 }, 'after a restart it has the new one')
  t.match(
    checkSecrets(join(folder, 'nothing'), secrets),
    { status: 1 },
    'or while none can be seen',
  )
})

await t.test(
  'each secret that its configuration names is one that it lets the service see',
  async (t) => {
    const config = readFileSync(`${root}deploy/systemd/gateway.yaml`, 'utf8')
    const named = [...config.matchAll(/\/run\/credentials\/trac-gateway\.service\/(\w+)/g)]
    t.strictSame(
      named.map(([, name = '']) => name).toSorted(),
      [...unit.matchAll(/^LoadCredential=(\w+):/gm)].map(([, name = '']) => name).toSorted(),
    )
  },
)
