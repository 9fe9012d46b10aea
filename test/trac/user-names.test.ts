/** What somebody is called in Trac, and which names are nobody's. */
import { t } from '../fixtures/tap.js'
import type { GatewayError } from '../../src/core/errors.js'
import type { Profile } from '../../src/core/identity.js'
import { createNaming, foldName, forbidNames, judgeName } from '../../src/trac/user-names.js'
import type { NameRules, NameSource } from '../../src/trac/user-names.js'

const main: NameSource = {
  issuer: 'https://idp.example',
  main: true,
  prefix: '',
  bySubject: false,
}
const partner: NameSource = {
  issuer: 'https://partner.example',
  main: false,
  prefix: 'partner-',
  bySubject: false,
}

const rules: NameRules = {
  aliases: {},
  issuers: [main.issuer, partner.issuer],
  emailLocalPart: false,
  case: 'keep',
  machineNames: ['ci-bot'],
  forbidden: forbidNames(['admins', 'Teachers'], ['LEARNING_PARTICIPATE']),
  email: 'verified',
  prefixes: ['partner-'],
}

function person(more: Partial<Profile> = {}): Profile {
  return {
    subject: '8c1f3a52-5b1e-4d0a-9f43-2f6f0d3b7a11',
    username: 'alice',
    email: 'alice@example.edu',
    emailVerified: true,
    name: 'Alice Admin',
    groups: [],
    permissions: [],
    ...more,
  }
}

/** The name, or the code of the refusal. */
function nameOf(profile: Profile, more: Partial<NameRules> = {}, source = main): string {
  try {
    return createNaming({ ...rules, ...more }).nameOf(profile, source)
  } catch (error) {
    return (error as GatewayError).code
  }
}

await t.test('a usual name stays as it is', (t) => {
  for (const username of [
    'alice',
    'Alice',
    'josé',
    '8c1f3a52-5b1e-4d0a-9f43-2f6f0d3b7a11',
    'o’neil',
    'a b',
    'x'.repeat(255),
    '𠀀'.repeat(255),
    '日本',
    'Σίσυφος',
    'admins2',
    'a;b',
    '%41',
    'alice@example.edu',
  ]) {
    t.equal(nameOf(person({ username })), username)
  }
  t.end()
})

await t.test('names that could be read as somebody or something else are refused', (t) => {
  const refused: readonly (readonly [string, string | undefined])[] = [
    ['none', undefined],
    ['empty', ''],
    ['too long', 'x'.repeat(256)],
    ['too long beyond the first plane', '𠀀'.repeat(256)],
    ['everybody', 'anonymous'],
    ['everybody, in another case', 'Anonymous'],
    ['everybody signed in', 'AUTHENTICATED'],
    ['a permission', 'TRAC_ADMIN'],
    ['a permission, in another case', 'wiki_view'],
    ['a permission of a plugin', 'Learning_Participate'],
    ['a group', 'admins'],
    ['a group, in another case', 'ADMINS'],
    ['a group with a capital', 'teachers'],
    ['a group with a dotless i', 'adm\u0131ns'],
    ['full-width letters', 'ａｌｉｃｅ'],
    ['a ligature', 'ﬁona'],
    ['a long s', 'ſam'],
    ['the Kelvin sign', '\u212Aim'],
    ['a combining accent that has a letter of its own', 'jose\u0301'],
    ['a zero-width space', 'ali\u200Bce'],
    ['a zero-width joiner', 'ali\u200Dce'],
    ['a byte-order mark', '\uFEFFalice'],
    ['a soft hyphen', 'ali\u00ADce'],
    ['right-to-left override', '\u202Eecila'],
    ['NUL', 'ali\u0000ce'],
    ['a line end', 'alice\n'],
    ['CR', 'alice\rX'],
    ['a tab', 'ali\tce'],
    ['escape', '\u001b[31malice'],
    ['a C1 control', 'ali\u0085ce'],
    ['a line separator', 'ali\u2028ce'],
    ['half a surrogate pair', 'ali\uD800ce'],
    ['a comma', 'alice,TRAC_ADMIN'],
    ['white space in front', ' alice'],
    ['white space behind', 'alice '],
    ['no-break space behind', 'alice\u00A0'],
  ]
  for (const [what, username] of refused) {
    const expected = username === undefined ? 'ERR_NAME_UNKNOWN' : 'ERR_NAME_REFUSED'
    t.equal(nameOf(person({ username })), expected, what)
  }
  t.end()
})

