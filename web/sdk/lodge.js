// lodge.js: what an experiment's page needs of Lodge. No dependencies.
//
//   import {Lodge} from '../sdk/lodge.js'
//   const lodge = new Lodge()                        // reads ?streams= and ?exp=
//   lodge.stream('data').on('message', ({detail}) => show(JSON.parse(detail)))
//   lodge.messages().on('lodge.notice', ({detail}) => tell(detail.data.text))

// Answers and close codes after which trying again cannot help.
const FINAL = new Set([401, 403, 404, 409, 4401, 4403, 4409])
const OFFLINE = new Set([409, 4409])
const WORDS = {4401: 'The time is over.', 4403: 'Access was ended.', 4409: 'The experiment is off-line.'}

/** Refused is thrown when a request was answered, with the reason in words. */
export class Refused extends Error {
  constructor(status, reason) {
    super(reason || WORDS[4000 + status] || `Refused (${status}).`)
    this.code = status
    this.final = FINAL.has(status)
  }
}

/** call fetches JSON and throws Refused unless it is answered with success. */
export async function call(url, {token, body, ...init} = {}) {
  const headers = {Accept: 'application/json', ...init.headers}
  if (token) headers.Authorization = token
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  const response = await fetch(url, {...init, headers, body: body === undefined ? undefined : JSON.stringify(body)})
  const answer = await response.json().catch(() => ({}))
  if (!response.ok) throw new Refused(response.status, answer.message || answer.detail || answer.title)
  return answer
}

/**
 * Link is a websocket that comes back: after pauses with full jitter, unless it
 * was told why it may not. `state` is connecting, open, waiting or closed.
 */
export class Link extends EventTarget {
  #ws
  #run = 0
  #wake = () => {}
  /** how long to wait before the next try, in ms, if the server has said so */
  pause
  state = 'closed'

  /** @param address returns a promise of the websocket's address for a try (from 0) */
  constructor(address) {
    super()
    this.address = address
    globalThis.addEventListener?.('online', () => this.#wake())
  }

  on(type, listener) {
    this.addEventListener(type, listener)
    return this
  }

  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, {detail}))
  }

  /** open begins, also again after closed. */
  open() {
    if (this.state === 'closed') {
      this.closed = undefined
      this.#loop(++this.#run)
    }
    return this
  }

  /** close ends it from this side. */
  close() {
    this.#run++
    this.#ws?.close(1000)
    this.#wake()
    this.#set('closed')
  }

  send(data) {
    if (this.#ws?.readyState !== 1) return false
    this.#ws.send(typeof data === 'object' && data.constructor === Object ? JSON.stringify(data) : data)
    return true
  }

  receive(data) {
    this.emit('message', data)
  }

  #set(state) {
    if (this.state === state) return
    this.state = state
    this.emit('state', state)
  }

  async #loop(run) {
    const current = () => run === this.#run
    for (let tries = 0; current(); tries++) {
      this.#set('connecting')
      let end
      try {
        const uri = await this.address(tries)
        if (!current()) return
        end = await new Promise((done) => {
          const ws = this.#ws = new WebSocket(uri)
          let opened
          ws.binaryType = 'arraybuffer'
          ws.onopen = () => {
            if (!current()) return ws.close()
            opened = Date.now()
            this.#set('open')
          }
          ws.onmessage = (e) => current() && this.receive(e.data)
          ws.onclose = (e) => {
            if (Date.now() - opened > 5000) tries = 0
            done(e)
          }
        })
      } catch (refused) {
        end = refused
      }
      if (!current()) return
      const {code = 0} = end
      if (FINAL.has(code)) {
        this.closed = {code, reason: end.reason || end.message || WORDS[code]}
        this.#run++
        this.#set('closed')
        this.emit('closed', this.closed)
        return
      }
      this.#set('waiting')
      await new Promise((done) => {
        this.#wake = done
        setTimeout(done, this.pause ?? Math.random() * Math.min(20000, 500 * 2 ** tries))
        this.pause = undefined
      })
    }
  }
}

/**
 * Messages is the message socket: CloudEvents, each exactly once, in the order
 * of their topic, resumed where they stopped. Emits `message` with each event,
 * and the event's own type with it.
 */
export class Messages extends Link {
  /** positions by topic; replace before open() to go on from elsewhere */
  positions = {}
  caughtUp = false
  #seen = new Set()
  #due = {}

  constructor(address) {
    super(async (tries) => {
      this.caughtUp = false
      const url = new URL(await address(tries))
      const resume = Object.entries(this.positions).map(([topic, pos]) => `${encodeURIComponent(topic)}~${pos}`)
      if (resume.length) url.searchParams.set('resume', resume.join())
      return url
    })
  }

  receive(data) {
    const event = JSON.parse(data)
    const {id, source, type, lodgetopic: topic, lodgepos: pos} = event
    const key = source + ' ' + id
    if (!this.#seen.has(key)) {
      this.#seen.add(key)
      if (this.#seen.size > 5000) this.#seen.delete(this.#seen.values().next().value)
      if (type === 'lodge.caught-up') {
        this.caughtUp = true
        Object.assign(this.positions, event.data.positions)
      }
      if (type === 'lodge.reconnect') this.pause = event.data.after_ms
      this.emit('message', event)
      this.emit(type, event)
      if (this.caughtUp && event.data?.priority === 'safety') this.emit('safety', event)
    }
    if (pos) {
      this.positions[topic] = pos
      this.#later('ack', topic, pos)
    }
  }

  read({lodgetopic, lodgepos}) {
    this.#later('read', lodgetopic, lodgepos)
  }

  // A burst of events is acknowledged once for each topic.
  #later(type, topic, pos) {
    const key = type + topic
    if (!this.#due[key]) setTimeout(() => {
      this.send(this.#due[key])
      delete this.#due[key]
    }, 150)
    this.#due[key] = {type, topic, pos}
  }
}

