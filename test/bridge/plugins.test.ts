/** Plugins that people really have, with our identity: pages of their own (`trac:plugins`), rights of their own, panels. */
import { stage } from '../fixtures/stage.js'
import { t } from '../fixtures/tap.js'
import { setIni } from '../fixtures/tracs.js'
import { Visitor } from '../fixtures/visitor.js'
import type { Answer } from '../fixtures/visitor.js'

const policies = 'PrivateTicketsPolicy, DefaultWikiPolicy, DefaultTicketPolicy, TracGatewayPolicy'

/** All of AccountManager but what signs people in, which the bridge refuses to run beside. */
const accountManager = {
  'acct_mgr.api.*': 'enabled',
  'acct_mgr.admin.useradminpanel': 'enabled',
  'acct_mgr.htfile.htpasswdstore': 'enabled',
  'acct_mgr.web_ui.loginmodule': 'disabled',
}

const components = {
  'tracd 1.6': accountManager,
  // Made for Pythons of that time.
  'tracd 1.4': { 'tractags.*': 'enabled' },
} as const

/** The token of Trac's forms on a page. */
const formToken = ({ text }: Answer): string =>
  /name="__FORM_TOKEN"[^>]*value="([0-9a-f]+)"|value="([0-9a-f]+)"[^>]*name="__FORM_TOKEN"/
    .exec(text)
    ?.slice(1)
    .find(Boolean) ?? ''

/** Whom the form of a blog post says it is by. */
const authorOn = ({ text }: Answer): string =>
  /<input[^>]*name="author"[^>]*value="([^"]*)"|<input[^>]*value="([^"]*)"[^>]*name="author"/
    .exec(text)
    ?.slice(1)
    .find(Boolean) ?? ''

for (const server of ['tracd 1.6', 'tracd 1.4'] as const) {
  await t.test(`${server}: plugins know who asks`, async (t) => {
    const s = await stage(t, {
      provider: 'cognito',
      trac: {
        server,
        withExtras: true,
        ini: {
          components: {
            'tracfullblog.*': 'enabled',
            'privatetickets.*': 'enabled',
            ...components[server],
          },
          trac: { permission_policies: `${policies}, LegacyAttachmentPolicy` },
          'account-manager': { password_store: 'HtPasswdStore', htpasswd_file: '' },
        },
      },
      overlay: {
        permissions: {
          groups: {
            admins: ['TRAC_ADMIN'],
            instructors: [
              ...['TICKET_VIEW', 'TICKET_CREATE', 'WIKI_VIEW', 'WIKI_MODIFY', 'BLOG_VIEW'],
              ...['BLOG_CREATE', 'BLOG_MODIFY_ALL', 'TAGS_VIEW', 'TAGS_MODIFY', 'WIKI_CREATE'],
            ],
            students: [
              ...['TICKET_VIEW', 'TICKET_CREATE', 'WIKI_VIEW', 'BLOG_VIEW', 'TAGS_VIEW'],
              'TICKET_VIEW_REPORTER',
            ],
          },
          anonymous: [],
        },
        upstreams: { trac: { signature: 'v2' } },
      },
    })
    const [alice, ivan, sam] = await Promise.all([
      s.signIn(s.alice),
      s.signIn(s.ivan),
      s.signIn(s.sam),
    ])
    const page = (who: Visitor, path: string) => who.open(s.url + path)
    const post = async (who: Visitor, form: string, path: string, fields: object) => {
      const token = formToken(await page(who, form))
      const body = new URLSearchParams({ __FORM_TOKEN: token, ...fields }).toString()
      return who.submit(s.url + path, body)
    }

    await t.test(
      'FullBlog: who may read reads, who may write writes under their name',
      async (t) => {
        t.equal((await page(sam, '/blog')).status, 200)
        const fields = { name: 'first', title: 'The first', body: 'Text', 'blog-save': 'save' }
        const refused = await post(sam, '/prefs', '/blog/create', fields)
        t.equal(refused.status, 403, 'Trac judges its plugin’s page')
        const author = authorOn(await page(ivan, '/blog/create'))
        t.equal(author, 'ivan', 'the form has the name')
        const made = await post(ivan, '/blog/create', '/blog/create', { ...fields, author })
        t.match(made.status, /^30[23]$/)
        const read = await page(sam, '/blog/first')
        t.equal(read.status, 200)
        t.match(read.text, /The first/)
        t.match(read.text, /\bivan\b/i, 'by whoever is signed in')
      },
    )

    await t.test('FullBlog: who is nobody is sent to sign in', async (t) => {
      const { status, location } = await page(new Visitor(), '/blog/first')
      t.equal(status, 302)
      t.match(location, /\/auth\/login\?return_to=%2Ftrac%2Fblog%2Ffirst$/)
    })

    await t.test('PrivateTickets: one sees one’s own tickets and no others', async (t) => {
      const create = async (who: Visitor, summary: string) => {
        const fields = { field_summary: summary, field_type: 'defect', submit: 'create' }
        const { status, location } = await post(who, '/newticket', '/newticket', fields)
        t.equal(status, 303)
        return new URL(location).pathname.replace(/^\/trac/, '')
      }
      const own = await create(sam, 'Made by sam')
      const others = await create(ivan, 'Made by ivan')
      t.equal((await page(sam, own)).status, 200)
      const refused = await page(sam, others)
      t.equal(refused.status, 403, 'our policy lets pass what the plugin’s then refuses')
      t.notMatch(refused.text, /Made by ivan/)
      t.equal((await page(ivan, own)).status, 200, 'the plugin asks nothing of instructors')
      t.equal((await page(alice, others)).status, 200)
    })

    if (server === 'tracd 1.6') {
      await t.test('AccountManager: its panel opens for whoever administers Trac', async (t) => {
        const panel = await page(alice, '/admin/accounts/users')
        t.equal(panel.status, 200)
        t.match(panel.text, /<h2[^>]*>\s*Accounts/)
        t.equal((await page(sam, '/admin/accounts/users')).status, 403)
        // Its other panel can say who a user is, so all is refused until it is off.
        const panelOf = (value: string) =>
          setIni(s.trac.environment, 'components', 'acct_mgr.admin.configurationadminpanel', value)
        await panelOf('enabled')
        const refused = await page(alice, '/wiki')
        t.equal(refused.status, 403)
        t.match(refused.text, /acct_mgr\.admin\.configurationadminpanel = disabled/)
        await panelOf('disabled')
        t.equal((await page(alice, '/wiki')).status, 200)
      })
      return
    }

    await t.test('Tags: a page gets them from whoever may change it', async (t) => {
      const fields = { action: 'edit', version: '0', text: 'A page', tags: 'course', save: 'save' }
      const saved = await post(ivan, '/wiki/Tagged?action=edit', '/wiki/Tagged', fields)
      t.match(saved.status, /^30[23]$/)
      const found = await page(sam, '/tags/course')
      t.equal(found.status, 200)
      t.match(found.text, /Tagged/)
    })
  })
}
