// survey.js: answers a survey without leaving the page.

import {call} from '../sdk/lodge.js'
import {announce} from './connect.js'
import {t} from './words.js'

/** keepSurveys answers by script where that saves leaving the launch page. */
export function keepSurveys(root) {
  root.addEventListener('submit', async (event) => {
    const form = event.target
    if (!form.matches('[data-survey]') || !form.closest('[data-launch]')) return
    event.preventDefault()
    const button = form.querySelector('button.primary')
    const wrong = form.querySelector('[data-form-error]')
    button.disabled = true
    wrong.hidden = true
    try {
      await call(`/api/v1/surveys/${form.dataset.survey}/answers`, {method: 'POST', body: {answers: answers(form)}})
      const done = document.createElement('p')
      done.className = 'done'
      done.dataset.testid = 'survey-done'
      done.textContent = t('Your answers are in. Thank you.')
      form.replaceWith(done)
      announce(done.textContent)
    } catch (refused) {
      wrong.textContent = refused.code
        ? refused.message
        : t('Your answers could not be sent. They are still here: try again when the connection is back.')
      wrong.hidden = false
      button.disabled = false
    }
  })
}

function answers(form) {
  const all = {}
  for (const question of form.querySelectorAll('[data-question]')) {
    const {question: id, kind} = question.dataset
    const chosen = [...question.querySelectorAll('input:checked')].map((input) => Number(input.value))
    const text = question.querySelector('textarea')?.value.trim()
    if (kind === 'text' ? text : chosen.length) {
      all[id] = kind === 'text' ? {text} : kind === 'scale' ? {number: chosen[0]} : {options: chosen}
    }
  }
  return all
}
