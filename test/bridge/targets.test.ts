/** Signer and bridge agree on what a target is, on every server that Trac runs on. */
import t from 'tap'
import { admin, nobody, send, sendUnsigned } from '../fixtures/signed.js'
import type { Answer, Call } from '../fixtures/signed.js'
import { servers, startFixture } from '../fixtures/tracs.js'
import type { Fixture } from '../fixtures/tracs.js'

/** Wiki names as the gateway may send them (canonical by design §4), and what Trac must read. */
const wikiNames: readonly (readonly [target: string, name: string])[] = [
  ['/wiki/a%2Bb', 'a+b'],
  ['/wiki/a+b', 'a+b'],
  ['/wiki/a%20b', 'a b'],
  ['/wiki/%C3%A9', 'é'],
  ['/wiki/%E6%97%A5%E6%9C%AC', '日本'],
  ['/wiki/a;b', 'a;b'],
  ['/wiki/a%3Bb', 'a;b'],
  ['/wiki/a%25b', 'a%b'],
  ['/wiki/a%2541', 'a%41'],
  ['/wiki/a%3Fb', 'a?b'],
  ['/wiki/a%23b', 'a#b'],
  ['/wiki/a&b=c', 'a&amp;b=c'],
  ["/wiki/a!$'()*,:@~b", 'a!$&#39;()*,:@~b'],
  ['/wiki/a../b', 'a../b'],
]

/** Other targets below the base. */
const oddTargets = [
  '/wiki/WikiStart/',
  '/wiki/',
  '/wiki?page=WikiStart',
  '/wiki/WikiStart?',
  '/wiki/WikiStart?version=1',
  '/wiki/WikiStart?a=%2B+%20;&b=%C3%A9&b=',
  '/wiki/WikiStart?a?b=/c//d/../e',
  '/wiki/WikiStart?%7e=%7E',
  '/query?status=new&status=closed&order=priority',
  '/ticket/1?format=csv',
  '/chrome/common/css/trac.css',
  '/chrome/common/trac_logo_mini.png?x=1',
  '/report/1?asc=1&sort=ticket',
  '/no/such/page',
  '/',
  '',
  '/?',
  '/about',
]

/** Whether the bridge let the request pass, whatever Trac said then. */
function isAccepted(answer: Answer): boolean {
  return ![400, 403, 500].includes(answer.status) && !answer.body.includes('X-Trac-')
}

async function refusals(fixture: Fixture, targets: readonly string[], rest: Partial<Call>) {
  const refused: string[] = []
  for (const target of targets) {
    const answer = await send(fixture, { from: admin, ...rest, target: fixture.base + target })
    if (!isAccepted(answer)) refused.push(`${target}: ${answer.status} ${answer.body.slice(-300)}`)
  }
  return refused
}

async function misreadNames(fixture: Fixture): Promise<string[]> {
  const misread: string[] = []
  for (const [target, name] of wikiNames) {
    const answer = await send(fixture, { from: admin, target: fixture.base + target })
    const title = /<title>\s*([^<]*?)\s*<\/title>/.exec(answer.body)?.[1] ?? ''
    if (!title.startsWith(`${name} `)) misread.push(`${target}: ${answer.status} ${title}`)
  }
  return misread
}

for (const server of servers) {
  for (const basePath of ['', '/trac']) {
    void t.test(`${server} below "${basePath}" accepts odd targets as signed`, async (t) => {
      const fixture = await startFixture(t, server, { basePath })
      t.strictSame(await misreadNames(fixture), [])
      // The request line always has a path: the gateway sends `/` for the empty one.
      const targets = oddTargets.filter((target) => fixture.base !== '' || target !== '')
      t.strictSame(await refusals(fixture, targets, {}), [])
      t.strictSame(await refusals(fixture, ['/wiki/WikiStart', '/about'], { method: 'HEAD' }), [])
      t.strictSame(await refusals(fixture, ['/about'], { from: nobody }), [])
      const unsigned = await sendUnsigned(fixture, { target: `${fixture.base}/about` })
      t.equal(unsigned.status, 403)
      t.match(unsigned.body, 'The request has no X-Trac-Signature')
    })
  }
}
