// words.js: what the modules say, in the page's language. The English text is the
// key; js/words/TAG.js, made from the catalogue, has the others.

const {lang} = document.documentElement
const words = lang === 'en' ? {} : (await import(`./words/${lang}.js`)).default
const rules = new Intl.PluralRules(lang)

const fill = (text, args) => text.replace(/\{(\w+)\}/g, (whole, name) => args[name] ?? whole)

/** t says an English text in the page's language; args fill its {names}. */
export const t = (english, args = {}) => fill(words[english]?.other ?? english, args)

/** tn says the text for a number of things, which fills {n}. */
export function tn(n, one, other, args = {}) {
  const form = rules.select(n)
  return fill(words[other]?.[form] ?? words[other]?.other ?? (form === 'one' ? one : other), {n, ...args})
}
