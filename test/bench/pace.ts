/** Load at a steady rate, whatever the answers take: so waiting behind a slow answer is seen, too. */
import { connect } from 'node:net'
import type { Socket } from 'node:net'

/** How long answers took, in milliseconds. */
export interface Latencies {
  readonly p50: number
  readonly p99: number
  readonly count: number
  /** Answers that were no 200. */
  readonly refused: number
}

/** Reads one answer after the other; its end is told with its status. */
function readAnswers(socket: Socket, onAnswer: (status: number) => void): void {
  let head = ''
  let missing = -1
  let status = 0
  socket.on('data', (chunk: Buffer) => {
    if (missing < 0) {
      head += chunk.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) return
      status = Number(head.slice(9, 12))
      missing = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0) - (head.length - end - 4)
    } else missing -= chunk.length
    if (missing > 0) return
    head = ''
    missing = -1
    onAnswer(status)
  })
}

function percentile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

/** What is sent at a steady rate. */
export interface Pace {
  readonly port: number
  /** A whole request. */
  readonly text: () => string
  /** Requests a second. */
  readonly rate: number
  readonly milliseconds: number
  /** Whom it comes from, 127.0.0.1 by default. */
  readonly from?: string
}

/**
 * Sends `rate` requests a second on kept connections. The time of one counts from when it was due, if no connection was
 * free then; else from when it was sent.
 */
export async function pace(what: Pace): Promise<Latencies> {
  const { port, text, rate, milliseconds, from: localAddress = '127.0.0.1' } = what
  const free: Socket[] = []
  const startedOn = new Map<Socket, number>()
  const waiting: number[] = []
  const times: number[] = []
  let refused = 0
  const send = (socket: Socket, at: number): void => {
    startedOn.set(socket, at)
    socket.write(text())
  }
  const sockets = await Promise.all(
    Array.from({ length: 64 }, async () => {
      const socket = connect({ port, host: '127.0.0.1', localAddress }).setNoDelay(true)
      await new Promise((resolve, reject) => {
        socket.once('connect', resolve).once('error', reject)
      })
      readAnswers(socket, (status) => {
        times.push(performance.now() - startedOn.get(socket)!)
        if (status !== 200) refused++
        const due = waiting.shift()
        if (due === undefined) free.push(socket)
        else send(socket, due)
      })
      free.push(socket)
      return socket
    }),
  )
  const startedAt = performance.now()
  let sent = 0
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const now = performance.now()
      for (; sent < ((now - startedAt) * rate) / 1000; sent++) {
        const socket = free.shift()
        if (socket === undefined) waiting.push(startedAt + (sent * 1000) / rate)
        else send(socket, performance.now())
      }
      if (now - startedAt < milliseconds) return
      clearInterval(timer)
      setTimeout(resolve, 200)
    }, 1)
  })
  for (const socket of sockets) socket.destroy()
  const sorted = times.toSorted((a, b) => a - b)
  return {
    p50: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
    count: sorted.length,
    refused,
  }
}