/** Lodge is one experiment page's access: streams, messages, time left. */
export class Lodge {
  #streams = {}
  #messages
  #behind = []
  #skew = 0

  constructor({search = globalThis.location?.search} = {}) {
    const query = new URLSearchParams(search)
    this.streams = JSON.parse(query.get('streams') || '[]')
    this.end = Number(query.get('exp')) * 1000
    const [first] = this.streams
    this.token = first?.token
    this.origin = first && new URL(first.url).origin
    Lodge.current ??= this
  }

  /** stream opens the relay topic that is for `name`: POST, then the URI. */
  stream(name) {
    const s = this.streams.find((s) => s.for === name)
    if (!s) throw new Error(`No stream is for "${name}".`)
    return this.#streams[name] ??= new Link(async () => (await call(s.url, {method: 'POST', token: s.token})).uri).open()
  }

  async waiting() {
    return (await call(`${this.origin}/api/v1/messages/waiting`, {token: this.token})).messages
  }

  async acknowledge(id) {
    try {
      await this.#post(`messages/${id}/acknowledge`)
    } catch (e) {
      if (e.code !== 409) throw e
      return void this.#behind.push(id)
    }
    for (const next of this.#behind.splice(0)) await this.acknowledge(next)
  }

  messages() {
    return this.#messages ??= new Messages(async () => (await this.#post('messages/ticket')).uri)
      .on('lodge.experiment', ({detail}) => {
        if (detail.data.online) for (const s of Object.values(this.#streams)) if (OFFLINE.has(s.closed?.code)) s.open()
      })
      .on('lodge.booking', () => this.remaining().catch(() => {}))
      .open()
  }

  /** left is the time that is left, in milliseconds by the server's clock. */
  left() {
    return Math.max(0, this.end - Date.now() - this.#skew)
  }

  async remaining() {
    return this.#learn(await call(`${this.origin}/api/v1/experiment`, {token: this.token}))
  }

  async extend(seconds) {
    await this.#post('experiment/extend', {seconds})
    return this.remaining()
  }

  #post(path, body) {
    return call(`${this.origin}/api/v1/${path}`, {method: 'POST', token: this.token, body})
  }

  #learn(r) {
    this.#skew = Date.parse(r.now) - Date.now()
    // Revoked is over, whatever the hour.
    this.end = r.state === 'active' || r.state === 'pending' ? Date.parse(r.end) : 0
    return r
  }
}

const Base = globalThis.HTMLElement ?? class {}
// The page's own code, which runs after this module, makes its Lodge first.
const soon = (element, begin) => setTimeout(() => begin(element.lodge ?? Lodge.current ?? new Lodge()))

/** <lodge-messages>: newest first, safety above; it never takes the focus. */
export class LodgeMessages extends Base {
  connectedCallback() {
    if (this.list) return
    const add = (parent, tag, text = '') => {
      const element = document.createElement(tag)
      element.append(text)
      return parent.appendChild(element)
    }
    const alarm = add(this, 'ol')
    alarm.setAttribute('aria-live', 'assertive')
    this.list = add(this, 'ol')
    this.list.setAttribute('aria-live', 'polite')
    const items = {}
    soon(this, (lodge) => {
      const ask = ({id, data}) => {
        const item = items[id]
        if (!item || item.querySelector('button')) return
        const button = add(item, 'button', 'Got it')
        button.onclick = () => lodge.acknowledge(id).then(() => {
          button.remove()
          this.list.prepend(item)
        }, () => {}) // to be tried again
        if (data.priority === 'safety') alarm.append(item)
      }
      const messages = lodge.messages()
      messages.on('lodge.notice', ({detail: event}) => {
        const {title, text, from, priority} = event.data
        const item = items[event.id] = document.createElement('li')
        Object.assign(item.dataset, {testid: 'ui-message', id: event.id, priority})
        if (title) add(item, 'strong', title)
        add(item, 'p', text)
        add(item, 'small', from)
        this.list.prepend(item)
        if (messages.caughtUp && priority !== 'info') ask(event)
      }).on('lodge.caught-up', () => lodge.waiting().then((all) => all.forEach(ask), () => {}))
    })
  }
}

/** <lodge-time-left>: minutes and seconds to the end of the booking. */
export class LodgeTimeLeft extends Base {
  connectedCallback() {
    this.setAttribute('role', 'timer')
    soon(this, (lodge) => {
      let asked = 0
      const tick = () => {
        if (!this.isConnected) return clearInterval(timer)
        if (Date.now() - asked > 60000) {
          asked = Date.now()
          lodge.remaining().catch(() => {})
        }
        const s = Math.ceil(lodge.left() / 1000)
        this.textContent = `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`
      }
      const timer = setInterval(tick, 500)
      tick()
    })
  }
}

globalThis.customElements?.define('lodge-messages', LodgeMessages)
globalThis.customElements?.define('lodge-time-left', LodgeTimeLeft)
