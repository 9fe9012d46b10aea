/** Kinds of content, by their media type (RFC 9110 §8.3.1). */

/** What is text, and shrinks to a third and less. An event stream is none: it has no end. */
const text =
  /^(?:text\/(?!event-stream\b)[\w.+-]+|application\/(?:(?:x-)?javascript|ecmascript|json|xml|xml-dtd|rtf|(?:[\w.-]+\+)(?:json|xml))|image\/(?:svg\+xml|x-icon|vnd\.microsoft\.icon|bmp)|font\/(?:ttf|otf)|application\/(?:x-font-ttf|vnd\.ms-fontobject))\s*(?:;|$)/i

/** Code and style, which hold nothing that is somebody's own. */
const code = /^(?:text\/(?:css|javascript)|application\/(?:x-)?javascript)\s*(?:;|$)/i

/** Bytes under which compressing saves less than its header costs. */
export const tiny = 1024

/** Whether content of this type is worth compressing. */
export const isCompressible = (contentType: string): boolean => text.test(contentType)

/** Whether it is a script or a style sheet. */
export const isCode = (contentType: string): boolean => code.test(contentType)

/** Whether it is a page. */
export const isHtml = (contentType: string): boolean =>
  /^(?:text\/html|application\/xhtml\+xml)\s*(?:;|$)/i.test(contentType)
