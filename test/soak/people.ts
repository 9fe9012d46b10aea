/** A person of a soak: signs in, reads, edits, uploads, renews and signs out, as a browser without script does it. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Person } from '../../src/demo/people.js'
import { Visitor } from '../fixtures/visitor.js'
import type { Answer } from '../fixtures/visitor.js'
import { Client } from './client.js'
import type { Setting } from './client.js'

/** What everybody may read. */
const pages = [
  '/wiki/WikiStart',
  '/wiki/Syllabus',
  '/ticket/1',
  '/ticket/2',
  '/ticket/3',
  '/timeline',
  '/roadmap',
  '/report/1',
  '/search?q=branches',
]

/** Files of a page that are asked for; a browser has the others from before. */
const maxFiles = 6
const mebibyte = 1024 * 1024
/** A sign-out is known everywhere within a second. */
const revocationSpan = 1100
/** How long a person looks at a page, on average. */
const think = 2500

/** Content of uploads, of which each takes a part. */
const content = 'A line of a file that somebody has made: 0123456789 abcdefghijk.\n'.repeat(65_536)

const tokenOf = ({ text }: Answer): string =>
  /name="__FORM_TOKEN"[^>]*value="([0-9a-f]+)"|value="([0-9a-f]+)"[^>]*name="__FORM_TOKEN"/
    .exec(text)
    ?.slice(1)
    .find((found) => found !== undefined) ?? ''

/** One browser. */
export class Somebody extends Client {
  readonly #person: Person
  readonly #visitor = new Visitor(this.send)
  #isSignedIn = false
  #count = 0

  constructor(setting: Setting, person: Person) {
    super(setting, person.email.slice(0, person.email.indexOf('@')))
    this.#person = person
  }

