// messages.js: lists of messages, newest first, each message once; and what has
// been read of them.

import {showTimes} from './time.js'
import {announce} from './connect.js'
import {t} from './words.js'

/** keepMessages adds what arrives to the page's list and reports what was read. */
export function keepMessages(messages) {
  const list = document.querySelector('[data-messages]')
  const count = document.querySelector('[data-unread-count]')
  const empty = document.querySelector('[data-empty]')
  const reading = new Reading(messages)
  if (list) {
    // A reload shows what was there; older entries belong to the next page.
    const oldest = Date.parse([...list.children].at(-1)?.querySelector('time').dateTime)
    const known = new Set([...list.children].map((item) => item.dataset.id))
    for (const item of [...list.children].reverse()) reading.add(item)
    if (count && count.hidden) bump(count, list.querySelectorAll('[data-unread]').length)
    messages.on('lodge.notice', ({detail: event}) => {
      if (known.has(event.id) || Date.parse(event.time) < oldest) return
      known.add(event.id)
      const item = render(event)
      place(list, item)
      reading.add(item)
      empty.hidden = true
      if (own(event)) return
      tell(event)
      if (count) bump(count, 1)
    })
    document.addEventListener('lodge-acknowledged', ({detail}) => {
      const item = [...list.children].find((item) => item.dataset.id === detail)
      if (item) reading.acknowledge(item)
    })
  } else {
    const rendered = Date.parse(document.body.dataset.now)
    messages.on('lodge.notice', ({detail: event}) => {
      if (Date.parse(event.time) <= rendered || own(event)) return
      tell(event)
      if (count) bump(count, 1)
    })
  }
  reading.onread = () => count && bump(count, -1)
  messages.on('lodge.caught-up', () => reading.report())
}

/** own tells whether the reader sent a message. */
export const own = (event) => event.data.by !== undefined && event.data.by === document.body.dataset.person

function tell(event) {
  // A replay of the day before is not news.
  if (Date.now() - Date.parse(event.time) > 3600000) return
  const {title, text, priority} = event.data
  announce([title, text].filter(Boolean).join(': '), priority === 'safety')
}

function bump(count, by) {
  const number = count.firstElementChild
  const n = Math.max(0, Number(number.textContent) + by)
  number.textContent = n
  count.hidden = n === 0
}

function render(event) {
  const item = document.getElementById('message-template').content.firstElementChild.cloneNode(true)
  const {title, text, from, to, to_name: toName, about, priority, replies} = event.data
  Object.assign(item.dataset, {id: event.id, topic: event.lodgetopic, pos: event.lodgepos})
  if (!own(event)) item.dataset.unread = ''
  item.classList.add(`message-${priority}`)
  for (const form of item.querySelectorAll('form')) form.setAttribute('action', form.getAttribute('action').replace('//', `/${event.id}/`))
  item.querySelector('[data-reply]').hidden = !replies || own(event) || document.body.dataset.kind !== 'login'
  item.querySelector('[name=key]').value = Math.random().toString(36)
  const field = (name) => item.querySelector(`[data-field="${name}"]`)
  field('from').textContent = from
  field('to').textContent = audience(to, toName)
  field('about').textContent = about ?? ''
  field('about-line').hidden = !about
  field('title').textContent = title ?? ''
  field('title').hidden = !title
  field('text').textContent = text
  field('time').dateTime = event.time
  showTimes(item)
  return item
}

// The name in what the sender's page called the audience: "group Physics 1".
function audience(to = '', toName = '') {
  const [kind, name] = to.split(/:(.*)/)
  const id = /^(?:group|users of|instructors of) (.*)/.exec(toName)?.[1] ?? name
  return {
    all: t('everyone'), group: t('group {group}', {group: id}), experiment: t('users of {experiment}', {experiment: id}),
    booking: t('your booking'), user: t('you'), instructors: t('instructors of {group}', {group: id}),
  }[kind] ?? to
}

function place(list, item) {
  const time = (element) => Date.parse(element.querySelector('time').dateTime)
  const next = [...list.children].find((other) => time(other) <= time(item))
  list.insertBefore(item, next ?? null)
}

/**
 * Reading knows what has been read: what was in view for a second, and what
 * asks for it once it was acknowledged. A receipt says "everything up to here",
 * so it goes out for the part of a topic that has no unread message before it.
 */
class Reading {
  #topics = new Map()
  #view = new IntersectionObserver((entries) => {
    for (const {target, isIntersecting} of entries) this.#seen(target, isIntersecting)
  }, {threshold: 0.5})
  #timers = new Map()

  constructor(messages) {
    this.messages = messages
    document.addEventListener('visibilitychange', () => {
      // Observing again asks anew for everything that is in view.
      for (const items of this.#topics.values()) {
        for (const item of items) {
          this.#view.unobserve(item)
          this.#view.observe(item)
        }
      }
    })
  }

  add(item) {
    const {topic, unread} = item.dataset
    if (!topic) return
    if (!this.#topics.has(topic)) this.#topics.set(topic, [])
    this.#topics.get(topic).push(item)
    if (unread === undefined) return
    const form = item.querySelector('[data-acknowledge]')
    if (asks(item)) {
      form.hidden = false
      form.addEventListener('submit', (event) => {
        event.preventDefault()
        document.dispatchEvent(new CustomEvent('lodge-acknowledged', {detail: item.dataset.id}))
      })
    } else {
      this.#view.observe(item)
    }
  }

  #seen(item, inView) {
    clearTimeout(this.#timers.get(item))
    if (!inView || document.visibilityState !== 'visible') return
    this.#timers.set(item, setTimeout(() => this.#read(item), 1000))
  }

  #read(item) {
    if (item.dataset.unread === undefined) return
    this.#view.unobserve(item)
    delete item.dataset.unread
    this.onread?.()
    this.report()
  }

  acknowledge(item) {
    item.querySelector('[data-acknowledge]').hidden = true
    this.#read(item)
  }

  /** report sends a receipt for each topic, as far as it has been read. */
  report() {
    if (!this.messages.caughtUp) return
    for (const [topic, items] of this.#topics) {
      let last
      while (items.length && items[0].dataset.unread === undefined) last = items.shift()
      if (last) this.messages.read({lodgetopic: topic, lodgepos: last.dataset.pos})
    }
  }
}

const asks = (item) => /message-(important|safety)/.test(item.className)
