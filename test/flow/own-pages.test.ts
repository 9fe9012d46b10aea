/** The gateway's own pages as a project wants them: its name, its logo, its link home, light or dark. */
import { t } from '../fixtures/tap.js'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { problemsOf, minimal } from '../fixtures/config.js'
import { stage } from '../fixtures/stage.js'
import { Visitor } from '../fixtures/visitor.js'

const folder = mkdtempSync(join(tmpdir(), 'trac-gateway-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const logo = join(folder, 'logo')
const drawing = '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h1v1z"/></svg>'
writeFileSync(logo, drawing)

const { gateway, url, origin } = await stage(t, {
  provider: 'scripted',
  upstream: true,
  overlay: { pages: { name: 'Physics <Lab>', logo, home: 'https://physics.example.edu/?a&b' } },
})

const visitor = new Visitor()

const ownPages = {
  'signed out': () => `${url}/auth/signed-out`,
  'log-out': () => `${url}/auth/logout`,
  'who one is, for nobody': () => `${url}/auth/session`,
  'a sign-in that did not work': () => `${url}/auth/callback?code=x&state=y`,
  'nothing there': () => `${origin}/elsewhere`,
  'status of the gateway': () => gateway.adminUrl,
}

const pictureOf = (text: string) => /<img src="([^"]*)" alt="">/.exec(text)?.[1] ?? ''

for (const [page, address] of Object.entries(ownPages)) {
  await t.test(`the page “${page}” has the name, the logo and the link home`, async (t) => {
    const { text, headers } = await visitor.open(address())
    t.match(text, '– Physics &lt;Lab&gt;</title>')
    t.match(text, '<a href="https://physics.example.edu/?a&amp;b">Physics &lt;Lab&gt;</a></header>')
    t.equal(pictureOf(text), `data:image/svg+xml;base64,${Buffer.from(drawing).toString('base64')}`)
    const policy = headers['content-security-policy'] ?? ''
    t.match(policy, / img-src data:;/)
    t.match(policy, /^default-src 'none'; style-src 'sha256-/)
    t.notMatch(text, 'prefers-color-scheme', 'it is light, as Trac’s own pages are')
  })
}

await t.test('a reload takes another logo, and refuses what is no picture', async (t) => {
  const png = Buffer.from('89504e470d0a1a0a', 'hex')
  writeFileSync(logo, png)
  t.equal(await gateway.reload({ pages: { logo, theme: 'auto' } }), true)
  const { text } = await visitor.open(`${url}/auth/signed-out`)
  t.equal(pictureOf(text), `data:image/png;base64,${png.toString('base64')}`)
  t.match(text, '<title>Signed out – Trac</title>')
  t.match(text, '@media (prefers-color-scheme: dark)')
  t.equal(await gateway.reload({}), true)
  const plain = await visitor.open(`${url}/auth/signed-out`)
  t.notMatch(plain.text, '<img')
  t.notMatch(plain.headers['content-security-policy'] ?? '', 'img-src')
})

await t.test('a start says which file is no logo, and why', async (t) => {
  const wrong: readonly (readonly [content: string | undefined, found: RegExp])[] = [
    [undefined, /ENOENT/],
    ['GIF89a', /of another kind$/],
    [drawing.replace('path', 'script'), /an SVG with script in it$/],
    [drawing.padEnd(33_000), /more than 32768 bytes$/],
  ]
  for (const [content, found] of wrong) {
    const problems = problemsOf(`${minimal}pages: { logo: /etc/nothing/logo.svg }\n`, {
      files: content === undefined ? {} : { '/etc/nothing/logo.svg': content },
    })
    t.match(problems, [{ path: 'pages.logo', found }])
    t.equal(problems.length, 1)
  }
})

await t.test('the link home is no script', async (t) => {
  for (const home of ['javascript:alert(1)', '//evil.example', '/\\evil.example', 'data:,x', 'x']) {
    t.match(problemsOf(`${minimal}pages: { home: ${JSON.stringify(home)} }\n`), [
      { path: 'pages.home', wanted: /^an https:\/\// },
    ])
  }
})
