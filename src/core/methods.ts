/** Names of HTTP methods. */

/** Those of RFC 9110 §9 that a client sends, and PATCH (RFC 5789). */
export const commonMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const

/** Whether a method asks for what is there, and means nothing by a body (RFC 9110 §9.3.1, §9.3.2). */
export const isRead = (method: string): boolean => method === 'GET' || method === 'HEAD'

/** Those of WebDAV (RFC 4918, RFC 3253, RFC 5323). */
export const davMethods = [
  'PROPFIND',
  'PROPPATCH',
  'MKCOL',
  'COPY',
  'MOVE',
  'LOCK',
  'UNLOCK',
  'REPORT',
  'SEARCH',
] as const
