/** Runs one contender of the bench as a process of its own: `node servers.js NAME PORT UPSTREAM IDENTITY`. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import httpProxy from '@fastify/http-proxy'
import Fastify from 'fastify'
import { startGateway } from '../../src/app/gateway.js'
import { learnTracGroups } from '../../src/config/topics/permissions.js'
import { createLogger } from '../../src/observe/logger.js'
import { loadText, secrets } from '../fixtures/config.js'

const [, , name = '', port = '0', upstream = '', identity = '{}'] = process.argv

/** Tells the parent that it can begin, and what it needs for it. */
function ready(facts: Record<string, string>): void {
  process.stderr.write(`${JSON.stringify(facts)}\n`)
}

/** The gateway with everything on: signatures, audit log, metrics, built-in policy. */
async function runGateway(): Promise<void> {
  const { config } = loadText(
    JSON.stringify({
      server: { publicUrl: `http://localhost:${port}`, listen: `127.0.0.1:${port}` },
      admin: { listen: '127.0.0.1:0' },
      identity: JSON.parse(identity) as unknown,
      session: { secrets: [{ fromEnv: 'SESSION' }] },
      permissions: { groups: learnTracGroups },
      upstreams: {
        trac: { url: upstream, signingKeys: [{ id: 'k1', secret: { fromEnv: 'SIGNING' } }] },
      },
    }),
    { env: secrets },
  )
  const gateway = await startGateway({ config, logger: createLogger('info') })
  await gateway.services.issuers.main.keys.refresh()
  ready({})
}

/** What the gateway is compared with: the same libraries, no authentication, no log, no metrics. */
async function runBare(): Promise<void> {
  const app = Fastify({ logger: false })
  await app.register(httpProxy, { upstream, disableRequestLogging: true })
  await app.listen({ port: Number(port), host: '127.0.0.1' })
  ready({})
}

/** A page of 2 KB, kept alive, as quick as Node can say it. */
function runUpstream(): void {
  const page = Buffer.alloc(2048, 'x')
  const server = createServer((_request, response) => {
    response.writeHead(200, ['Content-Type', 'text/html', 'Content-Length', '2048'])
    response.end(page)
  })
  server.keepAliveTimeout = 60_000
  server.listen(Number(port), '127.0.0.1', () => {
    ready({ port: String((server.address() as AddressInfo).port) })
  })
}

if (name === 'gateway') await runGateway()
else if (name === 'bare') await runBare()
else runUpstream()
