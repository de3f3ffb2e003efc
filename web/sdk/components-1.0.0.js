// components.js: <lodge-messages> and <lodge-time-left>, for the page of an
// experiment. They stand in any page: their styles are their own (adopted style
// sheets, which every content security policy allows), taken from custom
// properties and otherwise from light or dark as the page has it. They listen to
// no key and never move the focus: somebody is driving hardware.

import {Lodge} from './lodge-1.0.0.js'

/** words by language, chosen by the nearest lang attribute; a page may add its own. */
export const words = {
  en: {messages: 'Messages', done: 'Got it', read: 'Acknowledged', survey: 'A survey for you:', more: '{n} more minutes', left: 'Minutes left: {n}'},
  de: {messages: 'Mitteilungen', done: 'Verstanden', read: 'Bestätigt', survey: 'Eine Umfrage für Sie:', more: '{n} Minuten länger', left: 'Minuten übrig: {n}'},
}

const sheet = new CSSStyleSheet()
sheet.replaceSync(`
:host {
  --ink: var(--lodge-ink, light-dark(#1d2521, #ebe6d9)); --soft: var(--lodge-soft, light-dark(#566059, #a7b1a8));
  --card: var(--lodge-card, light-dark(#fffdf7, #1b221e)); --accent: var(--lodge-accent, light-dark(#1d5b45, #85cba8));
  --on: var(--lodge-accent-ink, light-dark(#fff, #0c1b14)); --danger: var(--lodge-danger, light-dark(#9a2b1d, #f2978a));
  --wash: var(--lodge-danger-wash, light-dark(#f8e3dc, #3b1d18)); overflow-wrap: anywhere;
}
:host([hidden]) { display: none }
:host(lodge-messages) { display: block; color: var(--ink) }
.log { max-height: var(--lodge-height, 14rem); overflow-y: auto }
button[hidden] { display: none }
article { margin-block: .5rem; padding: .2rem .8rem; background: var(--card); border-inline-start: 3px solid var(--accent) }
.safety { background: var(--wash); border-color: var(--danger) }
strong { display: block }
p { margin: 0; white-space: pre-line }
small { display: block; color: var(--soft) }
.safety small { color: var(--ink) }
a { color: inherit }
button { font: inherit; min-height: 2rem; margin: .2rem 0; padding: 0 .8rem; border: 1px solid var(--accent); border-radius: 4px; color: var(--on); background: var(--accent); cursor: pointer }
button[aria-disabled=true] { color: var(--ink); background: none; cursor: default }
:focus-visible { outline: 3px solid var(--lodge-focus, light-dark(#b3540a, #f0a44e)); outline-offset: 1px }
.time { font-variant-numeric: tabular-nums }
.time + button { margin-inline-start: .6rem }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
@media (prefers-reduced-motion: no-preference) { article { animation: in .2s } @keyframes in { from { translate: 0 -.3rem } } }
`)

const add = (parent, tag, text = '', more = {}) => {
  const element = Object.assign(document.createElement(tag), more)
  element.append(text)
  return parent.appendChild(element)
}

class Component extends HTMLElement {
  #lodge

  constructor() {
    super()
    this.root = this.attachShadow({mode: 'open'})
    this.root.adoptedStyleSheets = [sheet]
  }

  connectedCallback() {
    if (this.root.firstChild) return
    this.draw()
    const {lodge} = this
    delete this.lodge // one that was set before this was more than a name
    this.#lodge = undefined
    if (lodge) return void (this.lodge = lodge)
    // The page's own modules, which may run after this one, make its Lodge first.
    const start = () => { this.lodge ??= Lodge.current ?? new Lodge() }
    if (document.readyState === 'complete') setTimeout(start)
    else for (const type of ['DOMContentLoaded', 'load']) addEventListener(type, start, {once: true})
  }

  get lodge() {
    return this.#lodge
  }

  set lodge(lodge) {
    if (!lodge.token) return // not a page that was opened with access, or not yet
    const first = !this.#lodge
    this.#lodge = lodge
    if (first && this.root.firstChild) this.begin(lodge)
  }

  say(key, n) {
    const lang = this.closest('[lang]')?.lang.slice(0, 2)
    return (words[lang] ?? words.en)[key].replace('{n}', n)
  }
}

