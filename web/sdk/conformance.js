// conformance.js: shows every event of lodge.js as it comes, and brings them
// about: what a page does here, in the same hands, it does in an experiment.

import {Lodge} from './lodge.js'
import './components.js'

const $ = (id) => document.getElementById(id)
const shown = 200 // events in the list

// What an experiment's page can get, and what brings it.
const kinds = {
  state: 'a connection opens, is lost, or ends',
  lost: 'the network is cut; the relay restarts (1001), reads too slowly of it (1013), or cannot check access (4408)',
  closed: 'the time is over (4401), the booking is cancelled (4403), the experiment is taken off-line (4409), a code is refused (401, 403)',
  time: 'the page begins; the booking is extended, or over',
  'stream message': 'the experiment, or a lab partner, sends',
  'lodge.caught-up': 'all that was missed has come, once a connection',
  'lodge.notice': 'an instructor or a technician sends a message',
  safety: 'one about safety comes',
  'lodge.booking': 'the booking is extended or cancelled',
  'lodge.experiment': 'a technician takes the experiment off-line or gives it back',
  'lodge.control': 'somebody joins the booking, or takes, gives or asks for control',
  'lodge.presence': 'a lab partner opens the experiment or leaves it',
  'lodge.survey': 'a survey is opened or closed',
  'lodge.register': 'attendance is taken',
  'lodge.handin': 'work is asked for, or graded',
  'lodge.catalogue': 'what can be booked changes',
  'lodge.session': 'a session begins or ends',
  'lodge.gap': 'messages are so old that they are kept no more',
  'lodge.reconnect': 'the server is about to restart',
}

// The network as this page has it: what lodge.js asks of it goes through here.
const sockets = []
let cut = false
const {fetch} = globalThis
globalThis.fetch = (...request) => cut ? Promise.reject(new TypeError('The network is cut, by this page.')) : fetch(...request)
globalThis.WebSocket = class extends WebSocket {
  constructor(uri) {
    if (cut) throw new TypeError('The network is cut, by this page.')
    super(uri)
    sockets.push(this)
    this.addEventListener('message', () => links.find((link) => link.of(this.url))?.frame())
    this.addEventListener('close', () => sockets.splice(sockets.indexOf(this) >>> 0, 1))
  }
}

/** end lets a page believe that a connection was ended with a code. */
function end(socket, code, reason) {
  const {onclose} = socket
  socket.onmessage = socket.onclose = null
  socket.close()
  onclose?.(new CloseEvent('close', {code, reason}))
}

let stopped = false
const counts = {}
for (const [kind, brings] of Object.entries(kinds)) {
  const row = $('kinds').insertRow()
  row.append(cell(kind, 'th', 'row'), counts[kind] = cell('0'), cell(brings))
  counts[kind].className = 'num'
  counts[kind].dataset.testid = `count-${kind}`
}

function cell(text, tag = 'td', scope = '') {
  const made = Object.assign(document.createElement(tag), {textContent: text})
  if (scope) made.scope = scope
  return made
}

function note(from, kind, detail, times = 1) {
  if (counts[kind]) counts[kind].textContent = Number(counts[kind].textContent) + times
  if (stopped) return
  const row = $('events').insertRow(0)
  Object.assign(row.dataset, {kind, from})
  const text = typeof detail === 'string' ? detail : JSON.stringify(detail, undefined, 1).replace(/\n */g, ' ') // with room to break the line
  row.append(cell(new Date().toISOString().slice(11, 23)), cell(from), cell(kind, 'th', 'row'), cell(text.length > 500 ? text.slice(0, 500) + '…' : text))
  $('events').rows[shown]?.remove()
}

const links = []
function show(name, link, of) {
  const row = $('links').insertRow()
  Object.assign(row.dataset, {testid: 'link', name})
  const [state, frames, said, tries] = [cell(''), cell('0'), cell(''), cell('')]
  frames.className = 'num'
  state.dataset.testid = 'link-state'
  said.dataset.testid = 'link-said'
  row.append(cell(name, 'th', 'row'), state, frames, said, tries)
  const set = () => {
    state.replaceChildren(Object.assign(document.createElement('span'), {
      textContent: link.state, className: 'state ' + ({open: 'state-live', closed: 'state-stopped'}[link.state] ?? 'state-ready'),
    }))
  }
  const choose = tries.appendChild(document.createElement('select'))
  choose.ariaLabel = `Try with ${name}`
  choose.dataset.testid = 'try'
  choose.append(new Option('Choose…', ''), new Option('open', 'open'), new Option('close', 'close'))
  for (const code of [1001, 1006, 1013, 4401, 4403, 4408, 4409]) choose.append(new Option(`as if closed with ${code}`, code))
  choose.addEventListener('change', () => {
    const {value} = choose
    choose.value = ''
    if (value === 'open') link.open()
    else if (value === 'close') link.close()
    else for (const socket of sockets.filter(({url}) => of(url))) end(socket, Number(value), '')
  })
  link.on('state', ({detail}) => {
    set()
    note(name, 'state', detail)
  })
  for (const kind of ['lost', 'closed']) link.on(kind, ({detail}) => {
    said.textContent = `${detail.code} ${detail.reason}`
    note(name, kind, detail)
  })
  let n = 0
  links.push({of, frame: () => { frames.textContent = ++n }})
  set()
}

