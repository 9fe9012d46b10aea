/** What a running gateway can't change: a new configuration that differs there needs a new process. */
import { isDeepStrictEqual } from 'node:util'
import type { KeySchema, Restart } from './key.js'
import { configKeys } from './schema.js'
import type { Config } from './schema.js'

/** The keys that need a new process, with when they do. */
function fixedKeys(schema: KeySchema, path = ''): readonly (readonly [string, Restart])[] {
  if (schema.restart !== undefined) return [[path, schema.restart]]
  return Object.entries(schema.properties ?? {}).flatMap(([key, property]) =>
    fixedKeys(property, path === '' ? key : `${path}.${key}`),
  )
}

function valueAt(config: Config, key: string): unknown {
  const steps = key.split('.')
  return steps.reduce<unknown>(
    (value, step) => (value as Readonly<Record<string, unknown>> | undefined)?.[step],
    config,
  )
}

/** A certificate's files are watched by themselves: what they hold is no change of the configuration. */
function withoutFiles(config: Config): Config {
  const { tls } = config.server
  if (tls === undefined) return config
  const nameOnly = ({ path, value }: typeof tls.key) => ({ path, value: path ? '' : value })
  const names = { certificate: nameOnly(tls.certificate), key: nameOnly(tls.key) }
  return { ...config, server: { ...config.server, tls: names } }
}

/** Whether two configurations are one and the same. */
export function isSameConfig(running: Config, next: Config): boolean {
  return isDeepStrictEqual(withoutFiles(running), withoutFiles(next))
}

/** The keys in which two configurations differ and that a reload can't change. */
export function fixedChanges(running: Config, next: Config): readonly string[] {
  const [before, after] = [withoutFiles(running), withoutFiles(next)]
  return fixedKeys(configKeys)
    .filter(([, restart]) => restart === 'always' || running.session.store === 'redis')
    .map(([key]) => key)
    .filter((key) => !isDeepStrictEqual(valueAt(before, key), valueAt(after, key)))
}
