/** Where the keys of a file stand, so that a report on any key can say a place. */
import { formatPath } from './problems.js'
import type { Path, Place } from './problems.js'

const nowhere: Place = { line: 1, column: 1 }

/** The places of the keys of a file, for reports on keys that are missing. */
export class Places {
  readonly #byPath = new Map<string, Place>()

  add(path: Path, place: Place): void {
    this.#byPath.set(formatPath(path), place)
  }

  /** Whether the key stands in the file. */
  has(path: Path): boolean {
    return this.#byPath.has(formatPath(path))
  }

  /** The place of a key, or of the nearest one above it that stands in the file. */
  of(path: Path): Place {
    for (let length = path.length; length > 0; length--) {
      const place = this.#byPath.get(formatPath(path.slice(0, length)))
      if (place !== undefined) return place
    }
    return nowhere
  }
}
