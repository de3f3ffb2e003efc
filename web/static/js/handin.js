// handin.js: hands work in by script: says how much has arrived, keeps what was typed
// in this browser until all is in, and goes on by itself after a lost network. The key
// in the form makes one piece of work of it, however often it is sent.

import {refuse} from './refused.js'
import {t} from './words.js'

/** keepHandIn looks after the form that hands work in. */
export function keepHandIn(form) {
  const draft = `lodge-handin:${document.body.dataset.person}:${form.dataset.handin}`
  const {version} = form.dataset
  const text = form.elements.text
  const kept = form.querySelector('[data-draft-kept]')
  const wrong = form.querySelector('[data-form-error]')
  const under = form.querySelector('[data-progress]')
  const [bar, figure] = [under.querySelector('progress'), under.querySelector('span')]
  const button = form.querySelector('button.primary')
  let unsent = false

  // What was typed for an earlier version of the work is of no use any more.
  const before = JSON.parse(localStorage.getItem(draft) ?? 'null')
  if (before?.version === version && before.text !== text.value) {
    text.value = before.text
    kept.hidden = false
  } else if (before) localStorage.removeItem(draft)

  text.addEventListener('input', () => {
    localStorage.setItem(draft, JSON.stringify({version, text: text.value}))
    kept.hidden = false
  })
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    send()
  })
  addEventListener('online', () => unsent && send())

  function send() {
    if (button.disabled) return
    button.disabled = true
    unsent = false
    wrong.hidden = true
    progress(0)
    under.hidden = false
    const request = new XMLHttpRequest() // fetch does not say how much has gone
    request.upload.addEventListener('progress', ({loaded, total}) => progress(loaded / total))
    request.addEventListener('load', () => {
      const answer = request.response ?? {}
      if (request.status === 201) {
        localStorage.removeItem(draft)
        location.assign(`/handins/${form.dataset.handin}?done=handed-in`)
      } else stop(answer.detail ?? t('Your work could not be handed in; try again in a moment.'), request.status === 401)
    })
    request.addEventListener('error', () => {
      unsent = true
      stop(t('The connection was lost before all had arrived. Your text is kept in this browser, and all is sent again when the connection is back.'))
    })
    request.open('POST', `/api/v1/handins/${form.dataset.handin}/work`)
    request.responseType = 'json'
    request.setRequestHeader('Accept', 'application/json')
    request.send(new FormData(form))
  }

  function progress(part) {
    bar.value = part
    figure.textContent = part < 1 ? t('{n} % has arrived', {n: Math.floor(part * 100)}) : t('All has arrived; it is being checked and stored.')
  }

  function stop(why, signIn) {
    under.hidden = true
    button.disabled = false
    refuse(wrong, why, signIn)
  }
}
