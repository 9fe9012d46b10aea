/** The gateway's own pages as a project and its people want them: its name, its logo, its link home; light or dark; their language. */
import { t } from '../fixtures/tap.js'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { problemsOf, minimal } from '../fixtures/config.js'
import { stage } from '../fixtures/stage.js'
import { ask } from '../fixtures/wire.js'
import { Visitor } from '../fixtures/visitor.js'

const folder = mkdtempSync(join(tmpdir(), 'trac-gateway-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const logo = join(folder, 'logo')
const drawing = '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h1v1z"/></svg>'
writeFileSync(logo, drawing)

const { gateway, url, origin, signIn } = await stage(t, {
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

const languages = {
  de: ['Abgemeldet', 'Nicht gefunden', 'Bitte melden Sie sich an'],
  fr: ['Déconnecté', 'Introuvable', 'Veuillez vous connecter'],
  es: ['Sesión cerrada', 'No encontrado', 'Inicie sesión, por favor'],
  en: ['Signed out', 'Not found', 'Please sign in'],
} as const

for (const [tag, titles] of Object.entries(languages)) {
  await t.test(`whoever reads “${tag}” gets the pages in it`, async (t) => {
    const addresses = [`${url}/auth/signed-out`, `${origin}/elsewhere`, `${url}/auth/session`]
    for (const [index, address] of addresses.entries()) {
      const { text, headers } = await visitor.open(address, {
        headers: { 'accept-language': `it, ${tag}-XX;q=0.8, *;q=0.1` },
      })
      t.match(text, `<h1>${titles[index]}</h1>`)
      t.match(text, `<html lang="${tag}">`)
      t.equal(headers['content-language'], tag)
      t.equal(headers['vary'], 'Accept-Language')
    }
  })
}

const german = { headers: { 'accept-language': 'de' } }

await t.test('what a program, an operator and a redirect get has no language', async (t) => {
  const answer = await visitor.fetch(`${url}/auth/session`, german)
  t.match(answer.json(), { code: 'ERR_LOGIN_REQUIRED', message: 'Please sign in.' })
  t.notOk('content-language' in answer.headers || 'vary' in answer.headers)
  const redirect = await visitor.open(`${url}/auth/login`, german)
  t.equal(redirect.status, 302)
  t.notOk('content-language' in redirect.headers || 'vary' in redirect.headers)
  const status = await visitor.open(gateway.adminUrl, german)
  t.match(status.text, /<html lang="en">[^]*Gateway status/)
  t.equal(status.headers['content-language'], 'en')
  t.notMatch(status.headers['vary'] ?? '', 'Accept-Language')
})

await t.test('a refusal says in the language of its reader what is missing', async (t) => {
  const reader = await signIn()
  const page = await reader.open(`${url}/admin/general/perm`, german)
  t.equal(page.status, 403)
  t.match(page.text, /<p>Dafür ist (?:das Recht|ein Recht) [^<]* nötig[^<]*<\/p>/)
  t.match(page.text, '>Anderes Konto verwenden</a>')
  t.match(page.text, '<dt>Angemeldet als</dt>')
  const elsewhere = await visitor.open(`${origin}/elsewhere`, german)
  t.match(elsewhere.text, `<p>Alles liegt hier unter ${url}.</p>`)
  const line = gateway.lines.findLast(({ msg }) => msg === 'request')
  t.equal(line?.['reason'], `Everything here is below ${url}.`, 'the log stays English')
})

await t.test('what only operators need follows in English, and says that it does', async (t) => {
  const answer = await ask(gateway, `GET ${new URL(url).pathname}/wiki`, [
    'Accept: text/html',
    'Accept-Language: fr',
    'X Y: a name with a blank',
  ])
  t.equal(answer.status, 400)
  const text = Buffer.from(answer.body, 'latin1').toString()
  t.match(text, '<p>Un en-tête de la requête est mal formé.</p>')
  t.match(text, '<p lang="en">Invalid header token.</p>')
})

await t.test('a reload takes another logo, and another theme', async (t) => {
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
