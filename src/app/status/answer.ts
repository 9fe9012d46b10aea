/** Answers `GET /` of the admin listener: the status as a page, or as JSON. */
import { createPages } from '../../edge/page.js'
import type { StatusAnswer, StatusAsker } from '../../observe/admin.js'
import { english } from '../../texts/languages.js'
import { statusPage } from './page.js'
import { reportStatus } from './report.js'
import type { StatusParts } from './report.js'

/** Makes the answer; user names are in it only for who may see them. */
export async function answerStatus(parts: StatusParts, asker: StatusAsker): Promise<StatusAnswer> {
  const report = await reportStatus(parts, asker.isOperator)
  if (asker.wantsPage) {
    const pages = createPages(parts.services.config.pages)
    const { tag } = english
    return { headers: pages.headers([], tag), body: pages.render(statusPage(report), tag) }
  }
  const headers = ['Content-Type', 'application/json; charset=utf-8']
  return { headers, body: `${JSON.stringify(report)}\n` }
}
