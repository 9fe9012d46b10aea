/** The gateways of a soak: processes that are killed and started again, and reload; requests go to those that are ready. */
import { readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { Agent } from 'node:http'
import type { Test } from 'tap'
import { parse, stringify } from 'yaml'
import type { TestGatewayOptions } from '../fixtures/gateway.js'
import { freePort } from '../fixtures/ports.js'
import { startGatewayProcess } from '../fixtures/process.js'
import type { GatewayProcess } from '../fixtures/process.js'
import { until } from '../fixtures/until.js'
import { sendRequest } from '../fixtures/visitor.js'
import type { Records } from './records.js'

/** A kept connection is not used again after this: the gateway closes it only later, so that no request crosses that. */
const idle = 5000

/** One gateway and the connections to it. */
export interface Replica {
  readonly number: number
  readonly port: number
  readonly agent: Agent
  process: GatewayProcess
  /** Whether a balancer that looks at `/readyz` would send anything here. */
  isReady: boolean
  /** Requests under way there. */
  open: number
}

/** Two gateways that share their sessions. */
export class Replicas {
  readonly all: Replica[] = []
  readonly #t: Test
  readonly #settings: TestGatewayOptions
  readonly #records: Records
  #turn = 0
  #reloads = 0

  private constructor(t: Test, settings: TestGatewayOptions, records: Records) {
    this.#t = t
    this.#settings = settings
    this.#records = records
  }

  /** Starts them, and waits until each is ready. */
  static async start(
    t: Test,
    settings: TestGatewayOptions,
    records: Records,
    count: number,
  ): Promise<Replicas> {
    const replicas = new Replicas(t, settings, records)
    for (let number = 0; number < count; number++) {
      const port = await freePort()
      const agent = new Agent({ keepAlive: true, timeout: idle })
      t.teardown(() => agent.destroy())
      const process = await replicas.#launch(number, port)
      replicas.all.push({ number, port, agent, process, isReady: true, open: 0 })
    }
    return replicas
  }

  async #launch(number: number, port: number): Promise<GatewayProcess> {
    const onLine = (line: string) => this.#records.keepLine(number, line)
    const started = await startGatewayProcess(this.#t, { ...this.#settings, port, onLine })
    await until(async () => (await started.ready())['ready'] === true, 'a replica is ready')
    return started
  }

  /** The next one, in turn; never the one that was passed over. */
  pick(except?: Replica): Replica {
    const ready = this.all.filter((one) => one.isReady && one !== except)
    const picked = ready[this.#turn++ % ready.length]
    if (picked === undefined) throw new Error('no replica is ready')
    return picked
  }

  /** Another one than this, if there is one. */
  other(than: Replica): Replica {
    return this.all.find((one) => one.isReady && one !== than) ?? than
  }

  /** Resolves while one does something. */
  async busy(number: number): Promise<void> {
    await until(() => this.all[number]!.open > 0, 'it does something')
  }

  /** Kills one with whatever it does. */
  async kill(number: number): Promise<void> {
    const replica = this.all[number]!
    replica.process.signal('SIGKILL')
    replica.isReady = false
    await until(() => replica.process.end !== '', 'it is gone')
  }

  /** Starts it again at the same address. */
  async restart(number: number): Promise<void> {
    const replica = this.all[number]!
    replica.process = await this.#launch(number, replica.port)
    replica.isReady = true
  }

  /** Gives each that runs a new configuration by SIGHUP, and waits until it holds: an address that it closes is closed. */
  async reload(): Promise<void> {
    const path = `/soak-${++this.#reloads}`
    for (const replica of this.all.filter(({ isReady }) => isReady)) {
      const { file } = replica.process
      const settings = parse(readFileSync(file, 'utf8')) as { routes: { name: string }[] }
      const routes = settings.routes.filter(({ name }) => name !== 'soak')
      await replaceFile(
        file,
        stringify({ ...settings, routes: [{ name: 'soak', path, access: 'deny' }, ...routes] }),
      )
      replica.process.signal('SIGHUP')
      await until(() => this.#isClosed(replica, path), 'the new configuration holds', 10_000)
    }
  }

  /** Gives each a configuration that is none: it says so, and goes on with the old one until the file is whole again. */
  async reloadBroken(): Promise<void> {
    for (const replica of this.all.filter(({ isReady }) => isReady)) {
      const { file } = replica.process
      const text = readFileSync(file, 'utf8')
      const isRefused = async () =>
        JSON.stringify((await replica.process.ready())['degraded']).includes('configuration')
      await replaceFile(file, `${text}\nnobody: knows this key\n`)
      replica.process.signal('SIGHUP')
      await until(isRefused, 'the broken configuration is refused', 10_000)
      await replaceFile(file, text)
      replica.process.signal('SIGHUP')
      await until(async () => !(await isRefused()), 'the trouble is over', 10_000)
    }
  }

  async #isClosed(replica: Replica, path: string): Promise<boolean> {
    const { publicUrl } = (parse(readFileSync(replica.process.file, 'utf8')) as Settings).server
    const url = new URL(publicUrl + path)
    const headers = { host: url.host, accept: 'application/json' }
    const { status } = await sendRequest(url, 'GET', headers, undefined, { port: replica.port })
    return status === 403
  }
}

/** What is read of a gateway.yaml. */
interface Settings {
  readonly server: { readonly publicUrl: string }
}

/** Whole at once: the gateway follows the file. */
async function replaceFile(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text)
  await rename(`${file}.new`, file)
}
