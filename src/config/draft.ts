/** A configuration that is not yet known to be whole, and what can be read of it. */

/** A configuration some of whose keys could not be read: those are undefined. */
export type Draft<T> = T extends readonly (infer U)[]
  ? readonly (Draft<U> | undefined)[]
  : T extends object
    ? { readonly [K in keyof T]?: Draft<T[K]> | undefined }
    : T

/** Entries of a record that could be read. */
export function entriesOf<T>(
  record: Readonly<Record<string, T | undefined>> | undefined,
): (readonly [string, T])[] {
  return Object.entries(record ?? {}).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, value] as const],
  )
}

/** Items of a list that could be read, with their index. */
export function itemsOf<T>(list: readonly (T | undefined)[] | undefined): (readonly [number, T])[] {
  return (list ?? []).flatMap((value, index) =>
    value === undefined ? [] : [[index, value] as const],
  )
}
