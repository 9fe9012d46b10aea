/** Which environment a path lies in. */
import { createKeyFinder } from '../../src/request/environment.js'
import { t } from '../fixtures/tap.js'

await t.test('a plain name goes before patterns, and those in their order', async (t) => {
  const keyOf = createKeyFinder(['*', 'course-*', 'course-1', '2024'])
  t.equal(keyOf('course-1'), 'course-1')
  t.equal(keyOf('course-2'), '*')
  t.equal(keyOf('2024'), '2024')
  const other = createKeyFinder(['course-*', '*', 'a*b*c'])
  t.equal(other('course-2'), 'course-*')
  t.equal(other('x'), '*')
  t.equal(createKeyFinder(['a*b*c'])('aXbYc'), 'a*b*c')
  t.equal(createKeyFinder(['a*b*c'])('abc'), undefined, 'a star is one character at least')
  t.equal(createKeyFinder(['c.s'])('cxs'), undefined)
})

await t.test('no pattern stands for another spelling of what has a line of its own', async (t) => {
  const keyOf = createKeyFinder(['staff', 'straße', 'Café'.normalize('NFC'), 'lab-*', '*'])
  t.equal(keyOf('staff'), 'staff')
  t.equal(keyOf('straße'), 'straße')
  for (const name of ['Staff', 'STAFF', 'ﬅaff', 'ｓtaff', 'Lab-1', 'LAB-1', 'café']) {
    t.equal(keyOf(name), undefined, name)
  }
  t.equal(keyOf('Café'.normalize('NFD')), undefined)
  t.equal(keyOf('lab-1'), 'lab-*')
  t.equal(keyOf('Other'), '*')
})

await t.test('what is no plain name of a folder is no environment', async (t) => {
  const keyOf = createKeyFinder(['*'])
  const names = [
    '',
    '.',
    '..',
    '.git',
    'a.',
    '-a',
    'a b',
    'a;b',
    'a%',
    'a\\b',
    '*',
    'a*',
    'x\u0000',
  ]
  for (const name of [...names, 'auth', 'login', 'logout', 'a'.repeat(65), 'a\u202eb', 'a:b']) {
    t.equal(keyOf(name), undefined, JSON.stringify(name))
  }
  t.equal(keyOf('a'.repeat(64)), '*')
  t.equal(keyOf('Физика'), '*')
})
