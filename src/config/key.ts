/** What one key of gateway.yaml is told by, and the builders that tell it. */
// Types alone: what a key is at run time is plain data, and loading the library takes a quarter of our start.
import type { Static, TArray, TObject, TProperties, TSchema, TUnsafe } from 'typebox'
import type { TextKind } from '../core/text-kind.js'

/** When a change of a key needs a new process. */
export type Restart = 'always' | 'with redis'

/** What to think about when a key has a certain text, with the name that `acknowledge` takes; undefined for nothing. */
export type Advice = (text: string) => { name: string; found: string; wanted: string } | undefined

/** Reads what a file holds, or says what is wrong with it. */
export interface FileReader<T> {
  readonly maxBytes: number
  readonly read: (
    bytes: Buffer,
  ) => { readonly value: T } | { readonly found: string; readonly wanted: string }
}

/**
 * One key as the loader, the reference, gateway.yaml and the editors' schema read it: JSON Schema plus
 * what JSON Schema cannot say. `absent` and `computed` tell in words what is so when the key is left out.
 */
export interface KeySchema {
  readonly type?: 'object' | 'array' | 'string' | 'boolean' | 'integer' | 'number'
  readonly description?: string
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly enum?: readonly (string | boolean)[]
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly items?: KeySchema
  readonly anyOf?: readonly KeySchema[]
  readonly properties?: Readonly<Record<string, KeySchema>>
  readonly additionalProperties?: boolean | KeySchema
  readonly propertyNames?: { readonly pattern: string }
  /** How a text becomes its value; without a kind it is taken as it stands. */
  readonly kind?: TextKind<unknown>
  /** Where a secret's text goes: alone, or with the file that it came from. */
  readonly secret?: 'text' | 'pem'
  /** Fewest bytes of a secret; from 2 on it is one of ours, which must be random. */
  readonly minBytes?: number
  /** A text by a secret's rules that everybody may read. */
  readonly public?: boolean
  /** What must be there before the start: the path as a folder, or the folder that its file is in. */
  readonly needs?: 'folder' | 'parent folder'
  /** What the file at the path holds becomes the value: read at the start and at each reload, and no more than `maxBytes` and one. */
  readonly file?: FileReader<unknown>
  /** What a problem report says was wanted. */
  readonly wanted?: string
  /** What it says where the key is missing, if that is more. */
  readonly missing?: string
  /** The smallest and largest duration or size allowed, written as in the file. */
  readonly min?: string
  readonly max?: string
  /** What the keys of a record are, for the table: `<client id>`. */
  readonly keyName?: string
  readonly absent?: string
  readonly computed?: string
  readonly restart?: Restart
  readonly advise?: Advice
}

type Doc = Pick<KeySchema, 'description' | 'default' | 'examples' | 'wanted' | 'missing'>
/** What a single value can have besides its description. */
export type LeafOptions = Omit<KeySchema, 'description' | 'type' | 'items' | 'properties'>

/** A key of any form; `T` is its value once it is read. */
export function leaf<T>(schema: KeySchema): TUnsafe<T> {
  return schema as TUnsafe<T>
}

/** A schema as the plain data that it is. */
export const keyOf = (schema: TSchema): KeySchema => schema

const withDefault = (value: unknown): LeafOptions => (value === undefined ? {} : { default: value })

/** Free text, perhaps with a pattern. */
export const text = (description: string, options: LeafOptions = {}): TUnsafe<string> =>
  leaf({ type: 'string', wanted: 'text', minLength: 1, description, ...options })

/** A text of a kind. */
export const value = <T>(
  kind: TextKind<T>,
  description: string,
  options: LeafOptions = {},
): TUnsafe<T> =>
  leaf({
    type: 'string',
    kind,
    pattern: kind.pattern,
    wanted: kind.wanted,
    description,
    ...options,
  })

/** A path whose file is the value. */
export const contentOf = <T>(
  kind: TextKind<string>,
  file: FileReader<T>,
  description: string,
  options: LeafOptions = {},
): TUnsafe<T> => leaf({ ...keyOf(value(kind, description, options)), file })

/** True or false. */
export const flag = (description: string, normally?: boolean): TUnsafe<boolean> =>
  leaf({ type: 'boolean', wanted: 'true or false', description, ...withDefault(normally) })

/** A whole number from 1. */
export const count = (description: string, options: LeafOptions = {}): TUnsafe<number> =>
  leaf({ type: 'integer', minimum: 1, wanted: 'a whole number from 1', description, ...options })

/** One of some words. */
export const choice = <T extends string>(
  description: string,
  values: readonly T[],
  normally?: T,
): TUnsafe<T> =>
  leaf({
    type: 'string',
    enum: values,
    wanted: values.join(', '),
    description,
    ...withDefault(normally),
  })

/** A list of one kind of entries. */
export const list = <T extends TSchema>(
  item: T,
  doc: Doc & { minItems?: number; maxItems?: number },
): TArray<T> => {
  const schema: KeySchema = { type: 'array', items: keyOf(item), wanted: 'a list', ...doc }
  return schema as TArray<T>
}

/** Keys that are known by name. */
export const shape = <T extends TProperties>(description: string, properties: T): TObject<T> => {
  const wanted = 'keys and values'
  const schema: KeySchema = {
    type: 'object',
    properties,
    additionalProperties: false,
    wanted,
    description,
  }
  return schema as TObject<T>
}

/** Entries under names that the file chooses. */
export const record = <T extends TSchema>(
  keyName: string,
  item: T,
  options: Doc & { propertyNames?: { pattern: string } },
): TUnsafe<Readonly<Record<string, Static<T>>>> =>
  leaf({
    type: 'object',
    wanted: 'keys and values',
    keyName,
    additionalProperties: keyOf(item),
    ...options,
  })

/** A key that may be left out; `absent` says what that means. */
export const optional = <T extends TSchema>(
  schema: T,
  absent: string,
): TUnsafe<Static<T> | undefined> => leaf({ ...keyOf(schema), absent })

/** A key whose default follows from others; `rule` says how. */
export const computed = <T extends TSchema>(schema: T, rule: string): TUnsafe<Static<T>> =>
  leaf({ ...keyOf(schema), computed: rule })

/** A key that only a new process takes: what is open already, or named after it, cannot change. */
export const fixed = <T extends TSchema>(
  schema: T,
  restart: Restart = 'always',
): TUnsafe<Static<T>> => leaf({ ...keyOf(schema), restart })

type DeepReadonly<T> = T extends readonly (infer U)[]
  ? readonly DeepReadonly<U>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T

/** What a schema's keys become: every default filled in, every value parsed. */
export type Resolved<T extends TSchema> = DeepReadonly<Static<T>>
