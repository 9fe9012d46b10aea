/** What the route policy costs by the number of its rows: a thousand beside ten, their first segment a wildcard. */
import { createRouter } from '../../src/authorize/router.js'
import { noRoute } from '../../src/request/route.js'

const calls = 100_000

/** A router of so many rows, and paths of ten of them: as many in either case, so that caches of the processor are no part. */
function policyOf(count: number) {
  const routes = Array.from({ length: count }, (_, i) => ({
    ...noRoute,
    name: `row ${i}`,
    path: `/*/project-${i}/**`,
    methods: undefined,
  }))
  const asked = Array.from({ length: 10 }, (_, i) => Math.floor(((i + 1) * count) / 10) - 1)
  const paths = asked.map((i) => `/team/project-${i}/wiki/Start`)
  return { router: createRouter(routes), paths }
}

/** CPU microseconds of one look-up. */
function costOf({ router, paths }: ReturnType<typeof policyOf>): number {
  const before = process.cpuUsage()
  for (let i = 0; i < calls; i++) router('GET', paths[i % paths.length]!, '')
  const { user, system } = process.cpuUsage(before)
  return (user + system) / calls
}

/** Times both in turns; the first round warms up. */
export function comparePolicies(rounds: number): {
  readonly few: number
  readonly ratios: number[]
} {
  const [few, many] = [policyOf(10), policyOf(1000)]
  const ratios: number[] = []
  let cost = 0
  for (let round = -1; round < rounds; round++) {
    cost = costOf(few)
    const ratio = costOf(many) / cost
    if (round >= 0) ratios.push(ratio)
  }
  return { few: cost, ratios }
}