/** <lodge-messages>: newest first, safety above until it was acknowledged. */
export class LodgeMessages extends Component {
  draw() {
    const region = (name, more) => {
      const element = add(this.root, 'div', '', {className: name, ...more})
      element.part = name
      return element
    }
    this.alarm = region('alarm', {ariaLive: 'assertive'})
    // What was sent before this page is not read out.
    this.log = region('log', {role: 'log', ariaLive: 'off', ariaLabel: this.say('messages')})
  }

  begin(lodge) {
    const items = {}
    const put = ({id, data: {title, text, from, priority = 'info'}}, place = this.log) => {
      const item = add(document.createDocumentFragment(), 'article', '', {className: priority})
      Object.assign(item.dataset, {testid: 'ui-message', id, priority})
      item.part = 'message ' + priority
      if (title) add(item, 'strong', title)
      add(item, 'p', text)
      if (from) add(item, 'small', from)
      place.prepend(items[id] = item)
      this.log.tabIndex = 0 // to scroll it by keyboard, now that there is something
      return item
    }
    const ask = (event) => {
      const {id, data} = event
      if (items[id]?.querySelector('button')) return
      if (data.priority === 'safety') {
        items[id]?.remove()
        put(event, this.alarm)
      }
      const item = items[id] ?? put(event)
      const button = add(item, 'button', this.say('done'), {type: 'button'})
      // It stays where it is: the focus of whoever pressed it is on it.
      button.onclick = () => button.ariaDisabled || lodge.acknowledge(id).then(() => {
        button.ariaDisabled = 'true'
        button.textContent = this.say('read')
      }, () => {}) // to be pressed again
    }
    const messages = lodge.messages().on('lodge.notice', ({detail: event}) => {
      if (messages.caughtUp && event.data.priority !== 'info') ask(event)
      else put(event)
    }).on('lodge.survey', ({detail: {data: {survey, title, change}}}) => {
      const id = 'survey ' + survey
      if (change === 'closed') items[id]?.remove()
      if (change !== 'opened' || items[id]?.isConnected) return
      const line = put({id, data: {text: this.say('survey') + ' '}}).querySelector('p')
      add(line, 'a', title, {href: `${lodge.origin}/surveys/${survey}`, target: '_blank', rel: 'noopener'})
    }).on('lodge.caught-up', () => {
      this.log.ariaLive = 'polite'
      lodge.waiting().then((all) => all.reverse().forEach(ask), () => {})
    })
  }
}

/**
 * <lodge-time-left>: minutes and seconds to the end of the booking; said aloud
 * five minutes and one minute before. With the attribute `extend` it offers more.
 */
export class LodgeTimeLeft extends Component {
  draw() {
    const time = add(this.root, 'span', '', {className: 'time', role: 'timer'})
    time.part = 'time'
    add(time, 'slot')
    this.button = add(this.root, 'button', '', {type: 'button', hidden: true})
    this.button.part = 'button'
    this.aloud = add(this.root, 'span', '', {className: 'sr', ariaLive: 'polite'})
  }

  begin(lodge) {
    const ask = () => lodge.remaining().catch(() => {})
    lodge.on('time', ({detail: {state, extend: [n]}}) => {
      this.known = true
      this.button.textContent = n ? this.say('more', n) : ''
      this.button.hidden = !n || state !== 'active' || !this.hasAttribute('extend')
      this.button.onclick = () => lodge.extend(n * 60).catch((refused) => { this.aloud.textContent = refused.message })
    })
    let last = 0
    const tick = () => {
      const s = Math.ceil(lodge.left() / 1000)
      if (!this.known && !s) return // an address from before an extension: the server knows
      const two = (n) => String(n).padStart(2, '0')
      const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60)]
      const text = h ? `${h}:${two(m % 60)}:${two(s % 60)}` : `${m}:${two(s % 60)}`
      if (this.textContent !== text) this.textContent = text
      for (const n of [5, 1]) if (s <= n * 60 && last > n * 60) this.aloud.textContent = this.say('left', n)
      last = s
    }
    ask()
    setInterval(ask, 60000)
    setInterval(tick, 500)
    tick()
  }
}

customElements.define('lodge-messages', LodgeMessages)
customElements.define('lodge-time-left', LodgeTimeLeft)
