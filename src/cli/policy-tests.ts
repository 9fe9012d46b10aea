/** What a file of policy tests says: who asks for what, and what should come of it. */
import { choice, flag, keyOf, leaf, list, optional, record, shape, text } from '../config/key.js'
import type { Resolved } from '../config/key.js'
import { action, group, scope } from '../config/kinds/names.js'
import { readFileBy } from '../config/read-file.js'
import type { Place } from '../config/problems.js'

const person = shape('Somebody, by the name that Trac knows.', {
  user: text('The name in Trac.', { wanted: 'a user name' }),
  groups: list(group, { description: 'The groups.', default: [] }),
  permissions: list(text('A permission.'), {
    description: 'What the permissions claim names.',
    default: [],
  }),
  scopes: list(scope, { description: 'The scopes of the token.', default: [] }),
  via: choice('How the user comes.', ['session', 'bearer'], 'session'),
})

type Person = Resolved<typeof person>

const who = leaf<'anonymous' | Person>({
  anyOf: [{ type: 'string', enum: ['anonymous'] }, keyOf(person)],
  wanted: 'anonymous, or keys and values: user, groups, permissions, scopes, via',
  description: 'Who asks.',
})

const outcomes = '^(?:allow|sign-in|[1-5][0-9]{2}|ERR_[A-Z_]+)$'

const outcome = leaf<string | number>({
  anyOf: [
    { type: 'string', pattern: outcomes, wanted: 'allow, sign-in, a status or an ERR_… code' },
    { type: 'number', minimum: 100, exclusiveMaximum: 600 },
  ],
  wanted: 'allow, sign-in, a status such as 403, or an ERR_… code',
  description: 'What becomes of it.',
})

const header = leaf<string | false>({
  anyOf: [{ type: 'string' }, { type: 'boolean', enum: [false] }],
  wanted: 'a value, or false for no such header',
  description: 'A header.',
})

const expectation = shape('One expectation.', {
  name: text('What it says, for people.', { wanted: 'a sentence' }),
  who,
  what: text('Method and target, base path left out.', {
    pattern: '^[A-Z][A-Z-]* /[\\x21-\\x7e]*$',
    wanted: 'a method and a path, such as GET /ticket/7',
  }),
  headers: record('header', text('Its value.'), {
    description: 'Headers of the request.',
    default: {},
  }),
  browser: flag('Whether a browser asks, as it follows a link.', false),
  outcome,
  route: optional(text('The name of the route.'), 'not looked at'),
  permissions: shape('What whoever asks may do.', {
    has: list(action, { description: 'Permissions that are there.', default: [] }),
    lacks: list(action, { description: 'Permissions that are not there.', default: [] }),
  }),
  sends: record('header', header, {
    description: 'Headers that go to the upstream, or to whoever asked. Secrets are `[set]`.',
    default: {},
  }),
})

const file = shape('Tests of a policy.', {
  tests: list(expectation, { description: 'The expectations.', minItems: 1 }),
})

/** One expectation. */
export type PolicyTest = Resolved<typeof expectation>

/** One with its place in the file. */
export interface PlacedTest extends Place {
  readonly test: PolicyTest
}

/** Reads a file. @throws ConfigProblems — with every mistake, and where it stands */
export function readPolicyTests(name: string, content: string): readonly PlacedTest[] {
  const { value, placeOf } = readFileBy(file, name, content)
  const { tests } = value as Resolved<typeof file>
  return tests.map((test, i) => ({ test, ...placeOf(['tests', i]) }))
}
