/** Where an unsafe request came from: the corner values of Sec-Fetch-Site, Origin and Referer. */
import { t } from '../fixtures/tap.js'
import { isSameOrigin, safeMethods } from '../../src/authorize/csrf.js'
import type { RequestHeaders } from '../../src/request/headers.js'

const ours = 'https://trac.example.edu'

type Said = Partial<Pick<RequestHeaders, 'fetchSite' | 'origin' | 'referer'>>

const cases: readonly (readonly [said: Said, same: boolean])[] = [
  [{}, false],
  // Sec-Fetch-Site alone.
  [{ fetchSite: 'same-origin' }, true],
  [{ fetchSite: 'same-site' }, false],
  [{ fetchSite: 'cross-site' }, false],
  [{ fetchSite: 'none' }, false],
  [{ fetchSite: 'null' }, false],
  [{ fetchSite: 'same-origin ' }, false],
  [{ fetchSite: 'Same-Origin' }, false],
  [{ fetchSite: 'same-origin, cross-site' }, false],
  // With Origin.
  [{ fetchSite: 'same-origin', origin: ours }, true],
  [{ fetchSite: 'same-origin', origin: 'null' }, true],
  [{ fetchSite: 'same-origin', origin: 'https://evil.example' }, false],
  [{ fetchSite: 'same-site', origin: ours }, false],
  [{ fetchSite: 'cross-site', origin: ours }, false],
  [{ fetchSite: 'none', origin: ours }, false],
  [{ fetchSite: 'cross-site', origin: ours, referer: `${ours}/trac/` }, false],
  [{ fetchSite: 'same-origin', referer: 'https://evil.example/' }, true],
  // Without Sec-Fetch-Site.
  [{ origin: ours }, true],
  [{ origin: 'null' }, false],
  [{ origin: 'null', referer: `${ours}/trac/` }, false],
  [{ origin: `${ours}/` }, false],
  [{ origin: `${ours}:443` }, false],
  [{ origin: `${ours}:8443` }, false],
  [{ origin: 'http://trac.example.edu' }, false],
  [{ origin: 'https://TRAC.example.edu' }, false],
  [{ origin: `${ours}.evil.example` }, false],
  [{ origin: 'https://evil-trac.example.edu' }, false],
  [{ origin: 'https://example.edu' }, false],
  [{ origin: `${ours} https://evil.example` }, false],
  [{ origin: 'https://evil.example', referer: `${ours}/trac/` }, false],
  // Referer alone.
  [{ referer: `${ours}/trac/wiki?x#y` }, true],
  [{ referer: ours }, true],
  [{ referer: `${ours}:443/` }, true],
  [{ referer: 'https://evil.example/' }, false],
  [{ referer: `https://evil.example/?${ours}/` }, false],
  [{ referer: `${ours}@evil.example/` }, false],
  [{ referer: `${ours}.evil.example/` }, false],
  [{ referer: 'http://trac.example.edu/' }, false],
  [{ referer: '/trac/wiki' }, false],
  [{ referer: 'about:blank' }, false],
  [{ referer: 'data:text/html,x' }, false],
  [{ referer: `blob:${ours}/1` }, true],
  [{ referer: 'not a url' }, false],
]

for (const [said, same] of cases) {
  await t.test(`${JSON.stringify(said)} is ${same ? '' : 'not '}our own origin`, async (t) => {
    const headers = { fetchSite: '', origin: '', referer: '', ...said } as RequestHeaders
    t.equal(isSameOrigin(headers, ours), same)
  })
}

await t.test('the methods that change nothing are four', async (t) => {
  t.strictSame([...safeMethods].toSorted(), ['GET', 'HEAD', 'OPTIONS', 'TRACE'])
})
