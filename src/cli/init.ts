/** `trac-gateway init`: from six answers to the files of a gateway and its Trac, and then to what `doctor` says of them. */
import { mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { loadConfig } from '../config/load.js'
import { ConfigProblems } from '../config/problems.js'
import type { Call } from './command.js'
import { examineWith } from './doctor.js'
import { reportLines } from './doctor-text.js'
import { collectAnswers } from './init/answers.js'
import type { Answers } from './init/answers.js'
import { findOut } from './init/find-out.js'
import { isThere, placesOf, writeFiles } from './init/write-files.js'
import type { Places, Written } from './init/write-files.js'
import { failed } from './output.js'

/** What is left for a person to do. */
function stepsText({ publicUrl, tracEnv, trac }: Answers, places: Places): readonly string[] {
  const { url, base } = publicUrl
  const port = trac.kind === 'tcp' ? ` -p ${trac.port}` : ''
  const copy =
    tracEnv === undefined
      ? [
          `Copy ${places.plugin} into the plugins folder of the Trac environment, and ${places.keyFile} to`,
          '   /etc/trac/trac_gateway.keys there (mode 0600, of the user that Trac runs as).',
        ].join('\n')
      : 'The plugin and its key file are in the Trac environment.'
  return [
    `1. At the provider, register ${url}/auth/callback`,
    `   and, for after sign-out, ${url}/auth/signed-out.`,
    `2. ${copy}`,
    `3. Put the lines of ${places.tracIni} into conf/trac.ini, and restart Trac:`,
    `   tracd --hostname=127.0.0.1${port}${base === '' ? '' : ` --base-path=${base}`} -s ${tracEnv ?? 'ENVIRONMENT'}`,
    `4. Say in ${places.config} what each group may do (permissions.groups).`,
    `5. trac-gateway start --config ${places.config}`,
    `   trac-gateway doctor --config ${places.config}`,
  ]
}

const filesText = (written: readonly Written[]): readonly string[] =>
  written.map(({ path, outcome }) =>
    outcome === 'written' ? `written     ${path}` : `left alone  ${path} (it was there)`,
  )

/**
 * Writes a set-up and looks at it.
 * @returns the exit code: 0 if all files were written, whatever `doctor` says of what is left to do; 1 if not
 */
export async function init(call: Call): Promise<number> {
  const { out } = call
  const config = resolve(call.text('config') ?? 'gateway.yaml')
  if (isThere(config)) {
    return failed(
      call,
      `${config} is there, and nothing was written: move it away, or name another`,
    )
  }
  const answers = await collectAnswers(call)
  const tracEnv = answers.tracEnv === undefined ? undefined : resolve(answers.tracEnv)
  const all = { ...answers, tracEnv }
  out.progress?.('… asking the provider, Trac and the public address')
  const found = await findOut(all, Date.now)
  out.progress?.('\r\x1b[K')
  const places = placesOf(config, all)
  let written: readonly Written[]
  try {
    mkdirSync(dirname(config), { recursive: true })
    written = writeFiles(all, found, places)
  } catch (error) {
    return failed(call, `not everything could be written: ${(error as Error).message}`)
  }
  const steps = stepsText(all, places)
  if (!call.flag('json')) {
    const notes = found.notes.map((note) => `${out.paint('warn', 'note:')} ${note}`)
    out.print(`${[...filesText(written), ...notes, '', ...steps, ''].join('\n')}\n`)
  }
  return look(call, config, tracEnv, { files: written, notes: found.notes, steps })
}

/** What `doctor` says of it now; for programs, with all that was done before. */
async function look(
  call: Call,
  file: string,
  tracEnv: string | undefined,
  done: object,
): Promise<number> {
  const { out, env } = call
  try {
    const { config } = loadConfig(file, { env })
    const rows = await examineWith(config, out, { tracEnv }, true)
    if (call.flag('json')) out.print(`${JSON.stringify({ ...done, rows }, undefined, 2)}\n`)
    else out.print(`${reportLines(rows, out.paint).join('\n')}\n`)
    return 0
  } catch (error) {
    if (!(error instanceof ConfigProblems)) throw error
    return failed(call, error.message)
  }
}
