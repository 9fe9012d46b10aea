/** Names of requests: taken over if they are well-formed, made if not, never the same twice. */
import { t } from '../fixtures/tap.js'
import { createRequestNames } from '../../src/request/request-id.js'

const names = createRequestNames()

for (const id of ['a', 'A.b_c-9', 'x'.repeat(128)]) {
  await t.test(`${id.slice(0, 20)} is kept`, async (t) => t.equal(names.id(id), id))
}
for (const id of ['', 'a b', 'a\n', '<', 'é', 'x'.repeat(129), 'a,b', '"a"']) {
  await t.test(`${JSON.stringify(id.slice(0, 20))} is replaced`, async (t) => {
    t.match(names.id(id), /^[0-9a-f]{32}$/)
  })
}

const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
await t.test('a traceparent is kept', async (t) => t.equal(names.trace(trace), trace))
for (const odd of [
  '',
  'x',
  trace.toUpperCase(),
  `${trace}0`,
  trace.replace(/^00/, '01'),
  trace.replace(/0af7651916cd43dd8448eb211c80319c/, '0'.repeat(32)),
  trace.replace(/b7ad6b7169203331/, '0'.repeat(16)),
]) {
  await t.test(`"${odd}" is replaced by one that is kept`, async (t) => {
    const made = names.trace(odd)
    t.not(made, odd)
    t.equal(names.trace(made), made)
  })
}

await t.test('10,000 made ones differ', async (t) => {
  t.equal(new Set(Array.from({ length: 10_000 }, () => names.id(''))).size, 10_000)
})
