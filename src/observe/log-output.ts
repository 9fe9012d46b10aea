/** Where the log goes: a descriptor, written to in batches, whose reader may be slow, full or gone. */
import { write, writeSync } from 'node:fs'
import type { Milliseconds } from '../core/clock.js'

/** A destination of pino. */
export interface LogOutput {
  write(line: string): void
  /** Writes what waits before it returns. */
  flushSync(): void
}

/** Bytes that are written at once, or less after {@link flushEvery}: a write costs more than many lines. */
const batch = 64 * 1024
/** Bytes of a buffer: a batch, and the line that completes it. */
const size = 2 * batch
/** Bytes that a character takes at most (RFC 3629 §3; a UTF-16 code unit never takes more than three). */
const maxCharacter = 3
const flushEvery: Milliseconds = 250
/** Bytes that may wait for a slow reader; lines beyond it are lost. */
const maxWaiting = 8 * 1024 * 1024
/** Until a busy reader is tried again. */
const pauseFor: Milliseconds = 100

/**
 * Opens a descriptor for the log. Requests matter more than their log: a line that can't be written is lost, and a
 * fault is told once. pino's own destination would wait at the end of the process, for ever, for a reader that has gone.
 * @param onFault hears of the first fault, and of the next one only when something was written in between
 */
export function createLogOutput(fd: number, onFault: (fault: Error) => void): LogOutput {
  /**
   * Lines are encoded as they come: put together in one text first, they would be read again from memory that has cooled
   * down. One buffer fills while the other is written; what a slow reader leaves is copied and waits before both.
   */
  let filling = Buffer.allocUnsafeSlow(size)
  let spare = Buffer.allocUnsafeSlow(size)
  let used = 0
  const waiting: Buffer[] = []
  let waitingBytes = 0
  let writing = false
  let faulty = false

  const fail = (fault: Error): void => {
    if (!faulty) onFault(fault)
    faulty = true
  }

  const send = (bytes: Buffer): void => {
    write(fd, bytes, (fault, written) => {
      if (fault?.code === 'EAGAIN') {
        setTimeout(send, pauseFor, bytes)
        return
      }
      if (fault === null && written < bytes.length) {
        send(bytes.subarray(written))
        return
      }
      writing = false
      if (fault !== null) fail(fault)
      else faulty = false
      if (waiting.length > 0 || used >= batch) flush()
    })
  }

  const takeFilled = (): Buffer => {
    const bytes = filling.subarray(0, used)
    ;[filling, spare] = [spare, filling]
    used = 0
    return bytes
  }

  const flush = (): void => {
    if (writing || (waiting.length === 0 && used === 0)) return
    const next = waiting.shift()
    waitingBytes -= next?.length ?? 0
    writing = true
    send(next ?? takeFilled())
  }

  const pile = (bytes: Buffer): void => {
    waiting.push(bytes)
    waitingBytes += bytes.length
  }

  const pileFilled = (): void => {
    if (used > 0) pile(Buffer.from(filling.subarray(0, used)))
    used = 0
  }

  const flushSync = (): void => {
    pileFilled()
    const bytes = Buffer.concat(waiting.splice(0))
    waitingBytes = 0
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at)
    } catch (fault) {
      fail(fault as Error)
    }
  }

  setInterval(flush, flushEvery).unref()
  process.once('exit', flushSync)
  return {
    write(line) {
      if (waitingBytes > maxWaiting) {
        fail(new Error('its reader is too slow'))
        return
      }
      const most = line.length * maxCharacter
      if (used + most > size) pileFilled()
      if (most > size) pile(Buffer.from(line))
      else used += filling.write(line, used)
      if (waiting.length > 0 || used >= batch) flush()
    },
    flushSync,
  }
}
