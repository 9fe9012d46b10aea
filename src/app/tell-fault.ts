/** A fault of a connection or of the provider in a few words, for `/readyz` and its readers. */
import { GatewayError } from '../core/errors.js'

/** What a person knows the codes of Node and OpenSSL by. */
const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOENT: 'there is no such socket',
  EACCES: 'this user may not connect to that socket',
  ENOTFOUND: 'the host name is not known',
  EAI_AGAIN: 'the host name can’t be looked up right now',
  ETIMEDOUT: 'no answer in time',
  ECONNRESET: 'the connection was closed',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT:
    'its certificate is signed by itself: name its authority in NODE_EXTRA_CA_CERTS',
  SELF_SIGNED_CERT_IN_CHAIN:
    'its certificate comes from an authority that is not known here: name it in NODE_EXTRA_CA_CERTS',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'its certificate comes without its chain, or from an authority that is not known here (NODE_EXTRA_CA_CERTS)',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'its certificate comes from an authority that is not known here: name it in NODE_EXTRA_CA_CERTS',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host name',
  EPROTO: 'it does not speak TLS there',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS there',
}

/** The words for a fault; undefined if nothing is known of it. */
export function tellFault(fault: unknown): string | undefined {
  if (!(fault instanceof Error)) return undefined
  if (fault instanceof GatewayError && fault.details.detail !== undefined) return fault.message
  const { code } = fault as NodeJS.ErrnoException
  const told = typeof code === 'string' ? words[code] : undefined
  // A library's own error says less than what led to it.
  return told ?? tellFault(fault.cause) ?? fault.message.slice(0, 200)
}