await t.test('a name that looks like an address is the verified address itself', (t) => {
  const username = 'alice@example.edu'
  t.equal(nameOf(person({ username })), username)
  t.equal(nameOf(person({ username: 'Alice@Example.edu' })), 'Alice@Example.edu', 'but for case')
  t.equal(nameOf(person({ username, emailVerified: false })), 'ERR_NAME_REFUSED')
  for (const email of [
    'sam@evil.example',
    undefined,
    'alice@example.edu ',
    'alice@exampl\u212A.edu',
  ]) {
    t.equal(nameOf(person({ username, email })), 'ERR_NAME_REFUSED', String(email))
  }
  t.equal(nameOf(person({ username: 'kim@x', email: '\u212Aim@x' })), 'ERR_NAME_REFUSED')
  const byAlias = { aliases: { [person().subject]: 'someone@else' } }
  t.equal(nameOf(person(), byAlias), 'someone@else', 'an alias is the operator’s word')
  t.equal(nameOf(person({ username }), {}, partner), `partner-${username}`)
  t.equal(nameOf(person({ username, email: 'x@y' }), {}, partner), 'ERR_NAME_REFUSED')
  t.equal(nameOf(person({ username: 'x@y', emailVerified: false })), 'ERR_NAME_REFUSED')
  t.end()
})

await t.test('aliases name by sub of the main issuer, or by issuer and sub', (t) => {
  const aliases = {
    [person().subject]: 'Alice',
    'https://partner.example#p1': 'bob',
    p2: 'carol',
  }
  t.equal(nameOf(person({ username: undefined }), { aliases }), 'Alice')
  t.equal(nameOf(person({ emailVerified: false, username: 'x@y' }), { aliases }), 'Alice')
  t.equal(nameOf(person({ subject: 'p1' }), { aliases }, partner), 'bob', 'without the prefix')
  t.equal(nameOf(person({ subject: 'p2' }), { aliases }, partner), 'partner-alice')
  t.equal(nameOf(person({ subject: 'p2' }), { aliases }), 'carol')
  t.equal(nameOf(person(), { aliases, emailLocalPart: 'other.edu' }), 'Alice', 'before all else')
  t.end()
})

await t.test('the aliases of one issuer are out of reach for every other', (t) => {
  const aliases = {
    'https://partner.example#p1': 'bob',
    'https://idp.example#https://partner.example#p9': 'dora',
    'a#b': 'carol',
  }
  const named = (subject: string, source = main) => nameOf(person({ subject }), { aliases }, source)
  t.equal(named('https://partner.example#p1'), 'alice', 'a sub that spells another’s alias')
  t.equal(named('p1', partner), 'bob')
  t.equal(named('https://partner.example#p9'), 'dora', 'named by its own issuer')
  t.equal(named('a#b'), 'carol', 'a sub with a # in it')
  t.equal(named('a#b', partner), 'partner-alice')
  t.equal(named('b'), 'alice')
  t.end()
})

