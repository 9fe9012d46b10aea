/** The packages that package-lock.json pins: what is shipped, and under which licence. */

/** One package, as the lock file has it. */
export interface LockedPackage {
  readonly name: string
  readonly version: string
  /** An SPDX expression, or undefined where the package says none. */
  readonly license: string | undefined
  /** `sha512-…` in base 64 (Subresource Integrity). */
  readonly integrity: string | undefined
  /** Packages that it finds, by their places in the lock file. */
  readonly needs: readonly string[]
}

/** A lock file, read. */
export interface LockFile {
  readonly name: string
  readonly version: string
  readonly license: string
  /** Places of what the program itself asks for. */
  readonly needs: readonly string[]
  /** What the program runs with, by its place below `node_modules`. */
  readonly shipped: ReadonlyMap<string, LockedPackage>
  /** What only development needs. */
  readonly development: ReadonlyMap<string, LockedPackage>
}

interface Entry {
  readonly version: string
  readonly license?: string
  readonly integrity?: string
  readonly dev?: boolean
  readonly name?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const nameAt = (place: string): string => place.slice(place.lastIndexOf('node_modules/') + 13)

/** Where a package finds another, as Node looks for it: in its own folder, then in those above. */
function find(
  packages: Readonly<Record<string, Entry>>,
  from: string,
  name: string,
): string | undefined {
  for (
    let folder = from;
    ;
    folder = folder.replace(/(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/]+$/, '')
  ) {
    const place = `${folder}${folder === '' ? '' : '/'}node_modules/${name}`
    if (packages[place] !== undefined) return place
    if (folder === '') return undefined
  }
}

/**
 * Reads the text of a package-lock.json (version 3).
 * @throws Error — it is not one
 */
export function readLockFile(text: string): LockFile {
  // A lock file is made by npm alone.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const { packages } = JSON.parse(text) as { readonly packages: Readonly<Record<string, Entry>> }
  const needsOf = (from: string): readonly string[] => {
    const { dependencies = {}, optionalDependencies = {} } = packages[from]!
    return Object.keys({ ...dependencies, ...optionalDependencies }).flatMap(
      (name) => find(packages, from, name) ?? [],
    )
  }
  const toPackage = ([place, entry]: readonly [string, Entry]): [string, LockedPackage] => [
    place,
    {
      name: entry.name ?? nameAt(place),
      version: entry.version,
      license: entry.license,
      integrity: entry.integrity,
      needs: needsOf(place),
    },
  ]
  const root = packages['']
  if (root === undefined)
    throw new Error('package-lock.json has no packages: write it with npm 7 or later')
  const all = Object.entries(packages).filter(([place]) => place !== '')
  return {
    name: root.name ?? '',
    version: root.version,
    license: root.license ?? '',
    needs: needsOf(''),
    shipped: new Map(all.filter(([, entry]) => entry.dev !== true).map(toPackage)),
    development: new Map(all.filter(([, entry]) => entry.dev === true).map(toPackage)),
  }
}
