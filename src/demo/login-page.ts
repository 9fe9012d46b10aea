/** The look-alike's own HTML: the login form and the page for errors. Works without script. */

const style = `
  body { font: 1rem/1.5 system-ui, sans-serif; margin: 0; background: #f2f3f3; color: #16191f }
  main { max-width: 22rem; margin: 4rem auto; padding: 2rem; background: #fff; border: 1px solid #aab7b8 }
  h1 { font-size: 1.4rem; margin: 0 0 1rem }
  label { display: block; margin-top: 1rem }
  input { box-sizing: border-box; width: 100%; font: inherit; padding: .5rem; border: 1px solid #545b64 }
  button { margin-top: 1.5rem; width: 100%; font: inherit; padding: .6rem; border: 0; background: #0a5a9c; color: #fff }
  [role=alert] { border-left: 4px solid #b0200c; padding-left: .75rem }`

/** Makes text safe inside HTML, attribute values included. */
function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>${style}
</style>
</head>
<body>
<main>
<h1>${escape(title)}</h1>
${body}
</main>
</body>
</html>
`
}

/** The sign-in form. It posts `email` and `password` to its own address. */
export function loginPage(email = '', problem?: string): string {
  return page(
    'Sign in to the demo pool',
    `${problem === undefined ? '' : `<p role="alert" id="problem">${escape(problem)}</p>`}
<form id="sign-in" method="post">
<label for="email">E-mail</label>
<input id="email" name="email" type="email" autocomplete="username" required value="${escape(email)}">
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button id="submit" type="submit">Sign in</button>
</form>`,
  )
}

/** A page that only says what went wrong. */
export function problemPage(text: string): string {
  return page('That did not work', `<p role="alert" id="problem">${escape(text)}</p>`)
}
