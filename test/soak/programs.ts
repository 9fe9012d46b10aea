/** A program of a soak: calls the API and Trac with a Bearer token, and gets a new one with its refresh token. */
import type { Person } from '../../src/demo/people.js'
import type { DemoProvider } from '../../src/demo/provider.js'
import { signIn } from '../../src/demo/sign-in.js'
import type { Tokens } from '../../src/demo/sign-in.js'
import type { Answer } from '../fixtures/visitor.js'
import { Client, Failed } from './client.js'
import type { Setting } from './client.js'

/** Between two calls, on average. */
const interval = 500

/** One program. */
export class Program extends Client {
  readonly #provider: DemoProvider
  readonly #person: Person
  #tokens: Tokens | undefined
  /** When the tokens are renewed: two thirds of their life. */
  #renewAt = 0

  constructor(setting: Setting, provider: DemoProvider, person: Person) {
    super(setting, `program of ${person.email.slice(0, person.email.indexOf('@'))}`)
    this.#provider = provider
    this.#person = person
  }

  /** Goes on until it is told to end. */
  async run(ended: AbortSignal): Promise<void> {
    await this.repeat(ended, interval, () => this.#call())
  }

  async #call(): Promise<void> {
    const { records, random } = this.setting
    const token = await this.#token()
    const isApi = random() < 0.7
    const from = records.now()
    const path = isApi ? '/api/lessons' : '/ticket/1?format=csv'
    const answer = await this.#ask('GET', path, { authorization: `Bearer ${token}` })
    const person = this.#person.email.slice(0, this.#person.email.indexOf('@'))
    if (isApi && answer.json()['user'] !== person) {
      this.wrong(answer, from, `the API saw ${String(answer.json()['user'])}`)
    }
    if (!isApi && !answer.text.includes('The build fails')) {
      this.wrong(answer, from, 'it is not the ticket')
    }
  }

  async #token(): Promise<string> {
    const now = this.setting.records.now()
    if (this.#tokens === undefined) this.#tokens = await signIn(this.#provider, this.#person)
    else if (now > this.#renewAt) this.#tokens = await this.#renew(this.#tokens)
    else return this.#tokens.idToken
    this.#renewAt = now + (this.#provider.settings.idTokenLifetime * 2) / 3
    return this.#tokens.idToken
  }

  async #renew({ refreshToken }: Tokens): Promise<Tokens> {
    const body = JSON.stringify({ refresh_token: refreshToken })
    try {
      const answer = await this.#ask(
        'POST',
        '/auth/refresh',
        { 'content-type': 'application/json' },
        body,
      )
      const given = answer.json()
      return {
        idToken: String(given['id_token']),
        accessToken: String(given['access_token']),
        refreshToken: String(given['refresh_token']),
      }
    } catch (error) {
      // A refresh token that is refused, or was given to a gateway that died with it, is of no more use.
      if (error instanceof Failed && error.status !== 503) this.#tokens = undefined
      throw error
    }
  }

  async #ask(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    body?: string,
  ): Promise<Answer> {
    const url = new URL(this.setting.url + path)
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    return this.send(url, method, { host: url.host, ...headers, ...length }, body)
  }
}
