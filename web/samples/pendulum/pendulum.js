// pendulum.js: a sample experiment UI. Everything Lodge has to do with it is
// lodge.js: two streams, the messages, and who of lab partners has control. Time
// left, more of it, and what people write are elements in index.html.

import {Lodge} from '../sdk/lodge.js'
import '../sdk/components.js'

const $ = (id) => document.getElementById(id)
const lodge = new Lodge()
const data = lodge.stream('data')
const video = lodge.stream('video')
const messages = lodge.messages()

// Readings: {"t": ms, "angle": degrees, "velocity": degrees/s, "drive": -1…1, "brake": …}.
const span = 10
const readings = []
const dataRate = rate('data-rate')
// The rig's clock against ours: the reading that came quickest knows best, so
// that one which is late is drawn where it belongs.
let offset = Infinity
data.on('state', () => { offset = Infinity })
data.on('message', ({detail}) => {
  const reading = parse(detail)
  if (typeof reading?.angle !== 'number') return
  dataRate.count()
  offset = Math.min(offset, performance.now() - reading.t)
  readings.push({at: (reading.t + offset) / 1000, angle: reading.angle})
  while (readings.length && readings[0].at < readings.at(-1).at - span) readings.shift()
})

// Each binary message is one JPEG; a frame that comes while one is being
// decoded takes the place of the one that waits.
const picture = $('video').getContext('2d')
const videoRate = rate('video-rate')
let waiting, decoding
video.on('message', ({detail}) => {
  if (typeof detail === 'string') return
  waiting = detail
  if (!decoding) decode()
})

async function decode() {
  decoding = true
  while (waiting) {
    const frame = new Blob([waiting], {type: 'image/jpeg'})
    waiting = undefined
    try {
      const bitmap = await createImageBitmap(frame)
      const {canvas} = picture
      if (canvas.width !== bitmap.width) canvas.width = bitmap.width
      if (canvas.height !== bitmap.height) canvas.height = bitmap.height
      picture.drawImage(bitmap, 0, 0)
      bitmap.close()
      videoRate.count()
    } catch {
      // Half a picture is none; the next one comes.
    }
  }
  decoding = false
}

// Commands. A slider that is dragged sends the newest value, 20 times a second.
let pending
$('drive').addEventListener('input', ({target}) => {
  $('drive-value').value = Number(target.value).toFixed(2)
  pending ??= setTimeout(() => {
    pending = undefined
    data.send({cmd: 'drive', value: Number(target.value)})
  }, 50)
})
$('controls').addEventListener('click', ({target}) => {
  const {cmd} = target.dataset
  if (!cmd) return
  data.send({cmd})
  if (cmd === 'brake') {
    $('drive').value = 0
    $('drive-value').value = '0.00'
  }
})
$('controls').addEventListener('submit', (event) => event.preventDefault())

// Control: of lab partners one drives and the others watch.
let control
data.on('state', ({detail}) => detail === 'open' && steer())
messages.on('lodge.control', () => messages.caughtUp && data.state === 'open' && steer())
$('ask').addEventListener('click', () => steer('ask'))

async function steer(...action) {
  try {
    control = await lodge.control(...action)
  } catch {
    // As it was; a technician who tests shares with nobody.
  }
  state()
}

// State: controls work while the data stream is open, for who has control; why
// it closed is said.
for (const stream of [data, video]) stream.on('state', state).on('closed', state)
state()

function state() {
  const closed = data.closed ?? video.closed
  const driver = control?.people.find(({person}) => person === control.control && person !== control.you)
  const asked = control?.people.find(({person}) => person === control.you)?.asks
  for (const part of $('controls').querySelectorAll('input, button')) part.disabled = data.state !== 'open' || driver !== undefined
  $('driver').hidden = !driver
  $('driver-name').textContent = driver ? `${driver.name} has control.` : ''
  $('ask').textContent = asked ? 'Asked for control' : 'Ask for control'
  const text = closed ? closed.reason : data.state === 'waiting' ? 'The connection was lost. Trying again…' : ''
  $('closed').textContent = text
  $('closed').dataset.code = closed?.code ?? ''
  $('closed').hidden = !text
}

// The plot is drawn when the screen is, not when a reading comes.
const plot = $('plot').getContext('2d')
function draw() {
  const {canvas} = plot
  const ratio = devicePixelRatio || 1
  const [w, h] = [canvas.clientWidth, canvas.clientHeight]
  if (canvas.width !== Math.round(w * ratio)) canvas.width = Math.round(w * ratio)
  if (canvas.height !== Math.round(h * ratio)) canvas.height = Math.round(h * ratio)
  const style = getComputedStyle(document.documentElement)
  const colour = (name) => style.getPropertyValue(name)
  plot.setTransform(ratio, 0, 0, ratio, 0, 0)
  plot.clearRect(0, 0, w, h)
  const top = Math.max(20, ...readings.map((r) => Math.abs(r.angle))) * 1.1
  const y = (angle) => h / 2 - (angle / top) * (h / 2 - 4)
  plot.strokeStyle = colour('--line')
  plot.fillStyle = colour('--soft')
  plot.font = '12px system-ui, sans-serif'
  plot.lineWidth = 1
  for (const part of [-1, -0.5, 0, 0.5, 1]) {
    const angle = (part * top) / 1.1
    plot.beginPath()
    plot.moveTo(0, y(angle))
    plot.lineTo(w, y(angle))
    plot.stroke()
    plot.fillText(`${angle.toFixed(0)}°`, 4, Math.max(12, y(angle) - 3))
  }
  const now = performance.now() / 1000
  plot.strokeStyle = colour('--accent')
  plot.lineWidth = 2
  plot.beginPath()
  for (const {at, angle} of readings) plot.lineTo(w - ((now - at) / span) * w, y(angle))
  plot.stroke()
  const last = readings.at(-1)
  if (last) $('angle').textContent = `${last.angle.toFixed(1)}°`
  requestAnimationFrame(draw)
}
draw()

function rate(id) {
  let n = 0
  setInterval(() => {
    $(id).textContent = n
    n = 0
  }, 1000)
  return {count: () => n++}
}

function parse(text) {
  try {
    return JSON.parse(typeof text === 'string' ? text : new TextDecoder().decode(text))
  } catch {
    return undefined
  }
}
