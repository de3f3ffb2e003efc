// survey.js: answers surveys by script. What is typed is kept in this browser until
// it is sent, through a reload and a lost network; and where nobody is to know whose
// answers they are, this is where the name comes off (ballot.js).

import {call} from '../sdk/lodge.js'
import {announce} from './connect.js'
import {refuse} from './refused.js'
import {t} from './words.js'

const {person} = document.body.dataset
const drafts = 'lodge-survey:', ballots = 'lodge-ballot:'
const keyOf = (kind, form) => `${kind}${person}:${form.dataset.survey}`

/** keepSurveys looks after the surveys on the page, now and as they come. */
export function keepSurveys(root) {
  const ready = (node) => {
    for (const form of node.querySelectorAll?.('[data-survey]') ?? []) begin(form)
  }
  ready(root)
  new MutationObserver((changes) => {
    for (const {addedNodes} of changes) addedNodes.forEach(ready)
  }).observe(root.body ?? root, {childList: true, subtree: true})

  root.addEventListener('input', ({target}) => {
    const form = target.closest('[data-survey]')
    if (!form) return
    store(keyOf(drafts, form), answers(form))
    form.querySelector('[data-draft-kept]').hidden = false
  })
  root.addEventListener('submit', (event) => {
    if (!event.target.matches('[data-survey]')) return
    event.preventDefault()
    send(event.target)
  })
  root.addEventListener('click', ({target}) => {
    const button = target.closest('[data-ballot-send]')
    if (button) send(button.closest('[data-survey]'))
  })
  addEventListener('online', () => {
    for (const form of root.querySelectorAll('[data-survey][data-unsent]')) send(form)
  })
  // On a computer that others use next, nothing typed stays behind. A ballot that
  // was taken stays: nobody could be given another.
  root.querySelector('form[action="/logout"]')?.addEventListener('submit', () => {
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith(drafts) || key.startsWith('lodge-handin:')) localStorage.removeItem(key)
      if (key.startsWith(ballots)) store(key, {...load(key), answers: undefined})
    }
  })
}

function begin(form) {
  if (form.dataset.kept !== undefined) return
  form.dataset.kept = ''
  const ballot = form.dataset.mode === 'unlinkable' ? load(keyOf(ballots, form)) : undefined
  if (ballot?.sent) return done(form)
  if (form.dataset.taken !== undefined && !ballot) {
    const gone = Object.assign(document.createElement('p'), {
      className: 'empty', textContent: t('Your ballot was taken in another browser: answer there. Nobody can tell whether you did, and nobody can give you a second one.'),
    })
    gone.dataset.testid = 'survey-elsewhere'
    form.replaceWith(gone)
    return
  }
  const kept = ballot?.answers ?? load(keyOf(drafts, form))
  if (kept) {
    fill(form, kept)
    form.querySelector('[data-draft-kept]').hidden = false
  }
  const button = form.querySelector('[data-ballot-send]')
  if (button) {
    button.hidden = false
    form.querySelector('[data-needs-script]').remove()
  }
}

async function send(form) {
  const button = form.querySelector('button.primary')
  const wrong = form.querySelector('[data-form-error]')
  if (button.disabled || !complete(form, wrong)) return
  button.disabled = true
  wrong.hidden = true
  try {
    if (form.dataset.mode === 'unlinkable') await cast(form)
    else await call(`/api/v1/surveys/${form.dataset.survey}/answers`, {method: 'POST', body: {answers: answers(form)}})
    localStorage.removeItem(keyOf(drafts, form))
    if (form.dataset.mode === 'unlinkable' || form.closest('[data-launch]')) done(form)
    else location.assign(`/surveys/${form.dataset.survey}?done=answered`)
  } catch (refused) {
    // Without a code it was the network: what was typed is kept, and sent when that is back.
    form.toggleAttribute('data-unsent', !refused.code && !refused.final)
    const why = refused.code || refused.final
      ? refused.message
      : t('Your answers could not be sent. They are kept in this browser and sent when the connection is back.')
    refuse(wrong, why, refused.code === 401)
    button.disabled = false
  }
}

