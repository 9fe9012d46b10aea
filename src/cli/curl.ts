/** Reads a `curl` line as a browser's developer tools copy it, strictly: what is not understood is said. */
import { WrongUse } from './command.js'

/** What such a line asks for. */
export interface CurlRequest {
  readonly url: string
  readonly method: string
  readonly headers: readonly (readonly [name: string, value: string])[]
}

/** Escapes of `$'…'` that stand for one character. */
const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  '\\': '\\',
  "'": "'",
  '"': '"',
}

/** Splits a line as a POSIX shell does, `$'…'` of bash included; nothing is expanded. @throws WrongUse */
export function splitWords(line: string): readonly string[] {
  const words: string[] = []
  const pattern =
    /\s+|\\\r?\n|'(?<single>[^']*)'|\$'(?<ansi>(?:[^'\\]|\\[\s\S])*)'|"(?<double>(?:[^"\\]|\\[\s\S])*)"|\\(?<escaped>[\s\S])|(?<plain>[^\s'"\\$`;&|<>()]+)|(?<dollar>\$(?!['({A-Za-z_]))/gy
  let word: string | undefined
  let at = 0
  while (at < line.length) {
    pattern.lastIndex = at
    const match = pattern.exec(line)
    if (match === null) {
      throw new WrongUse(
        `found ${JSON.stringify(line.slice(at, at + 20))} in the curl line; wanted words and quotes alone`,
      )
    }
    at = pattern.lastIndex
    const { single, ansi, double, escaped, plain, dollar } = match.groups ?? {}
    const part =
      single ??
      (ansi && unescape(ansi)) ??
      ansi ??
      (double && unquote(double)) ??
      double ??
      escaped ??
      plain ??
      dollar
    if (part !== undefined) word = (word ?? '') + part
    else if (!match[0].startsWith('\\') && word !== undefined) {
      words.push(word)
      word = undefined
    }
  }
  return word === undefined ? words : [...words, word]
}

/** Between double quotes a backslash counts before few characters only. */
const unquote = (text: string): string => {
  if (/(?:^|[^\\])(?:\\\\)*[$`]/.test(text)) {
    throw new WrongUse(
      'found $ or ` between double quotes in the curl line; wanted single quotes there',
    )
  }
  return text.replaceAll(/\\([$`"\\\n])/g, (_, one: string) => (one === '\n' ? '' : one))
}

function unescape(text: string): string {
  return text.replaceAll(/\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[\s\S])/g, (_, one: string) => {
    if (one.length > 1) return String.fromCharCode(parseInt(one.slice(1), 16))
    const plain = escapes[one]
    if (plain === undefined)
      throw new WrongUse(`found \\${one} in the curl line; wanted an escape of bash`)
    return plain
  })
}

interface Draft {
  url: string | undefined
  method: string | undefined
  readonly headers: [string, string][]
  body: string | undefined
}

const addHeader = (draft: Draft, text: string): void => {
  const colon = text.indexOf(':')
  // `Name;` is curl's way to send a header without a value; `Name:` takes one of its own away.
  if (colon < 0 && text.endsWith(';')) draft.headers.push([text.slice(0, -1), ''])
  else if (colon > 0 && text.slice(colon + 1).trim() !== '') {
    draft.headers.push([text.slice(0, colon).trim(), text.slice(colon + 1).trim()])
  } else throw new WrongUse(`found the header ${JSON.stringify(text)}; wanted "Name: value"`)
}

const addBody = (draft: Draft, text: string, mayRead: boolean): void => {
  if (mayRead && text.startsWith('@')) {
    throw new WrongUse('found a body from a file (@…); wanted the body in the line, or none')
  }
  draft.body = draft.body === undefined ? text : `${draft.body}&${text}`
}

type Take = (draft: Draft, value: string) => void

const basic = (value: string): string => `Basic ${Buffer.from(value).toString('base64')}`

/** Options that take a value. */
const valued: Readonly<Record<string, Take>> = {
  '--url': (draft, value) => (draft.url = value),
  '--request': (draft, value) => (draft.method = value),
  '--header': addHeader,
  '--cookie': (draft, value) => {
    if (!value.includes('=')) throw new WrongUse('found a cookie file; wanted "name=value"')
    draft.headers.push(['Cookie', value])
  },
  '--user-agent': (draft, value) => draft.headers.push(['User-Agent', value]),
  '--referer': (draft, value) => draft.headers.push(['Referer', value]),
  '--user': (draft, value) => draft.headers.push(['Authorization', basic(value)]),
  '--oauth2-bearer': (draft, value) => draft.headers.push(['Authorization', `Bearer ${value}`]),
  '--data': (draft, value) => addBody(draft, value, true),
  '--data-ascii': (draft, value) => addBody(draft, value, true),
  '--data-binary': (draft, value) => addBody(draft, value, true),
  '--data-raw': (draft, value) => addBody(draft, value, false),
  '--json': (draft, value) => {
    addBody(draft, value, true)
    draft.headers.push(['Content-Type', 'application/json'], ['Accept', 'application/json'])
  },
  '--output': () => undefined,
  '--max-time': () => undefined,
  '--write-out': () => undefined,
}

/** Options without one. */
const flags: Readonly<Record<string, (draft: Draft) => void>> = {
  '--head': (draft) => (draft.method ??= 'HEAD'),
  '--compressed': (draft) => draft.headers.push(['Accept-Encoding', 'deflate, gzip, br, zstd']),
  ...Object.fromEntries(
    [
      ...[
        '--silent',
        '--show-error',
        '--insecure',
        '--include',
        '--verbose',
        '--location',
        '--fail',
      ],
      ...['--globoff', '--http1.1', '--no-progress-meter', '--remote-name'],
    ].map((name) => [name, () => undefined]),
  ),
}

/** Short options by their long names. */
const short: Readonly<Record<string, string>> = {
  ...{
    X: '--request',
    H: '--header',
    b: '--cookie',
    A: '--user-agent',
    e: '--referer',
    u: '--user',
  },
  ...{ d: '--data', o: '--output', m: '--max-time', w: '--write-out', I: '--head', s: '--silent' },
  ...{ S: '--show-error', k: '--insecure', i: '--include', v: '--verbose', L: '--location' },
  ...{ f: '--fail', g: '--globoff', O: '--remote-name' },
}

/** Words with every short option written out: `-sX POST` is `--silent --request POST`. */
function* spellOut(words: readonly string[]): Generator<string> {
  for (const word of words) {
    if (!/^-[A-Za-z]/.test(word)) {
      yield word
      continue
    }
    for (let i = 1; i < word.length; i++) {
      const name = short[word.charAt(i)]
      if (name === undefined) {
        throw new WrongUse(
          `found the curl option -${word.charAt(i)}; wanted one that says what is sent`,
        )
      }
      yield name
      if (Object.hasOwn(valued, name)) {
        if (i + 1 < word.length) yield word.slice(i + 1)
        break
      }
    }
  }
}

/** Reads the line. @throws WrongUse — something in it is not understood */
export function readCurl(line: string): CurlRequest {
  const [program, ...words] = splitWords(line.trim())
  if (program !== 'curl') throw new WrongUse('wanted a line that begins with curl')
  const draft: Draft = { url: undefined, method: undefined, headers: [], body: undefined }
  const rest = [...spellOut(words)]
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const take = Object.hasOwn(valued, word) ? valued[word] : undefined
    const flag = Object.hasOwn(flags, word) ? flags[word] : undefined
    if (take !== undefined) {
      const value = rest.shift()
      if (value === undefined) throw new WrongUse(`found ${word} without a value in the curl line`)
      take(draft, value)
    } else if (flag !== undefined) flag(draft)
    else if (word.startsWith('-')) {
      throw new WrongUse(`found the curl option ${word}; wanted one that says what is sent`)
    } else if (draft.url === undefined) draft.url = word
    else throw new WrongUse(`found a second address, ${word}; wanted one`)
  }
  return finish(draft)
}

function finish({ url, method, headers, body }: Draft): CurlRequest {
  if (url === undefined) throw new WrongUse('found no address in the curl line; wanted one')
  const has = (name: string) => headers.some(([one]) => one.toLowerCase() === name)
  const add = (name: string, value: string): void => {
    if (!has(name.toLowerCase())) headers.push([name, value])
  }
  add('Accept', '*/*')
  if (body !== undefined) {
    add('Content-Type', 'application/x-www-form-urlencoded')
    add('Content-Length', String(Buffer.byteLength(body)))
  }
  return { url, method: method ?? (body === undefined ? 'GET' : 'POST'), headers }
}
