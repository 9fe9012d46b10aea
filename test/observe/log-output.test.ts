/** The log's destination: a reader that is slow loses nothing, one that is stuck costs lines and no memory, and a fault is told once. */
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { createLogOutput } from '../../src/observe/log-output.js'
import { until } from '../fixtures/until.js'

const folder = mkdtempSync(join(tmpdir(), 'trac-gateway-log-'))
t.teardown(() => rmSync(folder, { recursive: true }))

/** A log that goes to this file, and what was told of it. */
function open(t: Test, path: string, flags: number) {
  const fd = openSync(path, flags)
  t.teardown(() => closeSync(fd))
  const faults: string[] = []
  const output = createLogOutput(fd, ({ message }) => faults.push(message))
  return { fd, output, faults }
}

/** A pipe that both ends of are ours: what is written waits until it is read, 64 KiB at most. */
function openPipe(t: Test) {
  const path = join(folder, `pipe-${t.name.length}`)
  execFileSync('mkfifo', [path])
  return open(t, path, constants.O_RDWR | constants.O_NONBLOCK)
}

const line = `${'x'.repeat(99)}\n`

/** All that can be read of a pipe now. */
function readAll(fd: number): string {
  const bytes = Buffer.alloc(1024 * 1024)
  try {
    return bytes.toString('latin1', 0, readSync(fd, bytes))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return ''
    throw error
  }
}

await t.test('a slow reader gets every line, in order', async (t) => {
  const { fd, output, faults } = openPipe(t)
  const lines = Array.from({ length: 3000 }, (_, i) => `${String(i).padStart(99)}\n`)
  for (const one of lines) output.write(one)
  let read = ''
  await until(() => (read += readAll(fd)).length >= lines.length * line.length, 'all is read')
  t.equal(read, lines.join(''))
  t.strictSame(faults, [])
})

await t.test('a reader that is stuck costs what does not fit, and is told once', async (t) => {
  const { fd, output, faults } = openPipe(t)
  const count = 200_000
  for (let i = 0; i < count; i++) output.write(line)
  t.strictSame(faults, ['its reader is too slow'])
  let read = 0
  await until(() => {
    const more = readAll(fd).length
    read += more
    return more === 0 && read > 1024 * 1024
  }, 'what waited is read')
  t.ok(read < count * line.length, 'the rest is lost')
})

await t.test('a full disk is told once, and the log goes on', async (t) => {
  const { output, faults } = open(t, '/dev/full', constants.O_WRONLY)
  for (let i = 0; i < 100; i++) output.write(line)
  await until(() => faults.length > 0, 'it is told')
  output.write(line)
  output.flushSync()
  t.equal(faults.length, 1)
  t.match(faults[0], 'ENOSPC')
})

await t.test('what waits is written at once when it is asked for', async (t) => {
  const path = join(folder, 'file')
  const { output } = open(t, path, constants.O_WRONLY | constants.O_CREAT)
  output.write('one line\n')
  output.flushSync()
  t.equal(readFileSync(path, 'utf8'), 'one line\n')
})
