/** A logo is told apart by its bytes, is small, and only draws. */
import { t } from '../fixtures/tap.js'
import { maxLogoSize, readLogo } from '../../src/core/logo.js'

const svg = (inner: string, before = '') =>
  Buffer.from(`${before}<svg xmlns="http://www.w3.org/2000/svg">${inner}</svg>`)

const taken: readonly (readonly [what: string, bytes: Buffer, type: string])[] = [
  ['a PNG', Buffer.from('89504e470d0a1a0a00', 'hex'), 'image/png'],
  ['a JPEG', Buffer.from('ffd8ffe000', 'hex'), 'image/jpeg'],
  ['an SVG', svg('<path d="M0 0"/>'), 'image/svg+xml'],
  [
    'an SVG with all that may stand before it',
    svg(
      '',
      '\uFEFF<?xml version="1.0"?>\n<!-- a > b -->\n<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x.dtd">\n',
    ),
    'image/svg+xml',
  ],
  ['the largest one', Buffer.concat([Buffer.from('ffd8ff', 'hex')], maxLogoSize), 'image/jpeg'],
]

for (const [what, bytes, type] of taken) {
  await t.test(`${what} is taken, with all its bytes`, async (t) => {
    t.same(readLogo(bytes), {
      value: { address: `data:${type};base64,${bytes.toString('base64')}` },
    })
  })
}

const refused: readonly (readonly [what: string, bytes: Buffer, found: RegExp])[] = [
  ['an empty file', Buffer.alloc(0), /another kind/],
  ['a GIF', Buffer.from('GIF89a'), /another kind/],
  ['a page', Buffer.from('<!DOCTYPE html><svg></svg>'), /another kind/],
  ['a text that names SVG later', Buffer.from('x <svg/>'), /another kind/],
  [
    'one byte too many',
    Buffer.concat([Buffer.from('ffd8ff', 'hex')], maxLogoSize + 1),
    /more than/,
  ],
  ['an SVG with a script', svg('<script>alert(1)</script>'), /script in it/],
  ['an SVG with a script by a prefix', svg('<svg:SCRIPT href="x"/>'), /script in it/],
  ['an SVG with a handler', svg('<g\nonload = "alert(1)"/>'), /script in it/],
  ['an SVG with a handler behind a slash', svg('<g/onload="alert(1)"/>'), /script in it/],
  ['an SVG with a link that runs', svg('<a href="JavaScript:alert(1)"/>'), /script in it/],
  ['an SVG with a page in it', svg('<foreignObject/>'), /script in it/],
  [
    'an SVG with entities',
    svg('', '<!DOCTYPE svg [<!ENTITY a "&#60;script&#62;">]>'),
    /another kind/,
  ],
]

for (const [what, bytes, found] of refused) {
  await t.test(`${what} is refused`, async (t) => {
    const read = readLogo(bytes)
    t.match('found' in read ? read.found : 'taken', found)
  })
}
