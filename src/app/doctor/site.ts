/** What the checks look at: the services of a configuration as they would serve, and what is heard while they are asked. */
import type { Config } from '../../config/schema.js'
import { realTimers } from '../../core/clock.js'
import type { Milliseconds, Now } from '../../core/clock.js'
import { createProviderFetch } from '../../oidc/provider-fetch.js'
import type { ProviderFetch } from '../../oidc/provider-fetch.js'
import { createOfflineApp, withoutPlaces } from '../ask/offline.js'
import type { Environment } from '../../request/environment.js'
import type { AppContext } from '../context.js'
import { createServices } from '../services.js'
import type { Services } from '../services.js'

/** When a provider wrote an answer, by its own clock (RFC 9110 §6.6.1), and when it was asked and heard by ours. */
export interface DatedAnswer {
  readonly origin: string
  readonly date: Milliseconds
  readonly askedAt: Milliseconds
  readonly heardAt: Milliseconds
}

/** Asks the admin listener of the gateway that runs with this configuration. */
export type AskAdmin = (
  path: string,
  body: unknown,
) => Promise<{ readonly status: number; readonly body: Readonly<Record<string, unknown>> }>

/** What is to be looked at besides the configuration. */
export interface Examination {
  readonly config: Config
  readonly now?: Now
  /** Whether a gateway runs with this configuration. */
  readonly isRunning: () => Promise<boolean>
  /** Undefined: the admin listener takes no commands. */
  readonly askAdmin?: AskAdmin | undefined
  /** A token of somebody, to be read. */
  readonly token?: string | undefined
  /** Whether somebody signs in; the address to open is handed over. */
  readonly signIn?: { readonly port: number; readonly open: (url: string) => void } | undefined
  /** The folder of the Trac environment, if it is on this machine. */
  readonly tracEnv?: string | undefined
  /** Which of several environments is looked at; all that have a plain name by default. */
  readonly environment?: string | undefined
  /** Hears which check runs. */
  readonly onCheck?: ((name: string) => void) | undefined
}

/** All that a check may ask. */
export interface Site extends Examination {
  /** As it was read. `config` is the same without the places where a gateway keeps what it knows: they are its own. */
  readonly examined: Config
  readonly now: Now
  readonly app: AppContext
  readonly services: Services
  /** The one of several environments that is looked at. */
  readonly place?: Environment
  readonly dated: readonly DatedAnswer[]
}

/** Remembers when the provider's answers were written. */
function withDates(fetch: ProviderFetch, now: Now, dated: DatedAnswer[]): ProviderFetch {
  return async (url, init, limit) => {
    const askedAt = now()
    const answer = await fetch(url, init, limit)
    const date = Date.parse(answer.headers.get('date') ?? '')
    if (Number.isFinite(date)) {
      dated.push({ origin: new URL(url).origin, date, askedAt, heardAt: now() })
    }
    return answer
  }
}

/** Builds the services; nothing is asked or written yet. */
export function openSite(examination: Examination): Site {
  const config = withoutPlaces(examination.config)
  const dated: DatedAnswer[] = []
  const now = examination.now ?? Date.now
  const app = createOfflineApp(config, {
    now,
    fetch: withDates(createProviderFetch(realTimers, now), now, dated),
  })
  const services = createServices(config, app)
  return { ...examination, examined: examination.config, config, now, app, services, dated }
}

/** The name of the Trac that is looked at, among `upstreams`. */
export const tracName = ({ place }: Pick<Site, 'place'>): string => place?.upstream ?? 'trac'

/** The path that this Trac, or the environment of it that is looked at, has. */
export const tracBase = ({ app, place }: Pick<Site, 'app' | 'place'>): string =>
  app.address.base + (place?.prefix ?? '')
