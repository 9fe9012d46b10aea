/**
 * `/auth/client.js`: keeps the session of a Trac page alive and an editor's text safe (deploy/docs/guides/pages.md).
 *
 * A classic script of its own, below 4 KiB gzipped; tokens never come here, only when they end.
 */

/** `window.tracTokenManager`, for scripts of the page. Times are milliseconds. */
interface TracTokenManager {
  /** `fetch` that renews the session once after a 401 of this origin and tries again. */
  authenticatedFetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>
  /** Renews the session now; resolves to its new end. Rejects with what is wrong. */
  refreshTokens(): Promise<number>
  /** When the tokens behind the session end, by this browser's clock; null for nobody. */
  readonly expiresAt: number | null
  /** Calls back, with the time left, when renewing has failed for good or the end is near, and at the end (0). */
  onExpiring(callback: (left: number) => void): () => void
  /** Always rejects, and says why: no token reaches JavaScript. */
  getValidToken(): Promise<never>
}

/** What is shared with the other scripts of the page. */
interface Shared {
  tracTokenManager?: TracTokenManager
  readonly jQuery?: JQueryLike
}

/** What is used of jQuery 1.12 and 3. */
interface JQueryLike {
  ajaxTransport(dataType: string, create: (options: AjaxOptions) => AjaxTransport | undefined): void
}

interface AjaxOptions {
  readonly type: string
  readonly url: string
  readonly async: boolean
  readonly crossDomain?: boolean
  readonly username?: string
  readonly password?: string
  readonly mimeType?: string
  readonly hasContent?: boolean
  readonly data?: XMLHttpRequestBodyInit
  readonly xhrFields?: object
  readonly scriptAttrs?: object
  xhr(): XMLHttpRequest
}

interface AjaxTransport {
  send(headers: Record<string, string>, complete: AjaxComplete): void
  abort(): void
}

type AjaxComplete = (status: number, text: string, answers?: object, headers?: string) => void

/** What `/auth/session` and `/auth/refresh` say; `expires_at` in seconds. */
interface Life {
  readonly user?: string
  readonly expires_at: number
}

