/** Who was seen under which name by this process, so that an operator who ends a name is told whom it meant. */
import { LRUCache } from 'lru-cache'
import { foldName } from '../trac/user-names.js'

/** Somebody at a provider. */
export interface Subject {
  readonly issuer: string
  readonly subject: string
}

/** Whether two are one person at one provider. */
export const isSameSubject = (one: Subject, other: Subject): boolean =>
  one.issuer === other.issuer && one.subject === other.subject

/** Names remembered, of about 300 bytes each; the least seen is forgotten first. */
const maxNames = 10_000
/** Subjects of one name; there is more than one where a name was released, or before names were registered. */
const maxSubjects = 5

/** Names with their subjects; a name stands for every spelling of it by case. */
export class SeenPeople {
  readonly #byName = new LRUCache<string, readonly Subject[]>({ max: maxNames })

  /** Notes that a name was admitted. */
  note(user: string, { issuer, subject }: Subject): void {
    const one = { issuer, subject }
    const key = foldName(user)
    const known = this.#byName.get(key) ?? []
    if (known.some((other) => isSameSubject(one, other))) return
    this.#byName.set(key, [...known, one].slice(-maxSubjects))
  }

  /** Whom a name meant. */
  subjectsOf(user: string): readonly Subject[] {
    return this.#byName.get(foldName(user)) ?? []
  }
}
