/** What `init` must be told: by options, else by questions on a terminal. */
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { listenAddress } from '../../config/kinds/listen-address.js'
import { issuerKind } from '../../config/kinds/issuer.js'
import { publicUrl } from '../../core/public-url.js'
import type { PublicUrl } from '../../core/public-url.js'
import type { TextKind } from '../../core/text-kind.js'
import { upstreamAddress } from '../../core/upstream-address.js'
import type { UpstreamAddress } from '../../core/upstream-address.js'
import { WrongUse } from '../command.js'
import type { Call } from '../command.js'

/** The provider as it was named. */
export type ProviderAnswer =
  | { readonly kind: 'oidc'; readonly issuer: string }
  | {
      readonly kind: 'cognito'
      readonly region: string
      readonly userPoolId: string
      readonly issuer: string
    }

/** All that is known before anything was asked. */
export interface Answers {
  readonly publicUrl: PublicUrl
  readonly provider: ProviderAnswer
  readonly clientId: string
  /** Undefined: a public client. */
  readonly clientSecret: string | undefined
  readonly trac: UpstreamAddress
  /** The folder of the environment; undefined: it is on another machine. */
  readonly tracEnv: string | undefined
  /** Only by options. */
  readonly listen: string | undefined
  readonly adminListen: string | undefined
}

/** One question: the option that answers it, and how an answer is read. */
interface Question<T> {
  readonly option: string
  readonly text: string
  readonly usual?: string
  readonly secret?: true
  /** @throws WrongUse */
  readonly read: (answer: string) => T
}

const poolId = /^([a-z]{2,}(?:-[a-z]+)+-[0-9]+)_[A-Za-z0-9]+$/

function parse<T>(kind: TextKind<T>, text: string): T {
  const value = kind.parse(text)
  if (value !== undefined) return value
  throw new WrongUse(`found ${JSON.stringify(text)}; wanted ${kind.hint(text) ?? kind.wanted}`)
}

function readProvider(text: string): ProviderAnswer {
  const region = poolId.exec(text)?.[1]
  if (region === undefined) return { kind: 'oidc', issuer: parse(issuerKind, text) }
  const issuer = `https://cognito-idp.${region}.amazonaws.com/${text}`
  return { kind: 'cognito', region, userPoolId: text, issuer }
}

function readClientId(text: string): string {
  if (/^\S+$/.test(text)) return text
  throw new WrongUse(`found the client id ${JSON.stringify(text)}; wanted text without blanks`)
}

const questions = {
  publicUrl: {
    option: 'public-url',
    text: 'What will browsers see? The whole address, such as https://trac.example.edu/trac',
    read: (text) => parse(publicUrl, text),
  } satisfies Question<PublicUrl>,
  provider: {
    option: 'issuer',
    text: 'Who signs people in? The issuer, or the id of a Cognito user pool, such as us-east-2_Example',
    read: readProvider,
  } satisfies Question<ProviderAnswer>,
  clientId: {
    option: 'client-id',
    text: 'Which client is the gateway there? Its id',
    read: readClientId,
  } satisfies Question<string>,
  clientSecret: {
    option: 'client-secret',
    text: 'The secret of that client; empty if it has none',
    usual: '',
    secret: true,
    read: (text) => (text === '' || text === 'none' ? undefined : text),
  } satisfies Question<string | undefined>,
  trac: {
    option: 'trac',
    text: 'Where does Trac listen? Without a path',
    usual: 'http://127.0.0.1:8001',
    read: (text) => parse(upstreamAddress, text),
  } satisfies Question<UpstreamAddress>,
  tracEnv: {
    option: 'trac-env',
    text: 'Which folder is the Trac environment? none if it is on another machine',
    usual: 'none',
    read: (text) => (text === 'none' ? undefined : text),
  } satisfies Question<string | undefined>,
}

/** Asks on the terminal; what is typed to a question for a secret is not shown. */
function createPrompt() {
  let isMuted = false
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (!isMuted) process.stderr.write(chunk)
      done()
    },
  })
  const lines = createInterface({ input: process.stdin, output, terminal: true })
  return {
    async ask(text: string, secret: boolean): Promise<string> {
      const answer = lines.question(text)
      isMuted = secret
      const given = (await answer).trim()
      if (isMuted) process.stderr.write('\n')
      isMuted = false
      return given
    },
    close: () => lines.close(),
  }
}

type Prompt = ReturnType<typeof createPrompt>

/** What an option says. A secret on a command line would be shown to everybody on the machine. */
function givenBy(call: Call, { option, secret }: Question<unknown>): string | undefined {
  const text = call.text(option)
  if (secret !== true || text === undefined || text === 'none') return text
  if (text === '-') return readFileSync(0, 'utf8').trim()
  throw new WrongUse(`found a secret on the command line; wanted --${option} - or none`)
}

async function answer<T>(
  call: Call,
  prompt: () => Prompt | undefined,
  question: Question<T>,
): Promise<T> {
  const given = givenBy(call, question)
  if (given !== undefined) return question.read(given)
  const terminal = prompt()
  if (terminal === undefined) {
    throw new WrongUse(`found no terminal to ask on; wanted --${question.option}`)
  }
  const usual = question.usual === undefined || question.usual === '' ? '' : ` [${question.usual}]`
  for (;;) {
    const said = await terminal.ask(`${question.text}${usual}\n> `, question.secret === true)
    try {
      return question.read(said === '' && question.usual !== undefined ? question.usual : said)
    } catch (error) {
      if (!(error instanceof WrongUse)) throw error
      call.out.note(`${error.message}\n`)
    }
  }
}

/** Collects all six. @throws WrongUse — an option is wrong, or one lacks and there is no terminal */
export async function collectAnswers(call: Call): Promise<Answers> {
  let opened: Prompt | undefined
  const prompt = () => {
    if (process.stdin.isTTY) opened ??= createPrompt()
    return opened
  }
  const listenOf = (option: string): string | undefined => {
    const text = call.text(option)
    if (text !== undefined) parse(listenAddress, text)
    return text
  }
  try {
    return {
      publicUrl: await answer(call, prompt, questions.publicUrl),
      provider: await answer(call, prompt, questions.provider),
      clientId: await answer(call, prompt, questions.clientId),
      clientSecret: await answer(call, prompt, questions.clientSecret),
      trac: await answer(call, prompt, questions.trac),
      tracEnv: await answer(call, prompt, questions.tracEnv),
      listen: listenOf('listen'),
      adminListen: listenOf('admin-listen'),
    }
  } finally {
    opened?.close()
  }
}
