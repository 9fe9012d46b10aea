/** The base images are pinned by digest, and a script moves both pins, or neither. */
import { t } from '../fixtures/tap.js'
import type { Test } from 'tap'
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../fixtures/root.js'

const dockerfiles = ['Dockerfile', 'deploy/trac/Dockerfile'] as const
const bases = (folder: string): readonly string[] =>
  dockerfiles.flatMap((file) =>
    [...readFileSync(join(folder, file), 'utf8').matchAll(/^FROM (\S+:\S+)/gm)].map(
      ([, base = '']) => base,
    ),
  )
const digestOf = (character: string): string => `sha256:${character.repeat(64)}`

/** A copy of the files, and a folder of programs that comes first on PATH. */
function stage(t: Test, programs: Readonly<Record<string, string>>) {
  const folder = t.testdir({ bin: {}, deploy: { trac: {} } })
  for (const file of [...dockerfiles, 'deploy/pin-base-image']) {
    cpSync(join(root, file), join(folder, file))
  }
  // Only what the script needs of the system, so that a Docker of this machine is not found.
  const system = join(folder, 'system')
  mkdirSync(system)
  for (const name of ['bash', 'awk', 'sed', 'sort', 'dirname', 'sha256sum', 'cat']) {
    writeFileSync(join(system, name), `#!/bin/sh\nexec /usr/bin/${name} "$@"\n`, { mode: 0o755 })
  }
  for (const [name, text] of Object.entries(programs)) {
    writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${text}\n`)
    chmodSync(join(folder, 'bin', name), 0o755)
  }
  const run = () =>
    spawnSync('/bin/bash', [join(folder, 'deploy/pin-base-image')], {
      encoding: 'utf8',
      env: { PATH: `${join(folder, 'bin')}:${system}` },
    })
  return {
    folder,
    run,
    text: () => dockerfiles.map((file) => readFileSync(join(folder, file), 'utf8')),
  }
}

await t.test('every base image of ours has a tag and a digest', async (t) => {
  const all = bases(root)
  t.equal(all.length, 3)
  for (const base of all) t.match(base, /^(?:node|python):[\w.-]+@sha256:[0-9a-f]{64}$/)
  t.equal(all[0], all[1], 'both stages are the same image')
})

await t.test('Docker is asked for the digest of each tag, and nothing else changes', async (t) => {
  const asked = `case "$*" in
    "buildx version") ;;
    "buildx imagetools inspect node:"*) echo ${digestOf('a')} ;;
    "buildx imagetools inspect python:"*) echo ${digestOf('b')} ;;
    *) exit 1 ;;
  esac`
  const { folder, run, text } = stage(t, { docker: asked })
  const before = text()
  const { status, stderr } = run()
  t.equal(status, 0, stderr)
  t.strictSame(
    bases(folder).map((base) => base.replace(/^(\w+):.*@/, '$1@')),
    [`node@${digestOf('a')}`, `node@${digestOf('a')}`, `python@${digestOf('b')}`],
  )
  const plain = (all: readonly string[]) => all.map((one) => one.replaceAll(/@sha256:\w+/g, ''))
  t.strictSame(plain(text()), plain(before))
})

await t.test('without Docker skopeo is asked', async (t) => {
  const { folder, run } = stage(t, { skopeo: 'printf %s "$3"' })
  t.equal(run().status, 0)
  const hash = /@sha256:[0-9a-f]{64}$/
  t.ok(bases(folder).every((base) => hash.test(base)))
  t.not(bases(folder)[0], bases(root)[0])
})

await t.test('a registry that does not answer for one of them changes neither', async (t) => {
  const broken = `case "$*" in
    "buildx version") ;;
    *node:*) echo ${digestOf('a')} ;;
    *) exit 1 ;;
  esac`
  const nonsense = 'case "$*" in "buildx version") ;; *) echo no digest ;; esac'
  for (const programs of [{ docker: broken }, { docker: nonsense }, {}]) {
    const { run, text } = stage(t, programs)
    const before = text()
    const { status, stderr } = run()
    t.equal(status, 1)
    t.match(stderr, /^deploy\/pin-base-image: /)
    t.strictSame(text(), before)
  }
})