// All in a block: what stands outside would be a global of the page.
/* oxlint-disable unicorn/consistent-function-scoping */
if (!('tracTokenManager' in window)) {
  const shared: Window & Shared = window
  const script = document.currentScript
  const src = script instanceof HTMLScriptElement ? script.src : ''
  const base = src.replace(/\/auth\/client\.js([?#].*)?$/, '')
  const second = 1000
  const minute = 60 * second
  /** Timers stop while a machine sleeps, so the clock is read this often instead. */
  const beat = 10 * second
  /** An end that moves by less is the same one: answers count in seconds. */
  const sameEnd = 5 * second
  const nearEnd = 2 * minute

  /** Who is signed in; undefined for nobody. */
  let user: string | undefined
  /** Who this page was made for. */
  let owner: string | undefined
  let expiresAt: number | null = null
  /** When to renew next, or to ask again who this is. */
  let dueAt = Infinity
  /** The session will not be renewed any more. */
  let final = false
  let ended = false
  let failures = 0
  let renewing: Promise<number> | undefined
  /** 0: all is well, 1: it will end, 2: it is over. */
  let stage = 0
  const listeners = new Set<(left: number) => void>()
  const name = `tg ${base}`
  const channel = 'BroadcastChannel' in window ? new BroadcastChannel(name) : undefined

  const left = () => (expiresAt ?? 0) - Date.now()

  // What the gateway says.

  const ask = (path: string, method = 'GET') =>
    fetch(base + path, {
      method,
      headers: { Accept: 'application/json' },
      cache: 'no-store',
      // Other tabs wait for the answer.
      signal: AbortSignal.timeout(20 * second),
    }).catch(() => fail('The gateway cannot be reached.'))

  /** Notes until when the session lives; true if that is later than what was known. */
  const learn = (end: number, who = user): boolean => {
    const later = end - (expiresAt ?? 0) > sameEnd
    user = who
    if (owner === undefined && who !== undefined) {
      owner = who
      isPreview = sessionStorage.getItem(name) !== null
      sessionStorage.removeItem(name)
    }
    expiresAt = end
    ended = false
    failures = 0
    if (later) {
      final = false
      // Spread, so that a class that opened its pages together does not renew together.
      dueAt = Date.now() + Math.max(left() * (0.75 + 0.1 * Math.random()), sameEnd)
    }
    return later
  }

  const read = async (answer: Response): Promise<boolean> => {
    const life: Partial<Life> = await answer.json().catch(() => ({}))
    if (life.expires_at === undefined) return fail('The gateway’s answer was cut off.')
    // By the gateway's clock, as the one here may be wrong.
    const sent = Date.parse(answer.headers.get('Date') ?? '') || Date.now()
    const later = learn(Date.now() + life.expires_at * second - sent, life.user)
    channel?.postMessage([expiresAt, user]) // oxlint-disable-line unicorn/require-post-message-target-origin -- a channel has none
    return later
  }

  /** Puts the next attempt off, and throws. */
  const fail = (why: string, answer?: Response): never => {
    const wait = Number(answer?.headers.get('Retry-After')) * second || 0
    const backOff = Math.min(beat * 2 ** failures++, 5 * minute) * (0.5 + Math.random() / 2)
    dueAt = Date.now() + Math.max(wait, backOff)
    throw new Error(`${why} Try again later.`)
  }

  /** Asks who is signed in; resolves to whether anybody is. */
  const look = async (): Promise<boolean> => {
    try {
      const answer = await ask('/auth/session')
      if (answer.ok) await read(answer)
      else if (answer.status === 401) {
        ended = user !== undefined
        expiresAt = null
        dueAt = Infinity
      } else fail(`The session cannot be looked at (${answer.status}).`, answer)
      return answer.ok
    } finally {
      update()
    }
  }

  // Renewing.

  const exchange = async (): Promise<number> => {
    const isDue = Date.now() >= dueAt
    const answer = await ask('/auth/refresh', 'POST')
    if (answer.ok) {
      // An end that does not move any more is that of the whole session.
      if (!(await read(answer)) && isDue) final = true
    } else if (answer.status === 400 || answer.status === 401) {
      final = true
      // The tokens may last a little longer; or somebody signed in again in another tab.
      await look()
      if (final || ended) throw new Error('The session cannot be renewed: sign in again.')
    } else fail(`The session cannot be renewed just now (${answer.status}).`, answer)
    return expiresAt ?? 0
  }

  /** One renewal at a time in all tabs. Without Web Locks, the gateway makes one of several. */
  const exchangeForAll = async (): Promise<number> => {
    const { locks } = navigator as Partial<Navigator>
    if (locks === undefined) return exchange()
    const known = expiresAt ?? 0
    const end = await locks.request(name, { ifAvailable: true }, (lock) => lock && exchange())
    // Whoever held the lock meanwhile has probably renewed for all.
    const exchangeUnlessDone = async () =>
      (await look()) && expiresAt! - known > sameEnd ? expiresAt! : exchange()
    return end ?? locks.request(name, exchangeUnlessDone)
  }

  const renew = (): Promise<number> =>
    (renewing ??= exchangeForAll().finally(() => {
      renewing = undefined
      update()
    }))

  const isHidden = () => document.visibilityState === 'hidden'
  const ignore = () => {}

  const tick = (): void => {
    const now = Date.now()
    if (now < dueAt) update()
    else if (expiresAt === null || final) {
      if (now >= (expiresAt ?? 0)) look().catch(ignore)
      else update()
    }
    // A forgotten page behind others does not keep a session alive beyond its idle time.
    else if (!isHidden() || hasChanges()) renew().catch(ignore)
  }

  /** Somebody is back at this page. */
  const wake = (): void => {
    if (isHidden()) return
    if (ended || final) look().catch(ignore)
    else tick()
  }

  // What could be lost.

  /** This page answers a preview: what was typed came back as if it had been there before. */
  let isPreview = false

  const isChanged = (field: Element): boolean => {
    if (field instanceof HTMLSelectElement) {
      const options = [...field.options]
      // A list in which nothing is chosen shows its first entry.
      const first = !field.multiple && !options.some((option) => option.defaultSelected)
      return options.some((o, i) => o.selected !== (first ? i === 0 : o.defaultSelected))
    }
    const { type, checked, defaultChecked, value, defaultValue } = field as HTMLInputElement
    if (/^(checkbox|radio)$/.test(type)) return checked !== defaultChecked
    return !/^(hidden|submit|button|image|reset)$/.test(type) && value !== defaultValue
  }

  const isDirty = (form: HTMLFormElement): boolean =>
    // Not form.method: Trac's forms have fields with such names.
    /^post$/i.test(form.getAttribute('method') ?? '') &&
    [...form.elements].some((field) => isChanged(field) || (isPreview && field.matches('textarea')))

  const hasChanges = () => [...document.forms].some(isDirty)

  // The banner.

  let banner: HTMLElement | undefined
  let shown = ''
  let dismissed = ''

  const add = (tag: string, textContent: string, more: object = {}): HTMLElement => {
    const made = Object.assign(document.createElement(tag), { textContent }, more)
    banner?.append(made)
    return made
  }

  const hide = (): void => {
    banner?.remove()
    banner = undefined
    shown = ''
  }

  const show = (text: string): void => {
    if (text === shown || text === dismissed) return
    hide()
    shown = text
    banner = add('div', '', {
      id: 'trac-gateway-session',
      role: 'alert',
      // Through the object model, which no Content-Security-Policy forbids.
      style:
        'position:sticky;top:0;z-index:9999;padding:.7em 1em;background:#fff3c4;color:#222;border:2px solid #860',
    })
    add('span', `${text} `)
    const home = encodeURIComponent(`${base}/`.slice(location.origin.length))
    add('a', 'Sign in again (new tab)', {
      // With a session that still lives one would be sent straight back.
      href: `${base}/auth/login?return_to=${home}${ended ? '' : '&prompt=login'}`,
      target: '_blank',
      rel: 'noopener',
      style: 'color:#700',
    })
    add('button', 'Dismiss', {
      type: 'button',
      style: 'margin-left:1em',
      onclick: () => {
        dismissed = text
        hide()
      },
    })
    document.body.prepend(banner)
  }

  const kept = 'What you typed is still here'
  const unchecked = `Your session can’t be checked just now. ${kept}: try again later.`

  /** Makes the page agree with what is known. */
  const update = (): void => {
    const isLive = expiresAt !== null
    const isNear = final || (failures > 0 && left() < nearEnd)
    const next = ended ? 2 : isLive && isNear ? 1 : 0
    if (next !== stage) {
      stage = next
      dismissed = ''
      if (next > 0) for (const listener of listeners) listener(Math.max(0, left()))
    }
    if (!hasChanges()) hide()
    else if (ended)
      show(`Your session has ended. ${kept}: sign in, come back to this page, save it.`)
    else if (isLive && user !== owner) {
      show(`You are now signed in as ${user}, but ${owner} opened this page. ${kept}.`)
    } else if (stage === 0) hide()
    else if (left() <= 0) show(unchecked)
    else {
      const time = new Date(expiresAt!).toLocaleTimeString([], { timeStyle: 'short' })
      if (!`${shown}${dismissed}`.includes(time)) {
        const minutes = Math.ceil(left() / minute)
        show(
          `Your session ends in ${minutes} min, at ${time}. Save what you typed, or sign in again.`,
        )
      }
    }
  }

  /** What was typed is sent again, and is to pass. */
  let isSending = false

  /**
   * Asks whether the session lives before what was typed is sent: the answer to a refused form would replace it.
   * At the click already, since Trac's own script counts clicks and lets no second one send the form.
   */
  const hold = (event: Event): void => {
    const target = event.target as Element
    const { submitter = target.closest?.('button,input') } = event as Partial<SubmitEvent>
    const button = submitter as HTMLButtonElement | null
    const form = event.type === 'submit' ? target : button?.type === 'submit' && button.form
    if (isSending || owner === undefined || !(form instanceof HTMLFormElement)) return
    if (!isDirty(form) || button?.name === 'cancel') return
    event.preventDefault()
    event.stopImmediatePropagation()
    dismissed = ''
    const known = user
    look().then(
      (isLive) => {
        if (!isLive || user !== known) return banner?.querySelector('a')?.focus()
        if (button && /preview|diff/.test(button.name)) sessionStorage.setItem(name, '1')
        isSending = true
        if (button) button.click()
        else form.requestSubmit()
        isSending = false
      },
      () => show(unchecked),
    )
  }

  // For other scripts.

  const authenticatedFetch = async (input: RequestInfo | URL, init?: RequestInit) => {
    const request = new Request(input, init)
    const again = request.clone()
    const answer = await fetch(request)
    if (answer.status !== 401 || !request.url.startsWith(`${location.origin}/`)) return answer
    return renew().then(
      () => fetch(again),
      () => answer,
    )
  }

  /** jQuery's own transport but for the second try: callbacks and events see the last answer only. */
  const transport = (options: AjaxOptions): AjaxTransport | undefined => {
    if (options.crossDomain || !options.async || options.scriptAttrs) return undefined
    let isAborted = false
    let abort = ignore
    const send = (headers: Record<string, string>, complete: AjaxComplete, mayRetry = true) => {
      if (isAborted) return
      const xhr = options.xhr()
      abort = () => xhr.abort()
      xhr.open(options.type, options.url, true, options.username, options.password)
      Object.assign(xhr, options.xhrFields)
      if (options.mimeType) xhr.overrideMimeType(options.mimeType)
      const all = { 'X-Requested-With': 'XMLHttpRequest', ...headers }
      for (const [key, value] of Object.entries(all)) xhr.setRequestHeader(key, value)
      const done = () => {
        const { responseType: type, status, statusText } = xhr
        const answer =
          type && type !== 'text' ? { binary: xhr.response as unknown } : { text: xhr.responseText }
        complete(status, statusText, answer, xhr.getAllResponseHeaders())
      }
      xhr.addEventListener('loadend', () => {
        if (xhr.status !== 401 || !mayRetry) done()
        else renew().then(() => send(headers, complete, false), done)
      })
      xhr.send((options.hasContent && options.data) || null)
    }
    return {
      send: (headers, complete) => send(headers, complete),
      abort: () => {
        isAborted = true
        abort()
      },
    }
  }

  let isHooked = false
  const hook = (): void => {
    if (!isHooked) shared.jQuery?.ajaxTransport('+*', transport)
    isHooked = shared.jQuery !== undefined
  }

  shared.tracTokenManager = {
    authenticatedFetch,
    refreshTokens: renew,
    get expiresAt() {
      return expiresAt
    },
    onExpiring: (callback) => {
      listeners.add(callback)
      return () => listeners.delete(callback)
    },
    getValidToken: () =>
      Promise.reject(new Error('No token ever reaches JavaScript; use authenticatedFetch().')),
  }

  hook()
  addEventListener('DOMContentLoaded', hook)
  for (const event of ['focus', 'online', 'pageshow', 'visibilitychange']) {
    addEventListener(event, wake)
  }
  for (const event of ['click', 'submit']) addEventListener(event, hold, true)
  addEventListener('input', () => stage > 0 && update())
  channel?.addEventListener('message', ({ data }: MessageEvent<[number, string?]>) => {
    learn(...data)
    update()
  })
  setInterval(tick, beat)
  look().catch(ignore)
}
