/** Who can sign in at the demo: three people as a Cognito pool with e-mail sign-in would keep them. */

/** One user of the look-alike pool. Mutable, so that a test can change groups between two tokens. */
export interface Person {
  email: string
  password: string
  /** Cognito's user name; a UUID in a pool where people sign in by e-mail. */
  username: string
  /** Cognito's `sub`; the same UUID as `username` in such a pool. */
  sub: string
  name: string
  emailVerified: boolean
  groups: string[]
  /** The `trac_permissions` claim that LearnTrac's Lambda adds to ID tokens; absent when empty. */
  permissions: string[]
  /** Further claims of the ID token and the userinfo answer, such as `custom:…`. */
  claims?: Record<string, unknown>
}

/** Makes the three people of the demo afresh: an admin, an instructor, a student. */
export function createPeople(): [Person, Person, Person] {
  return [
    createPerson('8c1f3a52-5b1e-4d0a-9f43-2f6f0d3b7a11', 'alice', 'Alice Admin', 'admins', []),
    createPerson('1d9e7c40-0c57-4b6b-8a55-6f1e7b92c322', 'ivan', 'Ivan Instructor', 'instructors', [
      'LEARNING_PARTICIPATE',
    ]),
    createPerson('f27b64d8-93a4-4c0e-b7d6-b0a9c5e14533', 'sam', 'Sam Student', 'students', []),
  ]
}

function createPerson(
  id: string,
  localPart: string,
  name: string,
  group: string,
  permissions: string[],
): Person {
  return {
    email: `${localPart}@example.edu`,
    password: `${localPart}-demo`,
    username: id,
    sub: id,
    name,
    emailVerified: true,
    groups: [group],
    permissions,
  }
}
