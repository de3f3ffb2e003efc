// app.js: what every page starts with. Without it the pages work as forms.

import {showTimes} from './time.js'
import {connect} from './connect.js'
import {keepLive} from './live.js'
import {keepMessages} from './messages.js'
import {keepWaiting} from './waiting.js'
import {keepSurveys} from './survey.js'

showTimes(document)
keepSurveys(document)
const editor = document.querySelector('[data-survey-edit]')
if (editor) (await import('./compose.js')).keepCompose(editor)
const audiences = document.querySelectorAll('[data-audience]')
if (audiences.length) (await import('./audience.js')).keepAudiences(audiences)
const screen = document.querySelector('[data-screen]')
if (screen) (await import('./screen.js')).keepScreen(screen)

const work = document.querySelector('[data-handin]')
if (work) (await import('./handin.js')).keepHandIn(work)

const messages = connect()
if (messages) {
  keepMessages(messages)
  keepWaiting(messages)
  keepLive(messages)
  const launch = document.querySelector('[data-launch]')
  if (launch) (await import('./launch.js')).keepLaunch(launch, messages)
  if (launch) (await import('./control.js')).keepControl(launch, messages)
  messages.open()
}

// A step is taken once, however often the button is pressed.
document.addEventListener('submit', ({target, defaultPrevented}) => {
  if (defaultPrevented || target.method !== 'post') return
  for (const button of target.querySelectorAll('button')) setTimeout(() => { button.disabled = true })
})
addEventListener('pageshow', (event) => {
  if (event.persisted) for (const button of document.querySelectorAll('button:disabled')) button.disabled = false
})
