/** People of a user pool, as `aws cognito-idp list-users` prints them or as CSV, by the claims that their tokens would have. */
import { readCsv } from '../import/csv.js'
import { isText } from '../../core/json-values.js'

/** The claims of somebody, and what they are called where they came from. */
export interface PoolPerson {
  readonly label: string
  readonly claims: Readonly<Record<string, string>>
  /** Whether the provider lets them sign in. */
  readonly enabled: boolean
}

/** A text that is neither; the text says what it should be. */
export class PeopleFault extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'PeopleFault'
  }
}

const wanted =
  'wanted what "aws cognito-idp list-users --user-pool-id POOL" prints, or CSV whose first line names claims: sub, cognito:username, email, email_verified, name'

function personOf(user: unknown, at: number): PoolPerson {
  const { Username, Attributes, Enabled } = (user ?? {}) as Readonly<Record<string, unknown>>
  if (!isText(Username) || !Array.isArray(Attributes)) {
    throw new PeopleFault(
      `found a user without Username or Attributes (number ${at + 1}); ${wanted}`,
    )
  }
  const claims: Record<string, string> = { 'cognito:username': Username }
  for (const attribute of Attributes as readonly unknown[]) {
    const { Name, Value } = (attribute ?? {}) as Readonly<Record<string, unknown>>
    if (isText(Name) && isText(Value)) claims[Name] = Value
  }
  return { label: Username, claims, enabled: Enabled !== false }
}

function ofJson(text: string): readonly PoolPerson[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new PeopleFault(`found text that is no JSON; ${wanted}`)
  }
  const users = Array.isArray(value) ? value : (value as { readonly Users?: unknown }).Users
  if (!Array.isArray(users)) throw new PeopleFault(`found no list of Users; ${wanted}`)
  return users.map(personOf)
}

function ofCsv(text: string): readonly PoolPerson[] {
  const [names = [], ...rows] = readCsv(text)
  if (!names.includes('sub')) throw new PeopleFault(`found no column sub; ${wanted}`)
  return rows.flatMap((row, at) => {
    if (row.every((field) => field === '')) return []
    const filled = names.flatMap((name, i) => {
      const field = row[i] ?? ''
      return field === '' ? [] : [[name, field] as const]
    })
    const claims = Object.fromEntries(filled)
    return [{ label: claims['sub'] ?? `row ${at + 2}`, claims, enabled: true }]
  })
}

/** Reads either. @throws PeopleFault, CsvFault */
export function readPeople(text: string): readonly PoolPerson[] {
  const body = text.replace(/^\uFEFF/, '').trimStart()
  if (body === '') throw new PeopleFault(`found nothing; ${wanted}`)
  return body.startsWith('{') || body.startsWith('[') ? ofJson(body) : ofCsv(body)
}
