/** What `smoke` takes from the command line. */
import { jsonOption } from '../command.js'
import type { OptionSpec } from '../command.js'

/** What `smoke` takes. */
export const smokeOptions: readonly OptionSpec[] = [
  {
    flags: '--url <address>',
    description: 'the gateway, as server.publicUrl has it',
    required: true,
  },
  { flags: '--token-file <file>', description: 'a Bearer token of anybody; - is standard input' },
  { flags: '--admin-token-file <file>', description: 'one of an administrator' },
  { flags: '--student-token-file <file>', description: 'one of somebody without rights there' },
  {
    flags: '--refresh-token-file <file>',
    description: 'a refresh token; a provider that rotates takes it away',
  },
  {
    flags: '--cookie-file <file>',
    description: 'the Cookie header of a browser that has signed in; its session ends',
  },
  {
    flags: '--cognito-client-id <id>',
    description:
      'sign in at Cognito by USER_PASSWORD_AUTH; names and passwords are TRAC_GATEWAY_SMOKE_USER and _PASSWORD, …_ADMIN_USER, …_STUDENT_USER',
  },
  { flags: '--region <region>', description: 'where the user pool is, such as us-east-2' },
  { flags: '--cognito-endpoint <address>', description: 'another address of Cognito’s API' },
  {
    flags: '--api-path <path>',
    description: 'what a token opens; none: there is no API',
    default: '/api/',
  },
  {
    flags: '--admin-path <path>',
    description: 'what only administrators open; none: there is no such page',
    default: '/admin',
  },
  { flags: '--page-path <path>', description: 'a page of Trac', default: '/wiki' },
  { flags: '--requests <count>', description: 'requests to measure', default: '20' },
  { flags: '--max-latency <span>', description: 'fail if their median takes longer' },
  { flags: '--timeout <span>', description: 'how long an answer may take', default: '15s' },
  { flags: '--strict', description: 'exit with 1 for what was not tried, too' },
  jsonOption,
]
