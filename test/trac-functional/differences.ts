/** The tests of Trac that end otherwise behind the gateway, each with the reason why that is right. */

/** A test that is expected to fail. */
export interface Difference {
  /** Its class with the module, as the run prints it. */
  readonly test: string
  /** The Trac in which it differs; both if it is left out. */
  readonly only?: '1.6' | '1.4.4'
  /** What happens, and why it is right. */
  readonly why: string
}

const rows = (
  module: string,
  why: string,
  names: readonly string[],
  only?: '1.6' | '1.4.4',
): Difference[] =>
  names.map((name) => ({
    test: `trac.${module}.${name}`,
    why,
    ...(only === undefined ? {} : { only }),
  }))

/** A test here that passes is a fault, too: then the row goes. */
export const differences: readonly Difference[] = [
  ...rows(
    'tests.functional.testcases',
    'A path whose bytes are no UTF-8 is refused before Trac is asked: 400. Trac says 404.',
    ['RegressionTestTicket3663'],
  ),
  ...rows(
    'wiki.tests.functional',
    'A path with `..` in it is refused before Trac is asked: 400. Trac asks for another name of the page.',
    ['RegressionTestTicket10274'],
  ),
  ...rows(
    'ticket.tests.functional.admin',
    'Who may see no panel of the administration is refused by the route policy: 403. Trac says 404, with other words.',
    [
      'TestAdminComponentAuthorization',
      'TestAdminMilestoneAuthorization',
      'TestAdminPriorityAuthorization',
      'TestAdminResolutionAuthorization',
      'TestAdminSeverityAuthorization',
      'TestAdminTypeAuthorization',
      'TestAdminVersionAuthorization',
    ],
  ),
  ...rows(
    'admin.tests.functional',
    'Who may see no panel of the administration is refused by the route policy: 403. Trac says 404, with other words.',
    [
      'TestBasicSettingsAuthorization',
      'TestLoggingAuthorization',
      'TestPermissionsAuthorization',
      'TestPluginsAuthorization',
    ],
  ),
  ...rows(
    'ticket.tests.functional.main',
    'Who is not signed in and may not see a page is led to the sign-in. Trac says 403.',
    ['RegressionTestTicket11028'],
  ),
  ...rows(
    'wiki.tests.functional',
    'Who is not signed in and may not edit a page is led to the sign-in. Trac says 403.',
    ['RegressionTestTicket10957'],
  ),
  ...rows(
    'admin.tests.functional',
    'Permissions are kept in gateway.yaml, so Trac’s page of permissions grants and revokes nothing, and says so.',
    [
      'TestCreatePermissionGroup',
      'TestRemovePermissionGroup',
      'TestAddUserToGroup',
      'TestRemoveUserFromGroup',
      'TestCopyPermissions',
    ],
  ),
  ...rows(
    'admin.tests.functional',
    'Outside of a user’s own requests Trac knows the rights of their last one; the test asks before they come again.',
    ['RegressionTestTicket11069'],
  ),
  ...rows(
    'prefs.tests.functional',
    'Name and e-mail address are those of the account at the provider: Trac’s page saves no others, and says so.',
    ['TestPreferences'],
  ),
  ...rows(
    'prefs.tests.functional',
    'After a sign-out people are on a page of the gateway, which has no “Login”: the provider signs out, too.',
    ['RegressionTestRev5785'],
  ),
]
