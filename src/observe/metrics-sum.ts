/**
 * The metrics of several workers as one scrape: each by the rule of its row, counters of workers that have gone too. A
 * sum that fell when a worker ended would look to Prometheus as if all of them had begun anew.
 */
import { AggregatorRegistry, Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client'
import type { MetricObjectWithValues, MetricValue } from 'prom-client'
import { metricTable } from './metrics.js'

/** What a scrape of one process reads, as data. */
export type MetricData = readonly MetricObjectWithValues<MetricValue<string>>[]

/** Reads it. */
export function readMetrics(registry: Registry): Promise<MetricData> {
  return registry.getMetricsAsJSON()
}

const isCounted = ({ type }: MetricData[number]): boolean =>
  // The registry's types have numbers here; its values are words.
  ['counter', 'histogram'].includes(String(type))

const add = (all: readonly MetricData[]): Registry => AggregatorRegistry.aggregate([...all])

/** The metrics of a primary and its workers. */
export class MetricsSum {
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE
  /** Those of this process: they count among those of the workers. */
  readonly #own = new Registry()
  readonly #restarts: Counter
  readonly #missing: Gauge
  /** By worker: what it told last. */
  readonly #latest = new Map<number, MetricData>()
  /** Counters of those that have gone, added up. */
  #gone: MetricData = []

  constructor() {
    const registers = [this.#own]
    collectDefaultMetrics({ register: this.#own })
    const { workerRestarts, degraded } = metricTable
    this.#restarts = new Counter({ ...workerRestarts, labelNames: [], registers })
    const labelNames = [...degraded.labels]
    this.#missing = new Gauge({ ...degraded, labelNames, registers, aggregator: 'max' })
  }

  /** What a worker tells; it takes the place of what it told before. */
  told(worker: number, metrics: MetricData): void {
    this.#latest.set(worker, metrics)
  }

  /** A worker has gone; what it counted stays, as far as it has been told. */
  async left(worker: number): Promise<void> {
    const last = this.#latest.get(worker)
    this.#latest.delete(worker)
    if (last !== undefined) {
      this.#gone = await readMetrics(add([this.#gone, last.filter(isCounted)]))
    }
  }

  /** One was started anew. */
  restarted(): void {
    this.#restarts.inc()
  }

  /** @param isMissing whether one of them does not serve */
  async text(isMissing: boolean): Promise<string> {
    this.#missing.set({ cause: 'workers' }, Number(isMissing))
    const own = await readMetrics(this.#own)
    return await add([...this.#latest.values(), this.#gone, own]).metrics()
  }
}
