/** What somebody wants explained: as JSON at the admin listener, or made of the options of a command. */
import { validateHeaderName, validateHeaderValue } from 'node:http'
import { suggest } from '../../config/problems.js'
import type { Via } from '../../core/identity.js'

/** A request in a few words. Only the target is needed. */
export interface Wish {
  readonly method?: string
  /** As it stands in the request line, base path included. */
  readonly target: string
  /** Names and values, as they come. */
  readonly headers?: readonly (readonly [name: string, value: string])[]
  /** A person or machine by the name that Trac knows, who brings these. */
  readonly user?: string
  readonly groups?: readonly string[]
  /** What the permissions claim names. */
  readonly permissions?: readonly string[]
  readonly scopes?: readonly string[]
  readonly via?: Exclude<Via, 'webhook'>
  /** A Bearer token. */
  readonly token?: string
  /** The value of a `Cookie` header. */
  readonly cookie?: string
  /** Whether neither of these comes. */
  readonly anonymous?: boolean
  /** The address at the other end of the connection, or `unix`. */
  readonly peer?: string
  /** Whether keys and userinfo may be fetched. */
  readonly online?: boolean
}

/** The question can't be understood; the message says what was found and what is wanted. */
export class WishFault extends Error {
  constructor(found: string, wanted: string) {
    super(`found ${found}; wanted ${wanted}`)
    this.name = 'WishFault'
  }
}

type Check = (value: unknown) => boolean

const isText: Check = (value) => typeof value === 'string' && value !== ''
const isTexts: Check = (value) => Array.isArray(value) && value.every(isText)
const isFlag: Check = (value) => typeof value === 'boolean'
const isHeaders: Check = (value) => typeof value === 'object' && value !== null

/** Each key with what it may be. */
const forms: Readonly<Record<keyof Wish, readonly [check: Check, wanted: string]>> = {
  method: [isText, 'a method, such as "GET"'],
  target: [isText, 'a target, such as "/trac/ticket/7"'],
  headers: [isHeaders, '{"Name": "value"}, or a list of ["Name", "value"]'],
  user: [isText, 'a user name'],
  groups: [isTexts, 'a list of groups'],
  permissions: [isTexts, 'a list of permissions'],
  scopes: [isTexts, 'a list of scopes'],
  via: [(value) => value === 'session' || value === 'bearer', '"session" or "bearer"'],
  token: [isText, 'a token'],
  cookie: [isText, 'the value of a Cookie header'],
  anonymous: [isFlag, 'true or false'],
  peer: [isText, 'an address, or "unix"'],
  online: [isFlag, 'true or false'],
}

const isKey = (key: string): key is keyof Wish => Object.hasOwn(forms, key)

/** Headers in either form, as a list. */
function toHeaders(value: unknown): readonly (readonly [string, string])[] {
  const pairs: readonly (readonly [unknown, unknown])[] = Array.isArray(value)
    ? value.map((pair: unknown) =>
        Array.isArray(pair) ? [pair[0], pair[1]] : [undefined, undefined],
      )
    : Object.entries(value as object).flatMap(([name, one]: [string, unknown]) =>
        (Array.isArray(one) ? one : [one]).map((text: unknown) => [name, text] as const),
      )
  return pairs.map(([name, text]) => {
    if (typeof name === 'string' && typeof text === 'string') return [name, text]
    throw new WishFault('a header that is not text', 'a name and a value')
  })
}

/** Reads the JSON of a question. @throws WishFault — a key is not known, or not what it may be */
export function readWish(value: unknown): Wish {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new WishFault('no JSON object', '{"target": "/…", …}')
  }
  for (const [key, given] of Object.entries(value)) {
    if (!isKey(key)) {
      const known = Object.keys(forms)
      const near = suggest(key, known)
      const wanted =
        near === undefined ? `one of ${known.join(', ')}` : `${near} (did you mean that?)`
      throw new WishFault(`the key ${JSON.stringify(key)}`, wanted)
    }
    const [check, wanted] = forms[key]
    if (!check(given)) throw new WishFault(`another value for ${key}`, wanted)
  }
  const { headers, ...rest } = value as Omit<Wish, 'headers'> & { readonly headers?: unknown }
  return judgeWish({ ...rest, ...(headers === undefined ? {} : { headers: toHeaders(headers) }) })
}

/** Ways to say who it is. */
const credentials = ['user', 'token', 'cookie'] as const

/** What only makes sense beside a user. */
const ofUser = ['groups', 'permissions', 'scopes', 'via'] as const

/** The same question, once it is known to make sense. @throws WishFault */
export function judgeWish(wish: Wish): Wish {
  if (typeof wish.target !== 'string') throw new WishFault('no target', forms.target[1])
  const given = credentials.filter((key) => wish[key] !== undefined)
  if (wish.anonymous === true && given.length > 0) {
    throw new WishFault(`anonymous and ${given.join(', ')}`, 'one of them')
  }
  if (given.length > 1) throw new WishFault(given.join(' and '), 'one of them')
  const stray = ofUser.find((key) => wish[key] !== undefined && wish.user === undefined)
  if (stray !== undefined) throw new WishFault(`${stray} without a user`, 'user, too')
  for (const [name, value] of wish.headers ?? []) {
    try {
      validateHeaderName(name)
      validateHeaderValue(name, value)
    } catch {
      throw new WishFault(
        `the header ${JSON.stringify(name)}`,
        'a name and a value that HTTP knows',
      )
    }
  }
  return wish
}
