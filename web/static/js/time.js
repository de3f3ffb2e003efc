// time.js: times in the reader's own zone, and countdowns.

import {t, tn} from './words.js'

const language = document.documentElement.lang
// English pages follow the reader's own English where there is one.
const locale = navigator.languages?.find((l) => l.startsWith(language)) ?? 'en-GB'

// 4:05 pm, but 04:05 and 16:05.
const {hourCycle} = new Intl.DateTimeFormat(locale, {hour: 'numeric'}).resolvedOptions()
const clock = {hour: /h1[12]/.test(hourCycle) ? 'numeric' : '2-digit', minute: '2-digit'}
const zone = {timeZoneName: 'short'}
const day = {weekday: 'short', day: 'numeric', month: 'short'}
const formats = {
  full: new Intl.DateTimeFormat(locale, {...day, ...clock, ...zone}),
  short: new Intl.DateTimeFormat(locale, {...day, ...clock}),
  clock: new Intl.DateTimeFormat(locale, {...clock, ...zone}),
}
formats.option = formats.short
const bare = new Intl.DateTimeFormat(locale, clock)

const skew = Date.parse(document.body.dataset.now) - Date.now() || 0

/** now is the server's clock, in milliseconds, as well as the page knows it. */
export function now() {
  // The page's own time is whole seconds and has travelled: close clocks are taken for one.
  return Date.now() + (Math.abs(skew) > 3000 ? skew : 0)
}

/** showTimes turns the times below an element into the reader's zone, and names it
 * in forms that ask for times. */
export function showTimes(root) {
  for (const element of root.querySelectorAll('[data-time]')) {
    const at = new Date(element.getAttribute('datetime') || element.value)
    if (Number.isNaN(at.valueOf())) continue
    const text = format(element.dataset.time, at)
    if (element.textContent !== text) element.textContent = text
    if (element.localName === 'time') element.title = at.toISOString()
  }
  for (const element of root.querySelectorAll('[data-range]')) {
    const [start, end] = [...element.querySelectorAll('time')].map((t) => new Date(t.dateTime))
    const sameDay = start.toDateString() === end.toDateString()
    const [from, to] = element.querySelectorAll('time')
    from.textContent = formats.short.format(start)
    to.textContent = (sameDay ? formats.clock : formats.full).format(end)
  }
  for (const element of root.querySelectorAll('[data-zone]')) element.textContent = zoneName()
  for (const input of root.querySelectorAll('[data-own-zone]')) input.value = ownZone()
  countDown()
}

// A short time of today needs no date.
function format(name, at) {
  const today = name === 'short' && at.toDateString() === new Date(now()).toDateString()
  return today ? bare.format(at) : formats[name].format(at)
}

/** ownZone is the name of the reader's time zone, such as Europe/London. */
export const ownZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC'

// The next page comes with its times in the reader's zone already.
if (document.documentElement.dataset.shownIn !== ownZone()) {
  const secure = location.protocol === 'https:' ? '; secure' : ''
  document.cookie = `lodge-zone=${ownZone()}; path=/; max-age=31536000; samesite=lax${secure}`
}

function zoneName() {
  const name = new Intl.DateTimeFormat(locale, {timeZoneName: 'long'}).formatToParts(new Date())
    .find((part) => part.type === 'timeZoneName').value
  const timeZone = ownZone()
  return timeZone !== 'UTC' ? `${name} (${timeZone})` : name
}

function words(ms) {
  const s = Math.ceil(ms / 1000)
  const pad = (n) => String(n).padStart(2, '0')
  if (s >= 172800) return tn(Math.floor(s / 86400), '{n} day', '{n} days')
  if (s >= 3600) return `${Math.floor(s / 3600)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}`
  return `${Math.floor(s / 60)}:${pad(s % 60)}`
}

/** countDown writes every countdown of the page. */
export function countDown() {
  for (const element of document.querySelectorAll('[data-countdown]')) {
    const {start, end, stopped} = element.dataset
    const at = now()
    let text = stopped ?? t('ended')
    if (stopped === undefined && at < Date.parse(start)) text = t('begins in {time}', {time: words(Date.parse(start) - at)})
    else if (stopped === undefined && at < Date.parse(end)) text = t('{time} left', {time: words(Date.parse(end) - at)})
    else if (stopped === undefined && !end) text = t('begins now')
    if (element.textContent !== text) element.textContent = text
    const left = Date.parse(end) - at
    element.classList.toggle('urgent', stopped === undefined && !(at < Date.parse(start)) && left > 0 && left < 60000)
  }
}

setInterval(countDown, 500)
