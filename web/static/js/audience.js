// audience.js: a search beside a choice of whom to reach, and how many that is
// before anything is sent. Without it the choice is a list, with the numbers in it.

import {t, tn} from './words.js'

const many = 7 // up to so many are found by looking

/** keepAudiences improves every choice of an audience. */
export function keepAudiences(choices) {
  for (const choice of choices) keep(choice)
}

function keep(choice) {
  const parts = [...choice.children]
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
  if (choice.options.length <= many) return

  const search = document.createElement('input')
  Object.assign(search, {type: 'search', placeholder: t('Search whom to reach…'), autocomplete: 'off', spellcheck: false})
  search.setAttribute('aria-label', search.placeholder)
  search.dataset.testid = 'to-search'
  choice.closest('label').before(search)
  const flat = (text) => text.normalize('NFD').replace(/\p{M}/gu, '').toLocaleLowerCase()
  const fits = (option) => flat(option.textContent).includes(flat(search.value.trim()))
  search.addEventListener('input', () => {
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
  })
  // Enter takes the first that matches and sends nothing.
  search.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return
    event.preventDefault()
    choice.focus()
  })
}
