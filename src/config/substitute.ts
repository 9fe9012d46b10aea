/** Puts environment variables into texts of gateway.yaml: `${NAME}`, `${NAME:-default}`, `$${` for `${`. */

/** The text with its variables filled in, or why that cannot be. */
export type Substituted =
  { readonly text: string; readonly changed: boolean } | { found: string; wanted: string }

const variable = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/

/** Fills in the variables of one text. As in a shell, `:-` counts for a variable that is empty, too. */
export function substitute(text: string, env: NodeJS.ProcessEnv): Substituted {
  if (!text.includes('${')) return { text, changed: false }
  let fault: { found: string; wanted: string } | undefined
  const filled = text.replaceAll(/\$?\$\{[^}]*\}?/g, (whole) => {
    if (whole.startsWith('$$')) return whole.slice(1)
    const match = whole.endsWith('}') ? variable.exec(whole.slice(2, -1)) : null
    const name = match?.[1]
    if (name === undefined) {
      fault ??= { found: JSON.stringify(whole), wanted: '${NAME} or ${NAME:-default}' }
      return ''
    }
    const value = env[name]
    const fallback = match?.[2]
    if (value === undefined && fallback === undefined) {
      fault ??= {
        found: `\${${name}}, which is not set`,
        wanted: `the environment variable ${name}, or a default: \${${name}:-…}`,
      }
    }
    return (fallback === undefined ? value : value || fallback) ?? ''
  })
  return fault ?? { text: filled, changed: true }
}
