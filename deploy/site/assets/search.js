/** The search of the site: Pagefind's index, which stands beside the pages; nobody else is asked. */
const top = new URL('..', import.meta.url)
const form = document.querySelector('form')
const input = document.querySelector('#words')
const found = document.querySelector('#found')

/** Results that are shown. */
const shown = 8
let index
let asked = 0

/** The index is loaded when somebody begins to search. */
async function load() {
  index ??= import(new URL('pagefind/pagefind.js', top)).then(async (pagefind) => {
    await pagefind.options({ baseUrl: top.pathname })
    return pagefind
  })
  return await index
}

function make(name, ...children) {
  const element = document.createElement(name)
  element.append(...children)
  return element
}

/** An excerpt with its marked words. */
const excerptOf = (html) =>
  make('p', ...new DOMParser().parseFromString(html, 'text/html').body.childNodes)

function describe({ meta, url, excerpt, sub_results: parts = [] }) {
  // The part of the page that the words are in.
  const part = parts[0] ?? { title: meta.title, url, excerpt }
  const words = part.title === meta.title ? meta.title : `${meta.title}: ${part.title}`
  const link = make('a', words)
  link.href = part.url
  return make('li', link, excerptOf(part.excerpt))
}

async function search() {
  const words = input.value.trim()
  const turn = ++asked
  if (words === '') {
    found.hidden = true
    return
  }
  const { results } = await (await load()).search(words)
  const pages = await Promise.all(results.slice(0, shown).map((result) => result.data()))
  // Another letter was typed meanwhile.
  if (turn !== asked) return
  const many = results.length === 1 ? '1 page' : `${results.length} pages`
  found.replaceChildren(
    make('p', results.length === 0 ? `Nothing has “${words}” in it.` : many),
    make('ul', ...pages.map(describe)),
  )
  found.hidden = false
}

form.hidden = false
form.addEventListener('submit', (event) => event.preventDefault())
input.addEventListener('focus', () => void load())
input.addEventListener('input', () => void search())
input.addEventListener('keydown', ({ key }) => {
  if (key !== 'Escape') return
  input.value = ''
  void search()
})
