/** `Host` as it is compared. */
import { t } from '../fixtures/tap.js'
import { comparableHost } from '../../src/core/host.js'

const cases: readonly (readonly [host: string, scheme: 'https' | 'http', compared: string])[] = [
  ['Trac.Example.edu', 'https', 'trac.example.edu'],
  ['trac.example.edu:443', 'https', 'trac.example.edu'],
  ['trac.example.edu:', 'https', 'trac.example.edu'],
  ['trac.example.edu:80', 'https', 'trac.example.edu:80'],
  ['trac.example.edu:80', 'http', 'trac.example.edu'],
  ['trac.example.edu.', 'https', 'trac.example.edu.'],
  ['[::1]:443', 'https', '[::1]'],
  ['[::1]', 'https', '[::1]'],
  // What is no host and port is no spelling of one.
  ['trac.example.edu:443:', 'https', 'trac.example.edu:443:'],
  ['trac.example.edu::443', 'https', 'trac.example.edu::443'],
  ['trac.example.edu:8443:', 'https', 'trac.example.edu:8443:'],
  ['[::1]:80:', 'http', '[::1]:80:'],
]

await t.test('a port that its scheme has anyway says nothing', (t) => {
  for (const [host, scheme, compared] of cases) {
    t.equal(comparableHost(host, scheme), compared, `${host} by ${scheme}`)
  }
  t.end()
})
