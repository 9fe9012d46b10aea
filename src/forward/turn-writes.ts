/**
 * Heads of requests that become ready in one turn of the event loop go out together at its end. An upstream that rests is
 * woken for the first of them, and is still awake for the others; to wake it is most of what a write costs.
 */

/** Who has something to write at the end of a turn. */
export interface TurnWriter {
  /** Called once; must not throw. */
  writeNow(): void
}

let writers: TurnWriter[] = []

function writeAll(): void {
  const ready = writers
  writers = []
  for (const writer of ready) writer.writeNow()
}

/** Has it write at the end of this turn. */
export function writeAtEndOfTurn(writer: TurnWriter): void {
  if (writers.push(writer) === 1) setImmediate(writeAll)
}