// A stream's messages come too quickly to be read one by one.
function sample(name, link) {
  let n = 0
  let last
  link.on('message', ({detail}) => {
    n++
    last = detail
  })
  setInterval(() => {
    if (n) note(name, 'stream message', `${n} in a second, the last: ${typeof last === 'string' ? last : `${last.byteLength} bytes`}`, n)
    n = 0
  }, 1000)
}

async function begin(lodge) {
  const tell = (r) => { $('standing').textContent = `${r.title}, ${r.state}${r.reason ? `: ${r.reason}` : ''}` }
  lodge.on('time', ({detail}) => {
    tell(detail)
    note('lodge', 'time', detail)
  })
  const messages = lodge.messages()
  show('messages', messages, (url) => url.includes('/messages/ws'))
  messages.on('message', ({detail}) => note('messages', detail.type, detail))
  messages.on('safety', ({detail}) => note('messages', 'safety', detail.data.text))
  try {
    await lodge.remaining()
  } catch (refused) {
    messages.close()
    links.length = 0
    $('links').replaceChildren()
    throw refused
  }
  $('begin').hidden = true
  $('bench').hidden = false
  for (const component of document.querySelectorAll('lodge-messages, lodge-time-left')) component.lodge = lodge
  for (const {for: name, url} of lodge.streams) {
    const link = lodge.stream(name)
    const {pathname} = new URL(url)
    show(name, link, (url) => url.includes(pathname + '?'))
    sample(name, link)
    $('to').append(new Option(name))
  }
  const people = (control) => {
    $('people').replaceChildren(...control.people.map((one) => {
      const line = Object.assign(document.createElement('li'), {className: 'row'})
      const says = [one.name, one.person === control.you && 'this page', one.owner && 'owner', one.person === control.control && 'in control', one.asks && 'asks for control', one.here && 'here']
      line.append(Object.assign(document.createElement('span'), {className: 'row-main', textContent: says.filter(Boolean).join(', ')}))
      if (one.person !== control.you) {
        const give = Object.assign(document.createElement('button'), {type: 'button', className: 'small', textContent: `Give control to ${one.name}`})
        give.addEventListener('click', () => steer('give', one.person))
        line.append(give)
      }
      return line
    }))
  }
  async function steer(...action) {
    try {
      people(await lodge.control(...action))
      $('refused').hidden = true
    } catch (refused) {
      $('refused').hidden = !action.length // a test is shared with nobody
      $('refused').textContent = refused.message
    }
  }
  for (const button of document.querySelectorAll('[data-control]')) button.addEventListener('click', () => steer(button.dataset.control))
  for (const kind of ['lodge.control', 'lodge.presence']) messages.on(kind, () => steer())
  steer()
  $('send').addEventListener('submit', (event) => {
    event.preventDefault()
    const {to, text} = Object.fromEntries(new FormData(event.target))
    note(to, lodge.stream(to).send(text) ? 'sent' : 'not sent: the stream is not open', text)
  })
}

$('cut').addEventListener('click', () => {
  cut = true
  $('cut').ariaDisabled = 'true'
  note('this page', 'network', 'cut')
  for (const socket of [...sockets]) end(socket, 1006, '')
  setTimeout(() => {
    cut = false
    $('cut').ariaDisabled = 'false'
    note('this page', 'network', 'back')
    dispatchEvent(new Event('online'))
  }, 5000)
})
$('stop').addEventListener('click', () => {
  stopped = !stopped
  $('stop').ariaPressed = String(stopped)
})
$('empty').addEventListener('click', () => $('events').replaceChildren())

/** lodgeOf reads what somebody pasted: an address, streams, or a code. */
function lodgeOf(access, gateway) {
  const text = access.trim()
  if (text.startsWith('[')) return new Lodge({search: new URLSearchParams({streams: text}).toString()})
  if (/[?#&]streams=/.test(text)) return new Lodge({search: text.slice(text.search(/[?#&]streams=/) + 1)})
  const code = new URLSearchParams(text.replace(/^.*#/, '')).get('code') || text
  return new Lodge({search: '', token: code, origin: new URL(gateway || location.origin).origin})
}

async function attempt(access, gateway) {
  try {
    const lodge = lodgeOf(access, gateway)
    if (!lodge.token) throw new Error('There is no stream and no code in it.')
    await begin(lodge)
  } catch (wrong) {
    $('wrong').hidden = false
    $('wrong').textContent = wrong.message
  }
}
$('begin').addEventListener('submit', (event) => {
  event.preventDefault()
  attempt($('access').value, $('gateway').value)
})
const {href, hash, search} = location
const own = new URLSearchParams(`${search.slice(1)}&${hash.slice(1)}`)
if (own.has('gateway')) $('gateway').value = own.get('gateway')
if (own.has('streams')) attempt(href)
else if (own.has('code')) attempt(own.get('code'), own.get('gateway'))
