/** The texts of our own pages in English. A language has each of them, with the same `{names}`. */
import { detailTexts } from '../core/details.js'
import { errors } from '../core/errors.js'
import type { ErrorCode } from '../core/errors.js'

// Each code of the table is an entry.
// oxlint-disable-next-line typescript/no-unsafe-type-assertion
const errorTexts = Object.fromEntries(
  Object.entries(errors).map(([code, { text }]) => [code, text]),
) as Readonly<Record<ErrorCode, string>>

/** English. */
export const en = {
  ...errorTexts,
  ...detailTexts,
  'title.400': 'That request can’t be served',
  'title.401': 'Please sign in',
  'title.403': 'Not allowed',
  'title.404': 'Not found',
  'title.405': 'Not possible that way',
  'title.408': 'That took too long',
  'title.413': 'That is too large',
  'title.429': 'Too many requests',
  'title.431': 'The request is too large',
  'title.500': 'Something went wrong',
  'title.502': 'Trac can’t be reached',
  'title.503': 'Not available right now',
  'title.504': 'Trac took too long',
  'title.provider': 'The sign-in provider can’t be reached',
  'title.sign_in': 'Sign-in did not work',
  'error.typed':
    'The Back button of the browser should bring back what you typed: copy it before you go on.',
  'error.no_rights': 'This account has no rights here at all.',
  'error.contact': 'Whom to ask: {contact}',
  'error.code': 'Code',
  'error.request': 'Request',
  'error.signed_in_as': 'Signed in as',
  'action.start': 'Go to the start page',
  'action.host': 'Go to {host}',
  'action.sign_in': 'Sign in',
  'action.sign_in_again': 'Sign in again',
  'action.sign_out': 'Sign out',
  'action.other_account': 'Use another account',
  'action.try_again': 'Try again',
  'sign_out.nobody.title': 'You are not signed in',
  'sign_out.nobody': 'There is nothing to sign out of.',
  'sign_out.title': 'Sign out?',
  'sign_out.ask':
    'You are signed in as {user}. Signing out ends it here and at the sign-in provider.',
  'signed_out.title': 'Signed out',
  'signed_out.done': 'You are signed out.',
  'environments.title': 'Projects',
  'environments.open': 'These projects are open to you.',
  'environments.none': 'No project is open to you.',
  'environments.sign_in': 'Sign in to see those that your account may enter.',
  'session.title': 'Signed in as {user}',
  'session.about':
    'This is what Trac is told about you. Permissions can differ between tokens: an access token may lack the claim that adds some.',
  'session.environment': 'Environment',
  'session.name': 'Name',
  'session.email': 'E-mail',
  'session.groups': 'Groups',
  'session.left_out': 'Claimed, and not granted',
  'session.permissions': 'Permissions',
  'session.from': 'by {sources}',
  'session.no_name': 'not known',
  'session.no_email': 'not known, or not verified',
  'session.no_groups': 'none that count here',
  'tokens.title': 'Personal tokens',
  'tokens.about':
    'A personal token lets a program of yours in, as you. It may never do more than you. Signing out does not end it.',
  'tokens.none': 'You have none.',
  'tokens.made_on': 'Made',
  'tokens.ends': 'Ends',
  'tokens.ended': 'Ended',
  'tokens.used': 'Last used',
  'tokens.never': 'never',
  'tokens.may': 'May do',
  'tokens.where': 'Where',
  'tokens.all': 'whatever you may do',
  'tokens.everywhere': 'wherever you may go',
  'tokens.make': 'Make a token',
  'tokens.revoke': 'Revoke',
  'tokens.back': 'Back to the tokens',
  'tokens.new.title': 'A new token',
  'tokens.new.about': 'Give it no more than the program needs.',
  'tokens.new.name': 'Name, such as the program and its machine',
  'tokens.new.days': 'Days until it ends',
  'tokens.new.view': 'only view (permissions that end in _VIEW)',
  'tokens.new.some': 'only what is ticked here',
  'tokens.new.trac': 'all pages of Trac itself',
  'tokens.bad.name': 'It needs a name of at most 60 characters.',
  'tokens.bad.named': 'You have a token of that name already.',
  'tokens.bad.many': 'You have {max} tokens, and that is the limit. Revoke one first.',
  'tokens.bad.days': 'It may live for 1 to {max} days.',
  'tokens.bad.choice':
    'What is ticked counts only with the choice “{some}”, and then at least one must be.',
  'tokens.bad.view': 'You have no permission to view anything.',
  'tokens.made.title': 'The token {name} is made',
  'tokens.made.once':
    'It is shown this once and never again. Copy it now, and keep it as you keep a password.',
  'tokens.again': 'For this you must have signed in within the last five minutes.',
} as const

/** Names a text. */
export type TextKey = keyof typeof en

/** All texts of a language. */
export type Texts = Readonly<Record<TextKey, string>>
