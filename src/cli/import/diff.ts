/** What changed in a Trac since it was imported. */
import { inOrder } from './facts.js'
import type { Facts, Settings } from './facts.js'
import { isText, isTexts } from '../../core/json-values.js'

/** What was kept beside the files that were written. */
export interface Export {
  readonly version: 1
  readonly facts: Facts
}

/** Reads what was kept; undefined if it is not what `import` wrote. */
export function readExport(text: string): Facts | undefined {
  try {
    const { version, facts } = JSON.parse(text) as Partial<Record<keyof Export, unknown>>
    return version === 1 && areFacts(facts) ? facts : undefined
  } catch {
    return undefined
  }
}

const isRecordOf = (value: unknown, is: (value: unknown) => boolean): boolean =>
  typeof value === 'object' && value !== null && Object.values(value).every(is)
const isListOf = (value: unknown, is: (value: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(is)

/** Whether a value has all that is compared. */
function areFacts(value: unknown): value is Facts {
  const { grants, users, settings } = (value ?? {}) as Partial<Record<keyof Facts, unknown>>
  const isUser = (user: unknown) => isText((user as { readonly name?: unknown } | null)?.name)
  const isSection = (section: unknown) => isRecordOf(section, isText)
  return isListOf(grants, isTexts) && isListOf(users, isUser) && isRecordOf(settings, isSection)
}

/** One change, in words. */
export interface Change {
  readonly what: 'grant' | 'user' | 'setting'
  readonly how: 'new' | 'gone' | 'changed'
  readonly detail: string
}

/** What is only on one side. */
function apart(
  what: Change['what'],
  before: readonly string[],
  now: readonly string[],
): readonly Change[] {
  const [old, fresh] = [new Set(before), new Set(now)]
  const only = (how: Change['how'], names: readonly string[], other: ReadonlySet<string>) =>
    [...new Set(names)]
      .filter((name) => !other.has(name))
      .toSorted(inOrder)
      .map((detail) => ({ what, how, detail }))
  return [...only('new', now, old), ...only('gone', before, fresh)]
}

const grantText = ([subject, action]: Facts['grants'][number]): string => `${subject}: ${action}`

function settingChanges(before: Settings, now: Settings): readonly Change[] {
  const namesOf = (settings: Settings) =>
    Object.entries(settings).flatMap(([section, options]) =>
      Object.keys(options).map((option) => `[${section}] ${option}`),
    )
  const valueOf = (settings: Settings, name: string) => {
    const [, section = '', option = ''] = /^\[(.*?)\] (.*)$/s.exec(name) ?? []
    return settings[section]?.[option]
  }
  const all = [...new Set([...namesOf(before), ...namesOf(now)])].toSorted(inOrder)
  return all.flatMap((name): Change[] => {
    const [old, fresh] = [valueOf(before, name), valueOf(now, name)]
    if (old === fresh) return []
    if (old === undefined) return [{ what: 'setting', how: 'new', detail: `${name} = ${fresh}` }]
    if (fresh === undefined) return [{ what: 'setting', how: 'gone', detail: `${name} = ${old}` }]
    return [{ what: 'setting', how: 'changed', detail: `${name} = ${old} → ${fresh}` }]
  })
}

/** Every change, grants first. Both must have been read in one way: Trac asked, or the same files. */
export function changesSince(before: Facts, now: Facts): readonly Change[] {
  return [
    ...apart('grant', before.grants.map(grantText), now.grants.map(grantText)),
    ...apart(
      'user',
      before.users.map(({ name }) => name),
      now.users.map(({ name }) => name),
    ),
    ...settingChanges(before.settings, now.settings),
  ]
}

/** The line of a change. */
export const changeText = ({ what, how, detail }: Change): string => `${how} ${what}  ${detail}`
