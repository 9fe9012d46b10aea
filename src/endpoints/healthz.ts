/**
 * `GET /auth/healthz`: for balancers that can only reach the public port. No details, and no identity. While the process
 * stops it says so, so that they send nobody new.
 */
import type { Reply } from '../edge/reply.js'
import type { RequestContext } from '../request/context.js'

/** Builds the endpoint. */
export function createHealthz(
  reply: Reply,
  isStopping: () => boolean,
  onRequest: (context: RequestContext) => void,
) {
  return (context: RequestContext): Promise<void> => {
    onRequest(context)
    const [status, text] = isStopping() ? [503, 'stopping\n'] : [200, 'ok\n']
    reply.send(context, status, ['Content-Type', 'text/plain; charset=utf-8'], text)
    return Promise.resolve()
  }
}