  /** Goes on until it is told to end. */
  async run(ended: AbortSignal): Promise<void> {
    await this.repeat(ended, think, () => (this.#isSignedIn ? this.#act() : this.#signIn()))
  }

  async #act(): Promise<void> {
    const isEditor = !this.#person.groups.includes('students')
    const dice = this.setting.random() * 100
    if (dice < 3) await this.#signOut()
    else if (dice < 11) await this.#renew()
    else if (dice < 19) await this.#whoAmI()
    else if (dice < 30) await this.#callApi()
    else if (dice < 37 && isEditor) await this.#edit()
    else if (dice < 43 && isEditor) await this.#upload()
    else await this.#read()
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.setting.random() * list.length)]!
  }

  /** Opens a page as somebody who is signed in, and is. */
  async #open(path: string): Promise<Answer> {
    const { records, url } = this.setting
    const from = records.now()
    const answer = await this.#visitor.open(url + path)
    if (answer.location.includes('/auth/login')) {
      this.#isSignedIn = false
      this.wrong(answer, from, 'the session is lost')
    }
    this.#verifyName(answer, from)
    return answer
  }

  #verifyName(answer: Answer, from: number): void {
    const [, shown = 'nobody'] =
      /logged in as\s+<span class="trac-author-user">([^<]*)</.exec(answer.text) ?? []
    // Trac knows the name of a person from their second page on.
    if (shown !== this.#person.name && shown !== this.name) {
      this.wrong(answer, from, `it is a page for ${shown}`)
    }
  }

  async #signIn(): Promise<void> {
    const { records, url } = this.setting
    const from = records.now()
    const back = encodeURIComponent(`${new URL(url).pathname}/wiki/WikiStart`)
    const answer = await this.#visitor.signIn(`${url}/auth/login?return_to=${back}`, this.#person)
    this.#verifyName(answer, from)
    this.#isSignedIn = true
  }

  async #read(): Promise<void> {
    const { random, url } = this.setting
    const page = await this.#open(this.#pick(pages))
    if (random() < 0.6) return
    const { pathname } = new URL(url)
    const files = [...page.text.matchAll(/(?:href|src)="([^"?]+\.(?:css|js|png))(?:\?[^"]*)?"/g)]
      .map(([, path = '']) => path)
      .filter((path) => path.startsWith(`${pathname}/chrome/`))
      .slice(0, maxFiles)
    await Promise.all(files.map((path) => this.#visitor.fetch(new URL(path, url))))
  }

  async #whoAmI(): Promise<void> {
    const { records, url } = this.setting
    const from = records.now()
    const headers = { accept: 'application/json' }
    const answer = await this.#visitor.fetch(`${url}/auth/session`, { headers })
    if (answer.json()['user'] !== this.name) this.wrong(answer, from, 'I am somebody else')
  }

  async #callApi(): Promise<void> {
    const { records, url } = this.setting
    const from = records.now()
    const answer = await this.#visitor.fetch(`${url}/api/lessons`)
    const { user, authorization } = answer.json()
    if (user !== this.name || authorization !== 'absent') {
      this.wrong(answer, from, `the API saw ${String(user)}`)
    }
  }

  async #renew(): Promise<void> {
    const { url } = this.setting
    const { origin } = new URL(url)
    await this.#visitor.fetch(`${url}/auth/refresh`, { method: 'POST', headers: { origin } })
  }

  async #edit(): Promise<void> {
    const { records, url } = this.setting
    const path = `/wiki/Notes/${this.name}`
    const form = await this.#open(`${path}?action=edit`)
    const text = `Note ${++this.#count} at ${Date.now()}`
    const fields = {
      __FORM_TOKEN: tokenOf(form),
      action: 'edit',
      version: /name="version" value="(\d+)"/.exec(form.text)?.[1] ?? '0',
      text,
      comment: '',
      save: 'Submit changes',
    }
    await this.#visitor.submit(url + path, new URLSearchParams(fields).toString())
    const from = records.now()
    const page = await this.#open(path)
    if (!page.text.includes(text)) this.wrong(page, from, 'what was saved is not there')
  }

  /** Attaches a file of one to four MiB, in the place of the last one, and reads it again. */
  async #upload(): Promise<void> {
    const { records, random, url } = this.setting
    const name = `${this.name}.txt`
    const path = `/ticket/${1 + Math.floor(random() * 3)}`
    const form = await this.#open(`/attachment${path}/?action=new`)
    const size = Math.floor((1 + 3 * random()) * mebibyte)
    const file = `${this.name} ${++this.#count} ${Date.now()}\n${content.slice(0, size)}`
    const fields = { __FORM_TOKEN: tokenOf(form), action: 'new', replace: 'on', description: '' }
    const part = (disposition: string, text: string) =>
      `--soak\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n${text}\r\n`
    const parts = Object.entries(fields).map(([field, text]) => part(`name="${field}"`, text))
    const body = `${parts.join('')}${part(`name="attachment"; filename="${name}"`, file)}--soak--\r\n`
    const headers = { 'content-type': 'multipart/form-data; boundary=soak' }
    await this.#visitor.submit(`${url}/attachment${path}/?action=new`, body, { headers })
    const from = records.now()
    const download = await this.#visitor.open(`${url}/raw-attachment${path}/${name}`)
    if (download.text !== file) this.wrong(download, from, 'the file came back changed')
  }

  /** Signs out; a copy of the cookie is worth nothing at the other replica a second later. */
  async #signOut(): Promise<void> {
    const { replicas, url } = this.setting
    const copy = this.#visitor.copy()
    // If the answer is lost, it is not known whether the session is over.
    this.#isSignedIn = false
    const answer = await this.#visitor.submit(`${url}/auth/logout`)
    await this.#visitor.follow(answer.location)
    await pause(revocationSpan)
    const other = replicas.other(this.last ?? replicas.pick())
    const headers = { accept: 'application/json' }
    await this.expecting(401, other, () => copy.fetch(`${url}/auth/session`, { headers }))
  }
}
