/** What the bench asks for: the kinds of traffic, and who of the contenders takes part in each. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Credential } from './contenders.js'

/** One kind of traffic. */
export interface Case {
  readonly name: string
  readonly path: string
  readonly credential: Credential
  /** Tokens in turn; `new`: each is sent once, and as many in a round. */
  readonly tokens: number
  readonly once: boolean
  /** Bytes of the body; 0: a GET. */
  readonly bodySize: number
  readonly tls: boolean
  /** How answers come at a steady rate is measured for this one, too. */
  readonly paced: boolean
}

const usual = {
  path: '/wiki/Start',
  credential: 'bearer',
  tokens: 1,
  once: false,
  bodySize: 0,
  tls: false,
  paced: false,
} as const

/** Tokens of a round in which each is new. */
export const newTokens = 3000
/** People whose requests a front proxy mixes on its connections. */
export const manyTokens = 1000

export const cases: readonly Case[] = [
  { ...usual, name: 'one token, known', paced: true },
  { ...usual, name: '1,000 tokens in turn', tokens: manyTokens },
  { ...usual, name: 'a new token each time', tokens: newTokens, once: true },
  { ...usual, name: 'session cookie', credential: 'session' },
  { ...usual, name: 'anonymous page', credential: 'none' },
  { ...usual, name: 'POST of 1 KiB', path: '/wiki/Start?action=edit', bodySize: 1024 },
  { ...usual, name: 'answer of 256 KiB', path: '/wiki/Large' },
  { ...usual, name: 'TLS ended here', tls: true },
]

/** Writes headers a line each; returns the file's name. */
export function writeHeaders(folder: string, name: string, lines: readonly string[]): string {
  const file = join(folder, name)
  writeFileSync(file, `${lines.join('\n')}\n`)
  return file
}
