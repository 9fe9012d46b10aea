/** The certificate of `server.tls`, read again when its files change: only a pair that fits replaces the one that serves. */
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import type { Pem } from '../config/kinds/secret.js'
import type { Milliseconds, Timer, Timers } from '../core/clock.js'

/** A certificate chain and its key, as PEM. */
export interface CertificatePair {
  readonly certificate: string
  readonly key: string
}

/** Where the pair comes from; a part without a path (it came from the environment) stays as it is. */
export interface CertificateFiles {
  readonly certificate: Pem
  readonly key: Pem
}

/** What happens. */
export interface CertificateEvents {
  /** Serves a new pair from now on; if it throws, the old one is still served. */
  readonly present: (pair: CertificatePair) => void
  /** The files hold no pair that fits, and why; undefined: they do again. */
  readonly onFault: (cause: unknown) => void
}

/** A watched certificate. */
export interface CertificateWatch {
  /** Reads the files now; what is wrong with them is said at once. */
  reload(): void
  close(): void
}

/**
 * How often the files' status is looked at. It follows links, so it sees every way of changing them: written in
 * place, renamed (certbot), a link turned to another folder (Kubernetes), on any file system.
 */
const lookEvery: Milliseconds = 1000

/** How long a certificate may wait for its key, or a half-written file for its other half. */
const timeout: Milliseconds = 5000

/** @throws Error — one of them can't be read, or they are not of one pair */
function verifyPair({ certificate, key }: CertificatePair): void {
  if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))) {
    throw new Error('the key is that of another certificate')
  }
}

async function readText({ path, value }: Pem): Promise<string> {
  return (path === undefined ? value : await readFile(path, 'utf8')).trim()
}

/** What differs when a file was changed, replaced or linked anew; it follows links. */
async function statusOf(path: string): Promise<string> {
  const facts = await stat(path, { bigint: true }).catch(() => undefined)
  return [facts?.dev, facts?.ino, facts?.size, facts?.mtimeNs, facts?.ctimeNs].join()
}

/** Watches the files until it is closed. */
export function watchCertificate(
  files: CertificateFiles,
  events: CertificateEvents,
  timers: Timers,
): CertificateWatch {
  let served = { certificate: files.certificate.value.trim(), key: files.key.value.trim() }
  let faulty = false
  /** The number of the last look; an older one that ends later has nothing to say. */
  let looks = 0
  let again: Timer | undefined
  let closed = false

  const take = (pair: CertificatePair): void => {
    if (pair.certificate !== served.certificate || pair.key !== served.key) {
      verifyPair(pair)
      events.present(pair)
      served = pair
    }
    if (faulty) events.onFault(undefined)
    faulty = false
  }
  const look = async (isPatient: boolean): Promise<void> => {
    if (closed) return
    timers.clearTimeout(again)
    const turn = ++looks
    const isOutdated = () => closed || turn !== looks
    try {
      const [certificate, key] = await Promise.all([
        readText(files.certificate),
        readText(files.key),
      ])
      if (!isOutdated()) take({ certificate, key })
    } catch (cause) {
      if (isOutdated()) return
      if (isPatient) {
        again = timers.setTimeout(() => void look(false), timeout)
        again.unref()
        return
      }
      faulty = true
      events.onFault(cause)
    }
  }

  const paths = [files.certificate.path, files.key.path].filter((path) => path !== undefined)
  // At first nothing is known: the files may have changed since the configuration was loaded.
  let seen: string | undefined
  const check = async (): Promise<void> => {
    const status = (await Promise.all(paths.map(statusOf))).join(' ')
    if (status === seen) return
    seen = status
    await look(true)
  }
  const checking = timers.setInterval(() => void check(), lookEvery)
  checking.unref()
  void check()
  return {
    reload: () => void look(false),
    close() {
      closed = true
      timers.clearTimeout(again)
      timers.clearInterval(checking)
    },
  }
}