await t.test('targets of aliases and names of machines are reserved', (t) => {
  const aliases = { [person().subject]: 'Alice' }
  const other = (username: string) => person({ subject: 'other', username })
  for (const username of ['Alice', 'alice', 'ALICE', 'ci-bot', 'CI-Bot']) {
    t.equal(nameOf(other(username), { aliases }), 'ERR_NAME_RESERVED', username)
  }
  const byMail = { aliases, emailLocalPart: 'example.edu' }
  t.equal(nameOf(person({ subject: 'other' }), byMail), 'ERR_NAME_RESERVED', 'by local part too')
  t.equal(nameOf(other('alice'), { aliases, case: 'lower' }), 'ERR_NAME_RESERVED')
  t.equal(
    nameOf(person({ subject: 'x', username: 'bot' }), { machineNames: ['partner-bot'] }, partner),
    'ERR_NAME_RESERVED',
  )
  t.equal(nameOf(other('bob'), { aliases }), 'bob')
  t.end()
})

await t.test('a verified address in exactly that domain gives its local part', (t) => {
  const domain = { emailLocalPart: 'example.edu' }
  const cases: readonly (readonly [Partial<Profile>, string])[] = [
    [{}, 'alice'],
    [{ email: 'Alice@EXAMPLE.edu' }, 'Alice'],
    [{ email: 'a.b+c@example.edu' }, 'a.b+c'],
    [{ username: undefined }, 'alice'],
    [{ emailVerified: false }, 'ERR_NAME_REFUSED'],
    [{ email: undefined }, 'ERR_NAME_REFUSED'],
    [{ email: '' }, 'ERR_NAME_REFUSED'],
    [{ email: 'alice' }, 'ERR_NAME_REFUSED'],
    [{ email: '@example.edu' }, 'ERR_NAME_REFUSED'],
    [{ email: 'alice@example.com' }, 'ERR_NAME_REFUSED'],
    [{ email: 'alice@evil-example.edu' }, 'ERR_NAME_REFUSED'],
    [{ email: 'alice@sub.example.edu' }, 'ERR_NAME_REFUSED'],
    [{ email: 'alice@example.edu.evil.com' }, 'ERR_NAME_REFUSED'],
    [{ email: 'a@evil.com@example.edu' }, 'ERR_NAME_REFUSED'],
    [{ email: 'alice@evil.com,alice@example.edu' }, 'ERR_NAME_REFUSED'],
    [{ email: '"a@evil.com"@example.edu' }, 'ERR_NAME_REFUSED'],
    [{ email: 'alice@example.edu ' }, 'ERR_NAME_REFUSED'],
    [{ email: 'alice@example.edu\n' }, 'ERR_NAME_REFUSED'],
    [{ email: 'alice@example.edu\u0000' }, 'ERR_NAME_REFUSED'],
    [{ email: 'admins@example.edu' }, 'ERR_NAME_REFUSED'],
    [{ email: 'Trac_Admin@example.edu' }, 'ERR_NAME_REFUSED'],
    [{ email: 'ci-bot@example.edu' }, 'ERR_NAME_RESERVED'],
  ]
  for (const [more, expected] of cases) {
    t.equal(nameOf(person(more), domain), expected, JSON.stringify(more))
  }
  t.equal(nameOf(person(), domain, partner), 'partner-alice', 'of the main issuer only')
  t.end()
})

await t.test('lower case takes ASCII names only', (t) => {
  const lower = { case: 'lower' } as const
  t.equal(nameOf(person({ username: 'Alice.B' }), lower), 'alice.b')
  for (const username of ['José', 'İlker', 'a b', 'ΑΒ']) {
    t.equal(nameOf(person({ username }), lower), 'ERR_NAME_REFUSED', username)
  }
  t.equal(nameOf(person({ username: 'ADMINS' }), lower), 'ERR_NAME_REFUSED')
  t.end()
})

await t.test('people of another issuer carry its prefix, and nobody else may', (t) => {
  t.equal(nameOf(person(), {}, partner), 'partner-alice')
  t.equal(nameOf(person({ username: 'anonymous' }), {}, partner), 'partner-anonymous')
  for (const username of ['partner-alice', 'Partner-Alice', 'partner-']) {
    t.equal(nameOf(person({ username })), 'ERR_NAME_RESERVED', username)
  }
  const unverified = person({ username: 'x@y', emailVerified: false })
  t.equal(nameOf(unverified, {}, partner), 'ERR_NAME_REFUSED')
  t.equal(nameOf(person({ username: 'a,b' }), {}, partner), 'ERR_NAME_REFUSED')
  t.end()
})

