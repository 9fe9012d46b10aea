/** Work that several ask for at the same time is done once, and all of them get its result. */

/** Work in flight, by key. It is bounded by those who wait: nothing stays once the work has ended. */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Promise<T>>()

  /** The work that is in flight under this key; undefined if none is. */
  current(key: string): Promise<T> | undefined {
    return this.#flights.get(key)
  }

  /** Joins the work in flight under this key, or starts it. A failure is shared as well, and not remembered. */
  run(key: string, work: () => Promise<T>): Promise<T> {
    const joined = this.#flights.get(key)
    if (joined !== undefined) return joined
    const started = work().finally(() => this.#flights.delete(key))
    this.#flights.set(key, started)
    return started
  }
}
