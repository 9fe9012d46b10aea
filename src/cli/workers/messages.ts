/** What the primary and its workers say to each other: questions with a number, their answers, and how a worker stands. */
import { FixedChangeError } from '../../app/generation.js'
import { ConfigProblems } from '../../config/problems.js'
import type { Problem, Warning } from '../../config/problems.js'
import type { Milliseconds } from '../../core/clock.js'
import { GatewayError } from '../../core/errors.js'
import type { ErrorDetails, ErrorCode } from '../../core/errors.js'
import type { AdminParts } from '../../observe/admin.js'
import type { MetricData } from '../../observe/metrics-sum.js'
import type { DegradedCause, Readiness } from '../../observe/readiness.js'
import type { RememberedFiles } from './remembered-files.js'

/** What a worker does when the primary asks. */
export interface Tasks {
  /** Makes itself ready for connections. @throws whatever `startGateway` throws */
  begin(of: Beginning): Promise<void>
  /** Makes another configuration ready. */
  prepare(files: RememberedFiles): Promise<void>
  /** Serves by it. @returns whether it is another one at all */
  take(of: undefined): Promise<boolean>
  /** Gives it up. */
  drop(of: undefined): Promise<void>
  /** Tells that a configuration was refused. */
  refuse(fault: Fault): Promise<void>
  reloadCertificate(of: undefined): Promise<void>
  /** Drains, until `end`; done when nothing runs. */
  close(drain: Milliseconds): Promise<void>
  /** No connection comes any more. */
  end(of: undefined): Promise<void>
  metrics(of: undefined): Promise<MetricData>
  status: AdminParts['status']
  revoke: AdminParts['revoke']
  names: AdminParts['names']
  explain: AdminParts['explain']
  arrival(value: unknown): Promise<object | undefined>
}

/** The name of a task. */
export type Task = keyof Tasks

/** What a worker is started with. */
export interface Beginning {
  /** From 1. */
  readonly number: number
  readonly awaitReady: Milliseconds
  readonly files: RememberedFiles
}

/** A question of the primary. */
export interface Question {
  readonly id: number
  readonly task: Task
  readonly of: unknown
}

/** From the primary; with `connection` comes a socket, unless its client has left. */
export type FromPrimary = Question | { readonly connection: true }

/** How a worker stands; it says so all the time, so silence means that it hangs. */
export interface WorkerState {
  readonly report: ReturnType<Readiness['report']>
  readonly causes: readonly DegradedCause[]
}

/** From a worker. */
export type FromWorker =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly fault: Fault }
  | { readonly state: WorkerState | undefined }
  | { readonly took: true }

/** An error on its way: between processes it would lose its class. */
export type Fault =
  | { kind: 'problems'; problems: readonly Problem[]; warnings: readonly Warning[] }
  | { kind: 'fixed'; keys: readonly string[] }
  | { kind: 'gateway'; code: ErrorCode; detail: ErrorDetails['detail'] }
  | { kind: 'other'; message: string; facts: Readonly<Record<string, unknown>> }

/** What of an error of the system says where it happened. */
const systemFacts = ['code', 'address', 'port', 'path'] as const

/** Packs an error. */
export function toFault(error: unknown): Fault {
  if (error instanceof ConfigProblems) {
    const { problems, warnings } = error
    return { kind: 'problems', problems, warnings }
  }
  if (error instanceof FixedChangeError) return { kind: 'fixed', keys: error.keys }
  if (error instanceof GatewayError) {
    return { kind: 'gateway', code: error.code, detail: error.details.detail }
  }
  const thrown = error as Readonly<Record<string, unknown>>
  const known = systemFacts.filter((name) => thrown[name] !== undefined)
  const facts = Object.fromEntries(known.map((name) => [name, thrown[name]]))
  return { kind: 'other', message: error instanceof Error ? error.message : String(error), facts }
}

/** Unpacks it. */
export function fromFault(fault: Fault): Error {
  if (fault.kind === 'problems') return new ConfigProblems(fault.problems, fault.warnings)
  if (fault.kind === 'fixed') return new FixedChangeError(fault.keys)
  if (fault.kind === 'gateway') {
    const { code, detail } = fault
    return new GatewayError(code, detail === undefined ? {} : { detail })
  }
  return Object.assign(new Error(fault.message), fault.facts)
}