await t.test('an address is told to Trac only if it is one, and verified', (t) => {
  const naming = createNaming(rules)
  const any = createNaming({ ...rules, email: 'any' })
  const cases: readonly (readonly [Partial<Profile>, string | undefined, string | undefined])[] = [
    [{}, 'alice@example.edu', 'alice@example.edu'],
    [{ emailVerified: false }, undefined, 'alice@example.edu'],
    [{ email: undefined }, undefined, undefined],
    [{ email: 'a@b@c' }, undefined, undefined],
    [{ email: 'a@b, c@d' }, undefined, undefined],
    [{ email: 'a b@c' }, undefined, undefined],
    [{ email: 'a@b\r\nBcc: c@d' }, undefined, undefined],
    [{ email: 'Alice <a@b>' }, undefined, undefined],
    [{ email: `${'x'.repeat(250)}@b.c` }, `${'x'.repeat(250)}@b.c`, `${'x'.repeat(250)}@b.c`],
    [{ email: `${'x'.repeat(251)}@b.c` }, undefined, undefined],
  ]
  for (const [more, verified, whatever] of cases) {
    t.equal(naming.emailOf(person(more)), verified, JSON.stringify(more).slice(0, 60))
    t.equal(any.emailOf(person(more)), whatever)
  }
  t.end()
})

await t.test('a full name is told composed, and not at all if it is odd', (t) => {
  const { fullNameOf } = createNaming(rules)
  const cases: readonly (readonly [string | undefined, string | undefined])[] = [
    ['Alice Admin', 'Alice Admin'],
    ['Jose\u0301', 'José'],
    [undefined, undefined],
    ['a\nb', undefined],
    ['a\u202Eb', undefined],
    ['x'.repeat(255), 'x'.repeat(255)],
    ['x'.repeat(256), undefined],
  ]
  for (const [name, expected] of cases) t.equal(fullNameOf(person({ name })), expected)
  t.end()
})

await t.test('the judge says why a name cannot be used', (t) => {
  const forbidden = forbidNames(['staff'], ['LEARNING_PARTICIPATE'])
  const refused: readonly (readonly [name: string, why: RegExp])[] = [
    ['', /empty/],
    ['x'.repeat(256), /more than 255/],
    ['Anonymous', /means other people/],
    ['AUTHENTICATED', /means other people/],
    ['trac_admin', /permission of Trac/],
    ['learning_participate', /permission that the configuration names/],
    ['Staff', /group/],
    ['a,b', /comma/],
    ['a ', /white space/],
    ['a\nb', /control or format/],
    ['a\u200Db', /control or format/],
    ['a\u2028b', /control or format/],
    ['\uD800', /control or format/],
    ['ﬁ', /NFKC/],
    ['a\u0301', /NFKC/],
  ]
  for (const [name, why] of refused) {
    const judged = judgeName(name, 'keep', forbidden)
    // Named by its length: some of these names would break the report itself.
    t.match('fault' in judged && judged.fault, why, `${why}, ${name.length}`)
  }
  t.same(judgeName('Zoë', 'keep', forbidden), { name: 'Zoë' })
  t.same(judgeName('Alice', 'lower', forbidden), { name: 'alice' })
  t.match(judgeName('zoë', 'lower', forbidden), { fault: /ASCII/ })
  t.end()
})

await t.test('two spellings of one name are one', (t) => {
  t.equal(foldName('ALICE'), foldName('alice'))
  t.equal(foldName('straße'), foldName('STRASSE'))
  t.equal(foldName('straße'), foldName('STRAẞE'))
  t.end()
})
