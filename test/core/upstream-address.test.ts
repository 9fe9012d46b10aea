/** Where an upstream is: what its address says to whoever connects. */
import { t } from '../fixtures/tap.js'
import { upstreamAddress } from '../../src/core/upstream-address.js'

await t.test('a host and port, with the name that TLS asks for', async (t) => {
  const tcp = { kind: 'tcp' as const }
  const name = 'api.example.edu'
  const forms: readonly (readonly [string, object])[] = [
    [
      'http://127.0.0.1:8000',
      { url: 'http://127.0.0.1:8000', tls: false, host: '127.0.0.1', port: 8000, serverName: '' },
    ],
    [
      `https://${name}/`,
      { url: `https://${name}`, tls: true, host: name, port: 443, serverName: name },
    ],
    ['http://trac', { url: 'http://trac', tls: false, host: 'trac', port: 80, serverName: 'trac' }],
    [
      'https://10.0.0.7',
      { url: 'https://10.0.0.7', tls: true, host: '10.0.0.7', port: 443, serverName: '' },
    ],
    [
      'https://[fd00::7]:8443',
      { url: 'https://[fd00::7]:8443', tls: true, host: 'fd00::7', port: 8443, serverName: '' },
    ],
  ]
  for (const [text, address] of forms) {
    t.same(upstreamAddress.parse(text), { ...tcp, ...address }, text)
  }
})

await t.test('a Unix socket', async (t) => {
  const url = 'unix:/run/trac.sock'
  t.same(upstreamAddress.parse(url), { kind: 'unix', url, path: '/run/trac.sock' })
})

await t.test('nothing else, and the answer says what to write', async (t) => {
  const mistakes: readonly (readonly [string, RegExp | undefined])[] = [
    ['http://127.0.0.1:8000/api', /without path.*: http:\/\/127\.0\.0\.1:8000$/],
    ['http://127.0.0.1:8000?a', /without path/],
    ['https://me:secret@api.example.edu', /without user name/],
    ['http://übung.example', /xn--bung-zra\.example/],
    ['unix:run/trac.sock', undefined],
    ['tcp://127.0.0.1', undefined],
    ['http://a b', undefined],
    ['http://127.0.0.1:65536', undefined],
    ['http://1.2.3', undefined],
  ]
  for (const [text, wanted] of mistakes) {
    t.equal(upstreamAddress.parse(text), undefined, text)
    if (wanted === undefined) t.equal(upstreamAddress.hint(text), undefined, text)
    else t.match(upstreamAddress.hint(text), wanted, text)
  }
})
