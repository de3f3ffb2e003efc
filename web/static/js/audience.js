// audience.js: a search beside a choice of whom to reach, and how many that is
// before anything is sent. Of many people the server lists a few and is asked for the
// others as a name is typed. Without it the choice is a list, with the numbers in it,
// and the search a step of the form.

import {call} from '../sdk/lodge.js'
import {t, tn} from './words.js'

const many = 7 // up to so many are found by looking

/** keepAudiences improves every choice of an audience. */
export function keepAudiences(choices) {
  for (const choice of choices) keep(choice)
}

function keep(choice) {
  const parts = [...choice.children]
  const known = new Set([...choice.options].map((option) => option.value))
  const partial = choice.dataset.more !== undefined // the server knows more people
  const reach = document.createElement('output')
  reach.className = 'hint'
  reach.dataset.testid = 'reach'
  choice.after(reach)
  const tell = () => {
    const n = choice.selectedOptions[0]?.dataset.reach
    reach.textContent = n === undefined ? '' : tn(Number(n), 'Reaches {n} person.', 'Reaches {n} people.')
  }
  choice.addEventListener('change', tell)
  tell()
  if (!partial && choice.options.length <= many) return

  const search = searchOf(choice)
  const foundBy = new Map() // what the server found, by what was looked for
  const flat = (text) => text.normalize('NFD').replace(/\p{M}/gu, '').toLocaleLowerCase()
  const fits = (option) => flat(option.textContent).includes(flat(search.value.trim())) || foundBy.get(search.value.trim())?.has(option.value)
  const narrow = () => {
    const chosen = choice.value
    choice.replaceChildren(...parts.map((part) => {
      if (part.localName === 'option') return fits(part) ? part.cloneNode(true) : ''
      const group = part.cloneNode()
      group.append(...[...part.children].filter(fits).map((option) => option.cloneNode(true)))
      return group.childElementCount ? group : ''
    }).filter(Boolean))
    choice.size = search.value.trim() ? Math.max(2, Math.min(8, choice.length + choice.querySelectorAll('optgroup').length)) : 1
    choice.value = chosen
    if (choice.selectedIndex < 0) choice.selectedIndex = 0
    tell()
    if (!choice.length) reach.textContent = t('Nobody matches.')
  }
  const ask = async () => {
    const query = search.value.trim()
    if (!query || foundBy.has(query)) return
    const {audiences} = await call(`/api/v1/messages/audiences?q=${encodeURIComponent(query)}`)
    foundBy.set(query, new Set(audiences.map(({to}) => to)))
    for (const {to, name, reach: people} of audiences) {
      if (known.has(to) || !to.startsWith('user:')) continue
      known.add(to)
      const option = new Option(`${name} (${tn(people, '{n} person', '{n} people')})`, to)
      option.dataset.reach = people
      everybody().append(option)
    }
    if (search.value.trim() === query) narrow()
  }
  const everybody = () => {
    const last = parts.at(-1)
    if (last?.localName === 'optgroup' && last.querySelector('[value^="user:"]')) return last
    const group = document.createElement('optgroup')
    group.label = t('People')
    parts.push(group)
    return group
  }
  let timer
  search.addEventListener('input', () => {
    narrow()
    if (!partial) return
    clearTimeout(timer)
    timer = setTimeout(() => { ask().catch(() => {}) }, 200) // without an answer there is what the page has
  })
  // Enter takes the first that matches and sends nothing.
  search.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return
    event.preventDefault()
    choice.focus()
  })
}

// searchOf returns the search beside a choice: the form's own step, which is none
// here, or a new one.
function searchOf(choice) {
  let search = choice.form.querySelector('[data-audience-search]')
  if (search) {
    search.removeAttribute('name')
    search.value = ''
    choice.form.querySelector('[name=narrow]').remove()
    return search
  }
  search = document.createElement('input')
  Object.assign(search, {type: 'search', autocomplete: 'off', spellcheck: false})
  search.dataset.testid = 'to-search'
  const label = document.createElement('label')
  label.append(t('Find whom to reach'), search)
  choice.closest('label').before(label)
  return search
}
