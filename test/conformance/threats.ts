/** What must stand in the table: every fact, advisory and complaint of our list of threats, by its number or name. */

/** Facts about Trac and our stack, by the numbers that the rows have. */
export const facts: readonly string[] = [
  ...['0.1', '0.2', '0.3', '0.4', '0.5', '0.6', '0.7', '0.8', '0.9', '0.10'],
  ...['0.11', '0.12', '0.13', '0.14', '0.15', '0.16', '0.17', '0.18', '0.19'],
]

/** Advisories, as they were published. */
export const advisories: readonly string[] = [
  // oauth2-proxy
  ...['CVE-2017-1000069', 'CVE-2017-1000070', 'CVE-2020-5233', 'CVE-2020-11053', 'CVE-2020-4037'],
  ...['CVE-2021-21291', 'CVE-2021-21411', 'CVE-2025-54576', 'CVE-2025-64484', 'CVE-2026-34457'],
  ...['CVE-2026-40575', 'CVE-2026-41059', 'CVE-2026-40574', 'CVE-2026-34454'],
  ...['oauth2-proxy#3506', 'oauth2-proxy#877', 'oauth2-proxy#2085'],
  // Pomerium
  ...['CVE-2021-29651', 'CVE-2021-29652', 'CVE-2021-39162', 'CVE-2021-39204', 'CVE-2021-39206'],
  ...['CVE-2021-41230', 'CVE-2022-24797', 'CVE-2023-33189', 'CVE-2024-39315', 'CVE-2024-47616'],
  'GHSA-j34v',
  // Oathkeeper
  ...['CVE-2021-32701', 'GHSA-w9mr', 'CVE-2026-33494', 'CVE-2026-33495', 'CVE-2026-33496'],
  // mod_auth_openidc
  ...['CVE-2019-14857', 'CVE-2019-20479', 'CVE-2021-32786', 'CVE-2021-39191', 'CVE-2022-23527'],
  ...['CVE-2021-20718', 'CVE-2021-32785', 'CVE-2021-32791', 'CVE-2021-32792', 'CVE-2023-28625'],
  ...['CVE-2024-24814', 'CVE-2025-31492', 'CVE-2025-3891', 'GHSA-wcvh-g65p-v576'],
  // Authelia
  ...['CVE-2021-29456', 'CVE-2021-32637', 'GHSA-x883', 'CVE-2025-24806', 'CVE-2026-47203'],
  ...['CVE-2026-33525', 'CVE-2026-48794'],
  // Envoy, Istio, OPA
  ...['CVE-2021-21378', 'CVE-2021-29492', 'CVE-2021-32777', 'CVE-2026-26308', 'CVE-2026-31838'],
  ...['CVE-2021-32779', 'CVE-2021-39156', 'CVE-2022-29226', 'CVE-2023-27487', 'CVE-2023-27488'],
  ...['CVE-2023-27491', 'CVE-2023-27493', 'CVE-2023-27496', 'CVE-2023-35941', 'CVE-2024-45806'],
  ...['CVE-2024-45808', 'CVE-2024-45809', 'CVE-2025-64527', 'CVE-2024-23326', 'CVE-2025-64763'],
  ...['CVE-2025-55162', 'CVE-2025-66220', 'CVE-2026-47774', 'CVE-2026-47775', 'CVE-2026-48090'],
  ...['CVE-2026-73552', 'CVE-2026-73547', 'GHSA-8vc2', 'CVE-2026-26205'],
  // AWS, Traefik, Fabio
  ...['CVE-2024-45410', 'CVE-2026-29054', 'CVE-2026-33433', 'CVE-2026-39858', 'CVE-2026-54763'],
  ...['CVE-2026-35051', 'CVE-2026-54764', 'CVE-2026-26998', 'CVE-2026-71326', 'CVE-2026-54762'],
  ...['CVE-2026-41181', 'CVE-2025-66490', 'CVE-2026-40912', 'CVE-2026-48020', 'CVE-2025-48865'],
  // Our own stack
  ...['CVE-2026-2880', 'CVE-2026-33807', 'CVE-2026-33808', 'CVE-2026-3635', 'GHSA-qmw8-3v4g-gwj4'],
  ...['GHSA-v2v2-hph8-q5xp', 'CVE-2026-33805', 'GHSA-v574-6498-x57v', 'GHSA-c4qr-gmr9-v23w'],
  ...['CVE-2024-31999', 'CVE-2024-35220', 'CVE-2023-31999', 'CVE-2023-29019'],
  'GHSA-rp9m-7r4c-75qg',
]

/** What was published without a number, as the rows begin. */
export const unnumbered: readonly string[] = [
  'Oathkeeper 444b932f',
  'mod_auth_openidc 2026: the session id',
  'mod_auth_openidc 2026: a renewed ID token',
  'mod_auth_openidc 2026: `exp`',
  'mod_auth_openidc 2026: a logout token',
  'mod_auth_openidc 2026: a preflight',
  'mod_auth_openidc 2026: `state` and `code` twice',
  'mod_auth_openidc 2026: an empty `iss`',
  'mod_auth_openidc 2026: a suffix of a domain',
  'mod_auth_openidc 2026: a decompression bomb',
  'mod_auth_openidc 2026: the bound of chunks',
  'mod_auth_openidc 2026: a group with a delimiter',
  'mod_auth_openidc 2026: CR as well as LF',
  'Envoy v1.37.3',
  'AWS ALBeast',
  'Smuggling',
]

/** What users of such gateways suffered, by number, and what Cognito does. */
export const complaints: readonly string[] = [
  ...['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12', '13', '14', '15', '16', '17'],
  ...['22', '24', '26'],
]
export const cognito: readonly string[] = [
  'Cognito: what its tokens carry',
  'Cognito: no refresh token comes without rotation',
  'Cognito: renewed at three quarters',
  'Cognito: its own sign-out',
  'Cognito: a revoked token still verifies',
]
