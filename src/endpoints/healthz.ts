/** `GET /auth/healthz`: for balancers that can only reach the public port. No details, and no identity. */
import type { Reply } from '../edge/reply.js'
import type { RequestContext } from '../request/context.js'

/** Builds the endpoint. */
export function createHealthz(reply: Reply) {
  return (context: RequestContext): Promise<void> => {
    reply.send(context, 200, ['Content-Type', 'text/plain; charset=utf-8'], 'ok\n')
    return Promise.resolve()
  }
}
