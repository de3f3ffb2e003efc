// lodge.js: what an experiment's page needs of Lodge. Its types are in lodge.d.ts.
//
//   import {Lodge} from '…/sdk/lodge.js'
//   const lodge = new Lodge()                        // reads streams= and exp=
//   lodge.stream('data').on('message', ({detail}) => show(JSON.parse(detail)))
//   lodge.messages().on('lodge.notice', ({detail}) => tell(detail.data.text))

export const version = '1.0.0'

// Answers and close codes after which trying again cannot help.
const FINAL = new Set([401, 403, 404, 409, 4401, 4403, 4409])
const offline = ({closed}) => closed && closed.code % 4000 === 409
const WORDS = {
  1006: 'The connection was lost.',
  4401: 'The time is over.', 4403: 'Access was ended.', 4408: 'Access could not be checked.', 4409: 'The experiment is off-line.',
}

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
  const text = await response.text() // half an answer is none
  let answer = {}
  try {
    answer = JSON.parse(text)
  } catch {
    // Nothing was said, or a proxy said it.
  }
  if (!response.ok) throw new Refused(response.status, answer.message || answer.detail || answer.title)
  return answer
}

class Emitter extends EventTarget {
  on(type, listener) {
    this.addEventListener(type, listener)
    return this
  }

  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, {detail}))
  }
}

/**
 * Link is a websocket that comes back: after pauses with full jitter, unless it
 * was told why it may not. `state` is connecting, open, waiting or closed.
 */
export class Link extends Emitter {
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
    this.#end()
    this.#ws?.close(1000)
    this.#wake()
  }

  send(data) {
    if (this.#ws?.readyState !== 1) return false
    this.#ws.send(data?.constructor === Object ? JSON.stringify(data) : data)
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

  #end(closed) {
    this.#run++
    this.closed = closed
    this.#set('closed')
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
      const why = {code, reason: end.reason || end.message || WORDS[code] || ''}
      if (FINAL.has(code)) {
        this.#end(why)
        this.emit('closed', why)
        return
      }
      this.#set('waiting')
      this.emit('lost', why)
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
  /** whether this connection has brought all that was missed */
  caughtUp = false
  #fresh = false
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
    const {id, source, type, lodgetopic: topic, lodgepos: pos, data: of} = event
    const key = source + ' ' + id
    if (!this.#seen.has(key)) {
      this.#seen.add(key)
      if (this.#seen.size > 5000) this.#seen.delete(this.#seen.values().next().value)
      if (type === 'lodge.caught-up') {
        this.caughtUp = this.#fresh = true
        Object.assign(this.positions, of.positions)
      }
      if (type === 'lodge.gap') this.positions[of.topic] = of.position
      if (type === 'lodge.reconnect') this.pause = of.after_ms
      this.emit('message', event)
      this.emit(type, event)
      // What came before the first catching up is history; all that is missed later is news.
      if (this.#fresh && of?.priority === 'safety') this.emit('safety', event)
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

/** Lodge is one experiment page's access: streams, messages, time, control. */
export class Lodge extends Emitter {
  #links = {}
  #messages
  #behind = []
  #skew = 0

  constructor({search, token, origin} = {}) {
    super()
    const {location} = globalThis
    // A fragment, unlike a query, is seen by no server on the way.
    const query = new URLSearchParams(search ?? (location ? `${location.search}&${location.hash.slice(1)}` : ''))
    this.streams = JSON.parse(query.get('streams') || '[]')
    this.end = Number(query.get('exp')) * 1000
    const [first] = this.streams
    this.token = token ?? first?.token
    this.origin = origin ?? (first && new URL(first.url).origin)
    if (this.token) Lodge.current ??= this
  }

  /** stream opens the relay topic that is for `name`: POST, then the URI. */
  stream(name) {
    const s = this.streams.find((s) => s.for === name)
    if (!s) throw new Error(`No stream is for "${name}".`)
    if (this.#links[name]) return this.#links[name]
    const link = this.#links[name] = new Link(async () => (await call(s.url, {method: 'POST', token: s.token ?? this.token})).uri)
    return link.on('closed', () => {
      if (!offline(link)) return
      this.messages() // tell when it is back, unless that was just now
      setTimeout(() => offline(link) && link.open(), 30000)
    }).open()
  }

  messages() {
    return this.#messages ??= new Messages(async () => (await this.#api('messages/ticket', 'POST')).uri)
      .on('lodge.experiment', ({detail}) => {
        if (detail.data.online) for (const link of Object.values(this.#links)) if (offline(link)) link.open()
      })
      .on('lodge.booking', () => this.remaining().catch(() => {}))
      .open()
  }

  async waiting() {
    return (await this.#api('messages/waiting')).messages
  }

  async acknowledge(id) {
    try {
      await this.#api(`messages/${id}/acknowledge`, 'POST')
    } catch (e) {
      if (e.code !== 409) throw e
      return void this.#behind.push(id)
    }
    for (const next of this.#behind.splice(0)) await this.acknowledge(next)
  }

  /** left is the time that is left, in milliseconds by the server's clock. */
  left() {
    return Math.max(0, this.end - Date.now() - this.#skew)
  }

  async remaining() {
    return this.#learn(await this.#api('experiment'))
  }

  async extend(seconds) {
    return this.#learn(await this.#api('experiment/extend', 'POST', {seconds}))
  }

  /** control tells who shares the booking, after taking, giving or asking for control. */
  control(action, to) {
    return this.#api('experiment/control', ...action ? ['POST', {action, to}] : [])
  }

  #api(path, method, body) {
    return call(`${this.origin}/api/v1/${path}`, {method, token: this.token, body})
  }

  #learn(r) {
    this.#skew = Date.parse(r.now) - Date.now()
    // Revoked is over, whatever the hour.
    this.end = r.state === 'active' || r.state === 'pending' ? Date.parse(r.end) : 0
    if (!this.streams.length) this.streams = r.streams
    this.emit('time', r)
    return r
  }
}
