/** Sends the same GET over kept connections, one at a time on each, and counts the answers. */
import { connect } from 'node:net'

/** What a run found. */
export interface LoadResult {
  readonly requests: number
  readonly milliseconds: number
}

/** Loads a port for `milliseconds`; every answer must be a 200. */
export async function load(
  port: number,
  path: string,
  header: string,
  connections: number,
  milliseconds: number,
): Promise<LoadResult> {
  const extra = header === '' ? '' : `${header}\r\n`
  const request = `GET ${path} HTTP/1.1\r\nHost: localhost:${port}\r\nAccept: text/html\r\n${extra}\r\n`
  const startedAt = performance.now()
  let requests = 0
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1')
      let head = ''
      let missing = -1
      const next = (): void => {
        if (performance.now() - startedAt >= milliseconds) {
          socket.destroy()
          resolve()
          return
        }
        head = ''
        missing = -1
        socket.write(request)
      }
      socket.setNoDelay(true)
      socket.once('connect', next)
      socket.on('error', reject)
      socket.on('data', (chunk: Buffer) => {
        if (missing < 0) {
          head += chunk.toString('latin1')
          const end = head.indexOf('\r\n\r\n')
          if (end < 0) return
          if (!head.startsWith('HTTP/1.1 200')) {
            reject(new Error(head.slice(0, 300)))
            return
          }
          const length = Number(/content-length: (\d+)/i.exec(head)?.[1])
          missing = length - (head.length - end - 4)
        } else {
          missing -= chunk.length
        }
        if (missing > 0) return
        requests++
        next()
      })
    })
  await Promise.all(Array.from({ length: connections }, one))
  return { requests, milliseconds: performance.now() - startedAt }
}
