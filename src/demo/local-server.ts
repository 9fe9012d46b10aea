/** An HTTP server of the demo: it listens on one address, and closes with all its connections. */
import { once } from 'node:events'
import type { Server } from 'node:http'

/**
 * Lets a server listen; port 0 is any free one.
 * @returns its origin, such as `http://127.0.0.1:8000`
 * @throws the server's own error, `EADDRINUSE` for one, if the port can't be had
 */
export async function listen(server: Server, host: string, port: number): Promise<string> {
  server.listen(port, host)
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not a TCP address')
  return `http://${host}:${address.port}`
}

/** Closes the port and every connection; once is enough, twice does no harm. */
export async function close(server: Server): Promise<void> {
  if (!server.listening) return
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}
