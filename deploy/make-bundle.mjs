/**
 * Puts the program and the packages it runs with into few files, which start in three fifths of the time: hundreds of files
 * need not be found, read and compiled one by one.
 *
 *   node deploy/make-bundle.mjs FOLDER
 *
 * FOLDER has package.json, `dist` (npm run build) and `node_modules`; it is changed in place, and is the same each time. What
 * is in the bundle is taken away. Of each package in it package.json, licence and readme stay, for people and for scanners.
 * Nothing is shortened: a stack trace has the names of the functions. Of two that have the same name one gets a number.
 */
import { existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { build } from 'esbuild'

/** Loaded where it is used, and only there: it and what it needs stay as they are. */
const apart = ['ioredis']
/** Files that `dist` has beside the program. */
const beside = /^(?:browser\/client\.js|sbom\.cdx\.json)$/
/** A readme may be where the licence stands. */
const told = /^(?:package\.json|node_modules|(?:licen[cs]e|copying|notice|authors?|readme)\b.*)$/i

const folder = resolve(process.argv[2] ?? die('usage: node deploy/make-bundle.mjs FOLDER'))
const dist = join(folder, 'dist')

if (existsSync(join(folder, '.git'))) {
  die(`${folder} is a checkout, whose packages would be taken away; wanted a copy of it`)
}

function die(message) {
  process.stderr.write(`deploy/make-bundle: ${message}\n`)
  process.exit(1)
}

/** A module of ours finds its files from where it stood. */
const ownPlace = {
  name: 'own-place',
  setup({ onLoad }) {
    onLoad({ filter: /\.js$/ }, ({ path }) => {
      if (!path.startsWith(`${dist}/`)) return undefined
      const place = `new URL('./${relative(dist, path)}', import.meta.url).href`
      return { contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', place) }
    })
  },
}

const shared = {
  absWorkingDir: folder,
  outdir: 'dist',
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  metafile: true,
  write: false,
  logLevel: 'warning',
}
const { outputFiles, metafile } = await build({
  ...shared,
  entryPoints: ['dist/main.js'],
  // The demo runs in a checkout only.
  external: [...apart, './demo/*'],
  splitting: true,
  legalComments: 'inline',
  // What is CommonJS asks for modules of Node's with `require`.
  banner: {
    js: "import { createRequire as createRequireOfBundle } from 'node:module'\nconst require = createRequireOfBundle(import.meta.url)",
  },
  plugins: [ownPlace],
})

// --- the program --------------------------------------------------------------------------------

for (const name of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
  if (!beside.test(name) && statSync(join(dist, name)).isFile()) rmSync(join(dist, name))
}
removeEmpty(dist)
for (const { path, contents } of outputFiles) {
  writeFileSync(path, contents, { mode: path === join(dist, 'main.js') ? 0o755 : 0o644 })
}

// --- its packages -------------------------------------------------------------------------------

/** The places of the packages that a bundle is made of. */
const placesOf = ({ inputs }) =>
  new Set(
    Object.keys(inputs).flatMap(
      (path) => /^(.*\bnode_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? [],
    ),
  )
const ofApart = await build({
  ...shared,
  stdin: { contents: apart.map((name) => `import '${name}'`).join('\n'), resolveDir: folder },
})
const whole = placesOf(ofApart.metafile)
for (const place of placesOf(metafile)) if (!whole.has(place)) strip(place)

/** Leaves what tells of a package, and packages within it. */
function strip(place) {
  for (const name of readdirSync(join(folder, place))) {
    if (!told.test(name)) rmSync(join(folder, place, name), { recursive: true })
  }
}

/** Folders in which nothing is left. */
function removeEmpty(path) {
  for (const name of readdirSync(path)) {
    if (statSync(join(path, name)).isDirectory()) removeEmpty(join(path, name))
  }
  if (readdirSync(path).length === 0) rmSync(path, { recursive: true })
}
