/** `trac-gateway doctor`: looks at a whole set-up and says what is good, what is bad, and what to do. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Examination } from '../app/doctor/site.js'
import type { Row } from '../app/doctor/row.js'
import { loadConfig } from '../config/load.js'
import { ConfigProblems } from '../config/problems.js'
import type { Config } from '../config/schema.js'
import { askAdmin } from './admin-client.js'
import { WrongUse } from './command.js'
import type { Call, Output } from './command.js'
import { reportLines } from './doctor-text.js'
import { failed } from './output.js'

/** Where somebody comes back to, if nothing else is said. */
const usualPort = '8976'

/** The gateway that runs with the same configuration, as far as it can be asked. */
function runningGateway({ admin }: Config): Pick<Examination, 'isRunning' | 'askAdmin'> {
  const { listen, token } = admin
  return {
    // Whatever it makes of it, only a gateway answers with JSON there.
    isRunning: () =>
      askAdmin(listen, '', '/healthz', {}, 2000).then(
        () => true,
        () => false,
      ),
    askAdmin: token === undefined ? undefined : (path, body) => askAdmin(listen, token, path, body),
  }
}

/** Shows which check runs, on a terminal. */
function showProgress({ progress }: Output) {
  return {
    onCheck: (name: string) => progress?.(`\r\x1b[K… ${name}`),
    end: () => progress?.('\r\x1b[K'),
  }
}

/** Looks at a set-up; `unattended` leaves out what a person must give something to. */
export async function examineWith(
  config: Config,
  out: Output,
  more: Partial<Examination>,
  unattended: boolean,
): Promise<readonly Row[]> {
  const { examine } = await import('../app/doctor/doctor.js')
  const { onCheck, end } = showProgress(out)
  const running = runningGateway(config)
  const { rows } = await examine({ config, ...running, onCheck, ...more }, { unattended })
  end()
  return rows
}

/** What needs nothing but the configuration, for `check --online`. */
export const examineUnattended = (config: Config, out: Output): Promise<readonly Row[]> =>
  examineWith(config, out, {}, true)

function tokenOf(call: Call): string | undefined {
  const given = call.text('token')
  const text = given === '-' ? readFileSync(0, 'utf8') : given
  return text?.trim().replace(/^bearer /i, '')
}

function portOf(call: Call): number {
  const text = call.text('sign-in-port') ?? usualPort
  const port = Number(text)
  if (/^[1-9][0-9]{0,4}$/.test(text) && port < 65_536) return port
  throw new WrongUse(`found the port ${JSON.stringify(text)}; wanted a number up to 65535`)
}

function signInOf(call: Call, end: () => void): Examination['signIn'] {
  if (!call.flag('sign-in')) return undefined
  return {
    port: portOf(call),
    open(url) {
      end()
      call.out.note(`Open this address in a browser on this machine, and sign in:\n\n  ${url}\n\n`)
    },
  }
}

/**
 * Looks at everything.
 * @returns the exit code: 0 if nothing is bad, 1 if something is, or if the configuration can't be used
 */
export async function doctor(call: Call): Promise<number> {
  const { out, env } = call
  let config: Config
  try {
    config = loadConfig(call.text('config') ?? 'gateway.yaml', { env }).config
  } catch (error) {
    if (!(error instanceof ConfigProblems)) throw error
    return failed(call, error.message)
  }
  const tracEnv = call.text('trac-env')
  const more = {
    token: tokenOf(call),
    signIn: signInOf(call, showProgress(out).end),
    tracEnv: tracEnv === undefined ? undefined : resolve(tracEnv),
    environment: call.text('environment'),
  }
  const rows = await examineWith(config, out, more, false)
  const asJson = () => `${JSON.stringify({ rows }, undefined, 2)}\n`
  out.print(call.flag('json') ? asJson() : `${reportLines(rows, out.paint).join('\n')}\n`)
  return rows.some(({ outcome }) => outcome === 'bad') ? 1 : 0
}
