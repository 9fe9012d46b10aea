/** The options of `init`, apart from what it needs when it runs. */
import type { OptionSpec } from '../command.js'

/** What `init` takes, in the order of its questions. */
export const initOptions: readonly OptionSpec[] = [
  { flags: '--public-url <url>', description: 'what browsers will see, with the base path' },
  {
    flags: '--issuer <issuer>',
    description:
      'the provider: its issuer, or the id of a Cognito user pool, such as us-east-2_Example',
  },
  { flags: '--client-id <id>', description: 'the client at the provider' },
  {
    flags: '--client-secret <source>',
    description: 'its secret: - reads it from standard input, none says that it has none',
  },
  { flags: '--trac <url>', description: 'where Trac listens, without a path' },
  {
    flags: '--trac-env <folder>',
    description: 'the Trac environment; none if it is on another machine',
  },
  { flags: '--listen <address>', description: 'where the gateway is to listen (not asked)' },
  { flags: '--admin-listen <address>', description: 'and its admin listener (not asked)' },
]
