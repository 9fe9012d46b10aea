/** Where the look-alike keeps codes, grants, sessions and refresh tokens: in memory, nowhere else. */
import type { Adapter, ClientMetadata, StoredModel } from 'oidc-provider/lib/provider.js'
import type { Now } from '../core/clock.js'

interface Entry {
  readonly payload: StoredModel
  readonly expiresAt: number
}

/** Entries kept at most; the oldest goes first. A sign-in makes about ten. */
const bound = 200_000

/**
 * Makes the adapter factory of one provider. Clients are read from `findClient` at every look-up, so
 * that a client or a redirect URI can be added while the provider runs.
 */
export function createStore(
  now: Now,
  findClient: (id: string) => ClientMetadata | undefined,
): (model: string) => Adapter {
  const entries = new Map<string, Entry>()
  const uids = new Map<string, string>()
  const grants = new Map<string, string[]>()

  const live = (key: string): StoredModel | undefined => {
    const entry = entries.get(key)
    if (entry === undefined || entry.expiresAt > now()) return entry?.payload
    forget(key)
    return undefined
  }

  const forget = (key: string): void => {
    const payload = entries.get(key)?.payload
    entries.delete(key)
    if (payload?.uid !== undefined) uids.delete(payload.uid)
    if (payload?.grantId !== undefined) {
      const rest = (grants.get(payload.grantId) ?? []).filter((member) => member !== key)
      if (rest.length > 0) grants.set(payload.grantId, rest)
      else grants.delete(payload.grantId)
    }
  }

  return (model) => {
    const keyOf = (id: string): string => `${model}:${id}`
    return {
      async upsert(id, payload, expiresIn) {
        const key = keyOf(id)
        forget(key)
        for (const oldest of entries.keys()) {
          if (entries.size < bound) break
          forget(oldest)
        }
        const expiresAt = expiresIn === undefined ? Infinity : now() + expiresIn * 1000
        entries.set(key, { payload, expiresAt })
        if (model === 'Session' && payload.uid !== undefined) uids.set(payload.uid, key)
        if (payload.grantId !== undefined) {
          grants.set(payload.grantId, [...(grants.get(payload.grantId) ?? []), key])
        }
      },
      async find(id) {
        if (model === 'Client') return findClient(id)
        return live(keyOf(id))
      },
      async findByUid(uid) {
        const key = uids.get(uid)
        return key === undefined ? undefined : live(key)
      },
      async findByUserCode() {
        return undefined
      },
      async consume(id) {
        const payload = live(keyOf(id))
        if (payload !== undefined) payload.consumed = Math.floor(now() / 1000)
      },
      async destroy(id) {
        forget(keyOf(id))
      },
      async revokeByGrantId(grantId) {
        for (const key of grants.get(grantId) ?? []) forget(key)
      },
    }
  }
}
