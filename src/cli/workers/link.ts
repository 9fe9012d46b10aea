/** The primary's end of one worker: asks it, hears how it stands, and hands its log on. */
import type { Worker } from 'node:cluster'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { fromFault } from './messages.js'
import type { FromWorker, Task, Tasks, WorkerState } from './messages.js'

/** The worker ended before it answered. */
export class WorkerGone extends Error {
  constructor() {
    super('the worker ended')
    this.name = 'WorkerGone'
  }
}

/** Where lines of the log go. */
export interface LineOutput {
  write(lines: string): void
}

interface Waiting {
  readonly resolve: (value: never) => void
  readonly reject: (error: Error) => void
}

/** One worker, from its fork to its end. */
export class WorkerLink {
  readonly number: number
  /** Whether it takes connections. */
  serves = false
  /** What it said last; undefined until it serves. */
  state: WorkerState | undefined
  /** Whether it has said anything since this was last set to false. */
  wasHeard = true
  /** It can be asked, or has ended. */
  readonly listens: Promise<unknown>
  /** Settles when its process has ended and its last line was read; says how it ended. */
  readonly gone: Promise<string>
  readonly #worker: Worker
  /** Questions under way; the primary asks few at a time, and all end with the worker. */
  readonly #waiting = new Map<number, Waiting>()
  /** Connections that it was handed and has not taken yet, in that order: few, but as many as it is handed while it is busy. */
  readonly #handed: Socket[] = []
  #asked = 0

  constructor(number: number, worker: Worker, log: LineOutput) {
    this.number = number
    this.#worker = worker
    worker.on('message', (message: FromWorker) => this.#hear(message))
    // A question to a worker that ends meanwhile; whoever asked hears of its end.
    worker.on('error', () => undefined)
    this.listens = Promise.race([once(worker, 'message'), once(worker, 'exit')])
    const lines = this.#handOn(log)
    this.gone = once(worker, 'exit').then(async ([code, signal]: (number | string | null)[]) => {
      this.serves = false
      for (const { reject } of this.#waiting.values()) reject(new WorkerGone())
      this.#waiting.clear()
      // What it has read of them is not known, so no other worker may go on.
      for (const socket of this.#handed.splice(0)) socket.destroy()
      await lines
      return signal === null ? `exit code ${code}` : String(signal)
    })
  }

  /** @throws WorkerGone, or what the task threw */
  ask<T extends Task>(task: T, of: Parameters<Tasks[T]>[0]): ReturnType<Tasks[T]> {
    const id = ++this.#asked
    const answer = new Promise<never>((resolve, reject) => {
      if (!this.#worker.isConnected()) {
        reject(new WorkerGone())
        return
      }
      this.#waiting.set(id, { resolve, reject })
      this.#worker.send({ id, task, of })
    })
    return answer as unknown as ReturnType<Tasks[T]>
  }

  /** How many connections it was handed and has not taken yet. */
  get untaken(): number {
    return this.#handed.length
  }

  /** Hands it a connection, which stays open here until it has taken it: Node forgets those of a worker that ends before. */
  hand(socket: Socket): void {
    this.#handed.push(socket)
    this.#worker.send({ connection: true }, socket, { keepOpen: true }, (error) => {
      if (error !== null) socket.destroy()
    })
  }

  /** Ends it at once. */
  kill(): void {
    this.#worker.process.kill('SIGKILL')
  }

  /** Lets it end, when nothing runs there any more. */
  release(): void {
    if (this.#worker.isConnected()) this.#worker.process.disconnect()
  }

  #hear(message: FromWorker): void {
    this.wasHeard = true
    if ('state' in message) {
      this.state = message.state
      return
    }
    if ('took' in message) {
      this.#handed.shift()?.destroy()
      return
    }
    const waiting = this.#waiting.get(message.id)
    this.#waiting.delete(message.id)
    if ('fault' in message) waiting?.reject(fromFault(message.fault))
    // The task gave it, whose type the question has.
    else waiting?.resolve(message.value as never)
  }

  /** Hands whole lines on: pieces of two workers' lines must never meet. */
  async #handOn(log: LineOutput): Promise<void> {
    const { stdout } = this.#worker.process
    if (stdout === null) return
    let rest = ''
    stdout.setEncoding('utf8')
    stdout.on('data', (text: string) => {
      const end = text.lastIndexOf('\n') + 1
      if (end === 0) rest += text
      else {
        log.write(rest + text.slice(0, end))
        rest = text.slice(end)
      }
    })
    await once(stdout, 'close')
  }
}
