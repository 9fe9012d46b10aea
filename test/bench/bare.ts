/** What the gateway is compared with: the same libraries, no authentication, no log, no metrics. */
import { readFileSync } from 'node:fs'
import httpProxy from '@fastify/http-proxy'
import Fastify from 'fastify'

const [, , port, upstream = '', certificate, key = ''] = process.argv
const options = { logger: false, maxParamLength: 1000 } as const
const https =
  certificate === undefined ? null : { cert: readFileSync(certificate), key: readFileSync(key) }
const app = Fastify({ ...options, https })
await app.register(httpProxy, { upstream, disableRequestLogging: true })
await app.listen({ port: Number(port), host: '127.0.0.1' })
