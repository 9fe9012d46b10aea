/** Trac's side as deploy/docs/guides/trac-side.md says it: what stands there, and nothing else, makes Trac work. */
import { t } from '../fixtures/tap.js'
import { execFile } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { blocksOf, readGuide, settingsOf } from '../fixtures/guides.js'
import { admin, send, sendUnsigned } from '../fixtures/signed.js'
import { both, setIni, startFixture, testKey } from '../fixtures/tracs.js'

const page = await readGuide('trac-side')
const [keyCommand = ''] = blocksOf(page, 'sh')
const settings = settingsOf(blocksOf(page, 'ini')[0] ?? '')

await t.test('the page has all settings that the plugin asks for', async (t) => {
  const plugin = await readFile('deploy/trac/trac_gateway.py', 'utf8')
  for (const name of ['permission_policies', 'trac.web.auth.loginmodule']) {
    const [, , value = ''] = settings.find(([, key]) => key === name) ?? []
    t.ok(plugin.includes(`${name} = ${value}\n`), name)
  }
})

/** What the page calls good, but not necessary. */
const optional = ['request_filters', 'base_url', 'use_base_url_for_redirect', 'secure_cookies']

await t.test('no step that is not necessary stands among those that are', async (t) => {
  for (const name of optional) {
    t.notOk(settings.some(([, key]) => key === name))
    t.match(page.split('not necessary:')[1], `${name} = `)
  }
})

for (const server of both) {
  await t.test(
    `${server}: a Trac with these settings and this key file serves what is signed`,
    async (t) => {
      const fixture = await startFixture(t, server, { basePath: '/trac' })
      const keys = join(fixture.environment, 'gateway.keys')
      await rm(join(fixture.environment, 'conf', 'trac_gateway.keys'))
      for (const name of optional) await setIni(fixture.environment, 'trac', name, undefined)
      for (const [section, name, value] of settings) {
        await setIni(fixture.environment, section, name, name === 'key_file' ? keys : value)
      }
      t.equal((await send(fixture, { target: '/trac/about', from: admin })).status, 403)

      await writeFile(join(fixture.environment, 'signing'), testKey.secret)
      const command = keyCommand.replace('k1', testKey.id).replace('/etc/trac/gateway.keys', keys)
      await promisify(execFile)('/bin/sh', ['-c', command], { cwd: fixture.environment })
      t.equal((await send(fixture, { target: '/trac/about', from: admin })).status, 200)
      t.equal((await sendUnsigned(fixture, { target: '/trac/about' })).status, 403)
    },
  )
}
