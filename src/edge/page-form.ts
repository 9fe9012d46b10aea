/** Forms on our own pages, which work without script. */
import { escapeHtml } from './escape-html.js'

/** One of some things to choose. */
export interface FormOption {
  readonly value: string
  readonly label: string
}

/** What a form asks for. */
export type FormField =
  | {
      readonly kind: 'text' | 'number'
      readonly name: string
      readonly label: string
      readonly value: string
      /** Characters of a text, or the greatest number. */
      readonly max: number
    }
  | {
      /** `radio`: one of them; `checks`: any number. */
      readonly kind: 'radio' | 'checks'
      readonly name: string
      readonly label: string
      readonly options: readonly FormOption[]
      readonly chosen: readonly string[]
    }

/** A form: where it is sent, what goes with it unseen, what it asks for, and what its button says. */
export interface PageForm {
  readonly post: string
  readonly hidden: Readonly<Record<string, string>>
  readonly fields: readonly FormField[]
  readonly label: string
}

const attributes = (pairs: Readonly<Record<string, string>>): string =>
  Object.entries(pairs)
    .map(([name, value]) => ` ${name}="${escapeHtml(value)}"`)
    .join('')

/** Fields that nobody sees. */
export function renderHidden(hidden: Readonly<Record<string, string>>): string {
  return Object.entries(hidden)
    .map(([name, value]) => `<input${attributes({ type: 'hidden', name, value })}>`)
    .join('')
}

function renderField(field: FormField): string {
  const { name } = field
  const label = escapeHtml(field.label)
  if ('value' in field) {
    const { kind: type, value, max } = field
    const limits: Readonly<Record<string, string>> =
      type === 'text' ? { maxlength: String(max) } : { min: '1', max: String(max) }
    const input = `<input${attributes({ type, name, value, ...limits })} required autocomplete="off">`
    return `<p><label>${label}<br>${input}</label></p>`
  }
  const type = field.kind === 'radio' ? 'radio' : 'checkbox'
  const options = field.options.map(({ value, label: text }) => {
    const checked = field.chosen.includes(value) ? ' checked' : ''
    const input = `<input${attributes({ type, name, value })}${checked}>`
    return `<label>${input} ${escapeHtml(text)}</label>`
  })
  const many = field.kind === 'checks' ? ' class="many"' : ''
  return `<fieldset${many}><legend>${label}</legend>${options.join('\n')}</fieldset>`
}

/** A form as HTML. */
export function renderForm({ post, hidden, fields, label }: PageForm): string {
  const inputs = fields.map(renderField).join('\n')
  return `<form method="post" action="${escapeHtml(post)}">${renderHidden(hidden)}
${inputs}
<p><button>${escapeHtml(label)}</button></p></form>`
}