// cast gets a ballot signed in the person's name, and sends it back in nobody's.
// Each step is kept before it is taken, so that one that broke off goes on.
async function cast(form) {
  const {prepare, finalize} = await import('./ballot.js')
  const at = keyOf(ballots, form), key = {n: form.dataset.keyN, e: form.dataset.keyE}
  let ballot = load(at) ?? await prepare(key).catch(forGood)
  // Once it may have arrived it is final: what arrives again has to be the same.
  if (!ballot.casting) ballot = {...ballot, answers: answers(form)}
  store(at, ballot)
  if (!ballot.paper) {
    const {signature} = await call(`/api/v1/surveys/${form.dataset.survey}/ballot`, {method: 'POST', body: {blinded: ballot.blinded}})
    ballot = {...ballot, paper: await finalize(key, ballot, signature).catch(forGood)}
  }
  store(at, {...ballot, casting: true})
  const response = await fetch('/api/v1/ballots', {
    method: 'POST', credentials: 'omit', referrerPolicy: 'no-referrer', cache: 'no-store', headers: {'Content-Type': 'application/json'},
    body: JSON.stringify({survey: form.dataset.survey, serial: ballot.serial, signature: ballot.paper, answers: ballot.answers}),
  })
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}))
    if (response.status < 500) store(at, {...ballot, casting: false}) // it was not taken, and may be changed
    throw Object.assign(new Error(problem.detail ?? t('Your answers could not be sent.')), {code: problem.code})
  }
  store(at, {sent: true})
}

// forGood marks an error that no second try mends.
const forGood = (failed) => { throw Object.assign(failed, {final: true}) }

function done(form) {
  const said = form.dataset.mode === 'unlinkable' ? t('Your answers are in, and nobody can tell they are yours. Thank you.') : t('Your answers are in. Thank you.')
  const thanks = Object.assign(document.createElement('p'), {className: 'done', textContent: said})
  thanks.dataset.testid = 'survey-done'
  form.replaceWith(thanks)
  announce(said)
  document.dispatchEvent(new Event('lodge-answered'))
}

// complete says what is missing where the browser does not by itself.
function complete(form, wrong) {
  for (const field of form.querySelectorAll('input, textarea')) {
    if (!field.reportValidity()) return false
  }
  const missing = [...form.querySelectorAll('[data-question][data-required]')].find((question) => !(question.dataset.question in answers(form)))
  if (!missing) return true
  wrong.textContent = t('“{question}” needs an answer.', {question: missing.querySelector('legend').firstChild.textContent})
  wrong.hidden = false
  missing.querySelector('input, textarea').focus()
  return false
}

function answers(form) {
  const all = {}
  for (const question of form.querySelectorAll('[data-question]')) {
    const {question: id, kind} = question.dataset
    const chosen = [...question.querySelectorAll('input:checked')].map((input) => Number(input.value))
    const typed = question.querySelector('textarea, input:not([type=radio], [type=checkbox])')?.value.trim()
    if (kind === 'single' || kind === 'multiple') {
      if (chosen.length) all[id] = {options: chosen}
    } else if (kind === 'scale') {
      if (chosen.length) all[id] = {number: chosen[0]}
    } else if (typed) all[id] = kind === 'number' ? {value: Number(typed)} : {text: typed}
  }
  return all
}

function fill(form, kept) {
  for (const question of form.querySelectorAll('[data-question]')) {
    const answer = kept[question.dataset.question] ?? {}
    const chosen = answer.options ?? (answer.number ? [answer.number] : [])
    for (const input of question.querySelectorAll('input[type=radio], input[type=checkbox]')) input.checked = chosen.includes(Number(input.value))
    const field = question.querySelector('textarea, input:not([type=radio], [type=checkbox])')
    if (field) field.value = answer.text ?? answer.value ?? ''
  }
}

// A browser that keeps nothing (a private window may) still answers.
function store(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value))
  } catch {
    // It is only lost with the page.
  }
}

function load(key) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? undefined
  } catch {
    return undefined
  }
}
