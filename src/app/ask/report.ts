/** What is told of a request that nobody sent: each check with its outcome, the decision, and the headers that would go. */
import type { Grant, Via } from '../../core/identity.js'
import type { RowVerdict } from '../../authorize/router.js'
import type { Wish } from './wish.js'

/** What became of one check. */
export type StepOutcome =
  /** The next check would run. */
  | 'passed'
  /** It would be refused, and was let through in shadow mode. */
  | 'shadow'
  | 'refused'
  /** The check itself would answer: a redirect, or a preflight. */
  | 'answered'
  /** It depends on what is not asked: the provider. */
  | 'unknown'
  /** It is not looked at; the detail says what that leaves open. */
  | 'not judged'
  /** One before it ended it. */
  | 'not reached'

/** One check of the list, in its order. */
export interface Step {
  /** As in `app/pipeline.ts`; `ownAnswer` for what an own endpoint does after these. */
  readonly name: string
  readonly outcome: StepOutcome
  /** The `ERR_…` code of what refuses, or would in enforce mode. */
  readonly code?: string
  readonly detail: string
}

/** A row that comes before the one that matched. */
export interface PassedRow {
  readonly name: string
  readonly path: string
  readonly why: Exclude<RowVerdict, 'taken'>
  /** The condition that did not hold, in words. */
  readonly detail: string
}

/** What would be done. */
export interface Decided {
  /** `forward`: to the upstream; `own`: one of our own endpoints answers; `answer` and `refuse`: nothing is forwarded. */
  readonly outcome: 'forward' | 'own' | 'answer' | 'refuse' | 'unknown'
  /** Of the answer, where that is ours. */
  readonly status?: number
  readonly code?: string
  /** What whoever asked is told. */
  readonly message?: string
  /** Where a redirect leads. */
  readonly location?: string
  /** The name of the route, `none`, or that of the own endpoint. */
  readonly route: string
  readonly upstream?: string
  /** What shadow mode would let through. */
  readonly shadow?: string
}

/** Who it is from. */
export interface ToldIdentity {
  readonly user: string
  readonly via: Via | 'none'
  readonly email?: string
  readonly name?: string
  readonly groups: readonly string[]
  readonly scopes: readonly string[]
}

/** The whole answer. */
export interface Report {
  readonly method: string
  /** As it was asked for. */
  readonly target: string
  /** Decoded, below the base path: what the policy judges. Absent if it is refused before. */
  readonly path?: string
  /** The environment of Trac, where there are several and it lies in one. */
  readonly environment?: string
  /** What the question left open, and how it was filled in. */
  readonly assumed: readonly string[]
  readonly identity: ToldIdentity
  readonly permissions: readonly Grant[]
  /** What a claim named in vain. */
  readonly leftOut: readonly { readonly action: string; readonly why: string }[]
  readonly rows: readonly PassedRow[]
  readonly steps: readonly Step[]
  readonly decision: Decided
  /** To the upstream if it is forwarded, else to whoever asked; signature, cookies and tokens are `[set]`. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** What could still end it otherwise, and is not judged here. */
  readonly notJudged: readonly string[]
  /** What would happen besides, were it a real request. */
  readonly besides: readonly string[]
}

/**
 * Says what would become of a request. It changes nothing: no count, no name, no renewal, no request to the provider.
 * @throws WishFault — the question can't be understood
 */
export type Explain = (wish: Wish) => Promise<Report>
