/** The single events of the log, for its reference; a test compares them with the lines that the code writes. */

/** One kind of line. */
export interface LogEvent {
  readonly level: 'error' | 'warn' | 'info'
  /** Its `msg`; `…` is what differs. */
  readonly msg: string
  readonly fields: readonly (keyof typeof eventFields)[]
  readonly when: string
}

/** What the fields say. */
export const eventFields = {
  cause: 'The error behind it: type, message, code and its own causes.',
  code: 'The `ERR_…` code.',
  public: 'Where visitors are served: `address`, `family` and `port`, or the path of a socket.',
  admin: 'Where the admin listener is, in the same form.',
  url: '`server.publicUrl`.',
  file: 'The file of the configuration.',
  user: 'The Trac user name.',
  earlier: 'The name that the account had before.',
  issuer: 'The provider.',
  sub: 'The subject at the provider.',
  sessions: 'How many sessions were found, and ended.',
  action: 'The permission that the claim names.',
  count: 'How many revocations had no place.',
  client: 'The address of the proxy.',
  worker: 'The number of the process.',
  workers: 'How many processes serve; of those that refuse a configuration, their numbers.',
  how: 'How the process ended: its exit code or its signal.',
  pause: 'Milliseconds until it is started anew.',
} as const

/** Every one, but for those that have a table of their own. */
export const logEvents: readonly LogEvent[] = [
  {
    level: 'info',
    msg: 'listening',
    fields: ['public', 'admin', 'url'],
    when: 'The process has begun to serve.',
  },
  {
    level: 'info',
    msg: 'workers listen',
    fields: ['workers', 'public', 'admin', 'url'],
    when: 'The same, with `workers` above 1.',
  },
  { level: 'info', msg: 'keys are known', fields: [], when: 'The provider’s keys were reached.' },
  { level: 'info', msg: 'stopping', fields: [], when: 'The process was told to stop.' },
  {
    level: 'warn',
    msg: '…',
    fields: ['file'],
    when: 'A warning about the configuration, as `check` prints it: at the start and at a reload.',
  },
  {
    level: 'warn',
    msg: '…',
    fields: [],
    when: 'Trac answers without our plugin, or with a proof that is not for us. Once.',
  },
  {
    level: 'info',
    msg: 'a new configuration is served',
    fields: [],
    when: 'A reload.',
  },
  {
    level: 'error',
    msg: 'the new configuration is refused; the one before is served',
    fields: ['cause'],
    when: 'A reload that failed.',
  },
  {
    level: 'error',
    msg: 'workers refuse the configuration',
    fields: ['workers', 'cause'],
    when: 'A reload that failed in some processes, and is served by none.',
  },
  {
    level: 'info',
    msg: 'a new certificate is served',
    fields: [],
    when: 'The files of `server.tls` have changed.',
  },
  {
    level: 'error',
    msg: 'the old one is served',
    fields: ['cause', 'code'],
    when: 'They have changed, and can’t be used: `ERR_CERTIFICATE_REFUSED`.',
  },
  {
    level: 'warn',
    msg: 'keys could not be fetched',
    fields: ['cause'],
    when: 'A key set of a provider was not to be had. The same reason at most once a minute.',
  },
  {
    level: 'warn',
    msg: 'keys could not be kept in cacheFile',
    fields: ['cause'],
    when: '`identity.keys.cacheFile` can’t be read or written.',
  },
  {
    level: 'warn',
    msg: 'a session could not be renewed',
    fields: ['cause'],
    when: 'The provider refused the refresh token, or did not answer.',
  },
  {
    level: 'info',
    msg: 'revoked',
    fields: ['user', 'sessions'],
    when: 'An operator has ended all that a user has.',
  },
  {
    level: 'warn',
    msg: 'a refresh token could not be revoked',
    fields: ['cause'],
    when: 'The provider failed while an operator ended all that a user has.',
  },
  {
    level: 'error',
    msg: 'the list of revocations is full: what these should end may go on',
    fields: ['count'],
    when: 'As it says.',
  },
  {
    level: 'warn',
    msg: 'somebody came under a new name',
    fields: ['user', 'earlier', 'issuer', 'sub'],
    when: 'An account has another user name than before.',
  },
  {
    level: 'warn',
    msg: 'a claim names …, which permissions.fromClaims leaves out; to grant it, write [nonAdmin, …] there',
    fields: ['action'],
    when: 'Once for each permission.',
  },
  {
    level: 'warn',
    msg: 'a proof of the owner of personal tokens was not kept',
    fields: ['cause', 'sub'],
    when: 'The store failed at a sign-in: the tokens of that person keep the groups of the one before.',
  },
  {
    level: 'warn',
    msg: 'a trusted proxy sends no X-Forwarded-For: all of its visitors count as one address, with one rate limit',
    fields: ['client'],
    when: 'Once.',
  },
  {
    level: 'warn',
    msg: 'the connection to Redis failed',
    fields: ['cause'],
    when: 'It was lost, or could not be made.',
  },
  {
    level: 'warn',
    msg: 'spans could not be sent to tracing.endpoint',
    fields: ['cause'],
    when: 'The first fault; the next one only after spans were sent.',
  },
  {
    level: 'warn',
    msg: 'systemd could not be told: NotifyAccess=all and systemd-notify are needed',
    fields: ['cause'],
    when: 'With `Type=notify`.',
  },
  {
    level: 'error',
    msg: 'a worker ended; it is started anew',
    fields: ['worker', 'how', 'pause'],
    when: 'With `workers` above 1.',
  },
  { level: 'info', msg: 'a worker serves again', fields: ['worker'], when: 'After that.' },
  {
    level: 'error',
    msg: 'a worker can’t be started',
    fields: ['worker', 'cause'],
    when: 'After that, if it fails; it is tried again.',
  },
  {
    level: 'error',
    msg: 'a worker hangs, and is ended',
    fields: ['worker'],
    when: 'It did not answer for a while.',
  },
]
