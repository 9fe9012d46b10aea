/**
 * Exemplars: of each bucket of the histogram of requests, the trace of the one that fell into it last. They stand in OpenMetrics
 * alone (OpenMetrics 1.0 §Exemplars), which is made here of the text of Prometheus: prom-client's own would rename its counters
 * for good when it is first asked for that form.
 */
import type { Milliseconds } from '../core/clock.js'

/** The form, as it is asked for and answered. */
export const openMetricsType = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

/** Whether whoever asks takes OpenMetrics; the quality of each form is left aside, since both are good. */
export const takesOpenMetrics = (accept: string): boolean =>
  /\bapplication\/openmetrics-text\b/.test(accept)

/** A label's value as the text of Prometheus has it. */
const escaped = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')

/** Of what exemplars are kept. */
export interface ExemplarOptions {
  /** Of a histogram. */
  readonly name: string
  readonly labels: readonly string[]
  /** Upper bounds of its buckets, which ascend. */
  readonly buckets: readonly number[]
}

/** Keeps one for each bucket: as many as there are series, whose labels come from the configuration. */
export class Exemplars {
  readonly #options: ExemplarOptions
  /** What stands behind a value, by what stands before it. */
  readonly #latest = new Map<string, string>()

  constructor(options: ExemplarOptions) {
    this.#options = options
  }

  /** Notes a request; `values` are those of the labels, in their order. */
  note(values: readonly string[], seconds: number, traceId: string, at: Milliseconds): void {
    const { name, labels, buckets } = this.#options
    const le = buckets.find((bound) => seconds <= bound) ?? '+Inf'
    const pairs = labels.map((label, i) => `${label}="${escaped(values[i] ?? '')}"`)
    this.#latest.set(
      `${name}_bucket{le="${le}",${pairs.join(',')}}`,
      ` # {trace_id="${traceId}"} ${seconds} ${(at / 1000).toFixed(3)}`,
    )
  }

  /** Prometheus' text as OpenMetrics: a counter's family has no `_total`, no line is empty, and the end is told. */
  openMetrics(text: string): string {
    let isCounter = false
    const lines = text.split('\n').flatMap((line, i, all) => {
      if (line === '') return []
      const [, word, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) ?(.*)$/.exec(line) ?? []
      if (word === undefined) return [this.#withExemplar(line)]
      // HELP comes first; its TYPE says what it is.
      if (word === 'HELP') isCounter = all[i + 1]?.endsWith(' counter') ?? false
      return [`# ${word} ${isCounter ? name.replace(/_total$/, '') : name} ${rest}`]
    })
    return `${lines.join('\n')}\n# EOF\n`
  }

  #withExemplar(line: string): string {
    const end = line.lastIndexOf(' ')
    return line + (this.#latest.get(line.slice(0, end)) ?? '')
  }
}
