// waiting.js: what the reader has not acknowledged yet, at the top of every page
// until they do, and in its doors how many surveys and registers wait for them. It
// never takes the focus: somebody may be driving hardware.

import {call} from '../sdk/lodge.js'
import {announce} from './connect.js'
import {own} from './messages.js'
import {t, tn} from './words.js'

/** keepWaiting shows it: what is about safety everywhere, the rest where no list has it. */
export function keepWaiting(messages) {
  const region = document.getElementById('waiting')
  const listed = document.querySelector('[data-messages]') !== null
  const cards = new Map()
  const done = new Set()
  let sending = Promise.resolve()

  const add = (event) => {
    const {id, data} = event
    if (cards.has(id) || done.has(id) || (listed && data.priority !== 'safety')) return
    const card = document.createElement('article')
    card.className = `waiting-card message-${data.priority}`
    Object.assign(card.dataset, {testid: 'waiting', id})
    const line = (tag, text) => {
      if (text) card.appendChild(document.createElement(tag)).textContent = text
    }
    line('h2', data.title || (data.priority === 'safety' ? t('Safety') : t('Important')))
    line('p', data.text)
    line('small', data.from)
    const button = card.appendChild(document.createElement('button'))
    Object.assign(button, {type: 'button', className: 'small', textContent: t('Got it')})
    button.dataset.testid = 'waiting-acknowledge'
    button.addEventListener('click', () => document.dispatchEvent(new CustomEvent('lodge-acknowledged', {detail: id})))
    cards.set(id, {card, topic: event.lodgetopic ?? event.topic, time: Date.parse(event.time)})
    if (data.priority === 'safety') region.prepend(card)
    else region.append(card)
    region.hidden = false
  }

  const refresh = async () => {
    const {messages: all, ...counts} = await call('/api/v1/messages/waiting')
    for (const [what, n] of Object.entries(counts)) count(what, n)
    for (const event of all.filter(({data}) => data.priority === 'safety').reverse()) add(event)
    for (const event of all) add(event)
  }

  document.addEventListener('lodge-acknowledged', ({detail: id}) => {
    const gone = cards.get(id)
    if (!gone) return
    done.add(id)
    gone.card.remove()
    region.hidden = region.childElementCount === 0
    if (listed) return // the list tells how far it was read
    // In each topic they are acknowledged in order: one waits for those before it.
    const ready = [...cards].filter(([, {topic}]) => topic === gone.topic).sort(([, a], [, b]) => a.time - b.time)
    for (const [next] of ready) {
      if (!done.has(next)) break
      cards.delete(next)
      sending = sending.then(() => call(`/api/v1/messages/${next}/acknowledge`, {method: 'POST'})).catch(() => {})
    }
  })
  messages.on('lodge.caught-up', () => refresh().catch(() => {}))
  // Many hear of a survey at once: they ask spread over a moment.
  let timer
  const soon = () => {
    timer ??= setTimeout(() => {
      timer = undefined
      refresh().catch(() => {})
    }, 50 + Math.random() * 450)
  }
  for (const type of ['lodge.survey', 'lodge.register']) {
    messages.on(type, ({detail: {data}}) => {
      if (messages.caughtUp && (data.change === 'opened' || data.change === 'closed')) soon()
    })
  }
  document.addEventListener('lodge-answered', soon)
  messages.on('lodge.notice', ({detail: event}) => {
    if (messages.caughtUp && event.data.priority !== 'info' && !own(event)) add(event)
  })
}

// count shows in the doors how many of something wait, and says so when there are more.
function count(what, n) {
  const badge = document.querySelector(`[data-waiting=${what}]`)
  if (!badge) return
  const number = badge.querySelector('[data-number]')
  const more = n > Number(number.textContent)
  number.textContent = n
  badge.hidden = n === 0
  if (!more || document.querySelector('[data-launch]')) return // the launch page says it with the title
  announce(what === 'surveys'
    ? tn(n, '{n} survey waits for your answer.', '{n} surveys wait for your answer.')
    : tn(n, '{n} register waits for you to confirm.', '{n} registers wait for you to confirm.'))
}
