/** Where the log goes: a descriptor, written to in batches, whose reader may be slow, full or gone. */
import { write, writeSync } from 'node:fs'
import type { Milliseconds } from '../core/clock.js'

/** A destination of pino. */
export interface LogOutput {
  write(line: string): void
  /** Writes what waits before it returns. */
  flushSync(): void
}

/** Characters that are written at once, or less after {@link flushEvery}: a write costs more than many lines. */
const batch = 64 * 1024
/** Bytes that a character takes at most (RFC 3629 §3; a UTF-16 code unit never takes more than three). */
const maxCharacter = 3
const flushEvery: Milliseconds = 250
/** Characters that may wait for a slow reader; lines beyond it are lost. */
const maxWaiting = 8 * 1024 * 1024
/** Until a busy reader is tried again. */
const pauseFor: Milliseconds = 100

/**
 * Opens a descriptor for the log. Requests matter more than their log: a line that can't be written is lost, and a
 * fault is told once. pino's own destination would wait at the end of the process, for ever, for a reader that has gone.
 * @param onFault hears of the first fault, and of the next one only when something was written in between
 */
export function createLogOutput(fd: number, onFault: (fault: Error) => void): LogOutput {
  let waiting = ''
  let writing = false
  let faulty = false
  /** What is being written: one at a time, so one buffer does for all, but for what a slow reader let pile up. */
  const kept = Buffer.allocUnsafeSlow(batch * maxCharacter + 64 * 1024)

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
      if (waiting.length >= batch) flush()
    })
  }

  const flush = (): void => {
    if (writing || waiting === '') return
    const bytes =
      waiting.length * maxCharacter <= kept.length
        ? kept.subarray(0, kept.write(waiting))
        : Buffer.from(waiting)
    waiting = ''
    writing = true
    send(bytes)
  }

  const flushSync = (): void => {
    const bytes = Buffer.from(waiting)
    waiting = ''
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
      if (waiting.length > maxWaiting) {
        fail(new Error('its reader is too slow'))
        return
      }
      waiting += line
      if (waiting.length >= batch) flush()
    },
    flushSync,
  }
}
