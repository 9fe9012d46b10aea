/** `tracing`: which collectors are taken, and what is worth a thought. */
import { t } from '../fixtures/tap.js'
import { loadText, minimal, secretOf } from '../fixtures/config.js'

const load = (tracing: string) =>
  loadText(`${minimal}\ntracing: { ${tracing} }\n`, { env: { KEY: secretOf('k') } })
const endpoint = (address: string) => `endpoint: '${address}'`

await t.test('an endpoint has a path, and no name and password in it', async (t) => {
  const { tracing } = load(endpoint('https://otel.example.edu/v1/traces')).config
  t.match(tracing, { ratio: 1, followParent: true, queue: 4096, interval: 5000, headers: {} })
  for (const wrong of [
    'https://otel.example.edu',
    'https://a:b@otel.example.edu/v1',
    'otel:4318',
  ]) {
    t.throws(() => load(endpoint(wrong)), { message: /tracing\.endpoint/ }, wrong)
  }
})

await t.test('the ratio is a number from 0 to 1, both included', async (t) => {
  const ratioOf = (text: string) =>
    load(`${endpoint('http://127.0.0.1:4318/v1/traces')}, ratio: ${text}`).config.tracing?.ratio
  t.strictSame(['0', '0.25', '1'].map(ratioOf), [0, 0.25, 1])
  for (const wrong of ['-0.1', '1.1', 'all']) {
    t.throws(() => ratioOf(wrong), { message: /tracing\.ratio: .*wanted a number from 0 to 1/ })
  }
})

await t.test('headers are secrets, and over plain HTTP that is told', async (t) => {
  const headers = 'headers: { authorization: { fromEnv: KEY } }'
  const namesOf = (address: string, more = headers) =>
    load(`${endpoint(address)}, ${more}`)
      .warnings.map(({ name }) => name)
      .filter((name) => name === 'tracing-http')
  t.strictSame(namesOf('http://otel.example.edu:4318/v1/traces'), ['tracing-http'])
  t.strictSame(namesOf('http://otel.example.edu:4318/v1/traces', 'ratio: 1'), [])
  t.strictSame(namesOf('http://127.0.0.1:4318/v1/traces'), [])
  t.strictSame(namesOf('https://otel.example.edu/v1/traces'), [])
  const inTheFile = () => load(`${endpoint('https://a.b/c')}, headers: { authorization: secret }`)
  t.throws(inTheFile, { message: /tracing\.headers\.authorization: .*fromEnv/ })
})
