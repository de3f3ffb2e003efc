// waiting.js: what the reader has not acknowledged yet, at the top of every page
// until they do. It never takes the focus: somebody may be driving hardware.

import {call} from '../sdk/lodge.js'
import {own} from './messages.js'
import {t} from './words.js'

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
    const {messages: all} = await call('/api/v1/messages/waiting')
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
  messages.on('lodge.notice', ({detail: event}) => {
    if (messages.caughtUp && event.data.priority !== 'info' && !own(event)) add(event)
  })
}
