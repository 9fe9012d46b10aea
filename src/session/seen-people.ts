/** Who was seen under which name by this process, so that an operator who ends a name is told whom it meant. */
import { LRUCache } from 'lru-cache'

/** Somebody at a provider. */
export interface Subject {
  readonly issuer: string
  readonly subject: string
}

/** Names remembered, of about 300 bytes each; the least seen is forgotten first. */
const maxNames = 10_000
/** Subjects of one name; there is more than one where a name was released, or before names were registered. */
const maxSubjects = 5

/** Names with their subjects; a name stands for every spelling of it by case. */
export class SeenPeople {
  readonly #byName = new LRUCache<string, readonly Subject[]>({ max: maxNames })

  /** Notes that a name was admitted. */
  note(user: string, { issuer, subject }: Subject): void {
    const key = user.toLowerCase()
    const known = this.#byName.get(key) ?? []
    if (known.some((one) => one.issuer === issuer && one.subject === subject)) return
    this.#byName.set(key, [...known, { issuer, subject }].slice(-maxSubjects))
  }

  /** Whom a name meant. */
  subjectsOf(user: string): readonly Subject[] {
    return this.#byName.get(user.toLowerCase()) ?? []
  }
}
