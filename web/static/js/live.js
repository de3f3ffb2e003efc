// live.js: regions that follow what happens. A region names the events it
// depends on (data-live) and perhaps a period (data-poll, in seconds); when one
// comes, the page is asked for again and the region takes over what differs.
// Rendering so stays in one place: the server's templates.

import {countDown, showTimes} from './time.js'

/** keepLive keeps the page's regions up to date. */
export function keepLive(messages) {
  const regions = () => [...document.querySelectorAll('[data-live]')]
  if (!regions().length) return
  const rendered = Date.parse(document.body.dataset.now)
  let timer, running, again

  const refresh = async () => {
    timer = undefined
    if (running) {
      again = true
      return
    }
    running = true
    try {
      const response = await fetch(document.body.dataset.here ?? location.href, {headers: {Accept: 'text/html'}})
      if (response.ok && !response.redirected) {
        const fresh = new DOMParser().parseFromString(await response.text(), 'text/html')
        for (const region of regions()) {
          const source = fresh.getElementById(region.id)
          if (source) {
            showTimes(source)
            morph(region, source)
          }
        }
        countDown()
      }
    } catch {
      // The server is away: the socket's return brings the next refresh.
    } finally {
      running = false
      if (again) {
        again = false
        soon()
      }
    }
  }
  // Many readers hear of a change at once: they ask spread over a moment.
  const soon = () => { timer ??= setTimeout(refresh, 50 + Math.random() * 350) }

  messages.on('message', ({detail: {type, time}}) => {
    if (type === 'lodge.gap') soon()
    // What happened well before the page was rendered is in it.
    if (Date.parse(time) < rendered - 5000) return
    if (regions().some((r) => r.dataset.live.split(' ').includes(type))) soon()
  })
  let before
  messages.on('state', ({detail}) => {
    if (detail === 'open' && before === 'away') soon()
    if (detail === 'open' || detail === 'waiting') before = detail === 'open' ? 'open' : 'away'
  })

  let elapsed = 0
  setInterval(() => {
    const periods = regions().map((r) => Number(r.dataset.poll)).filter((n) => n > 0)
    elapsed++
    if (document.visibilityState !== 'visible' || !periods.length || messages.state !== 'open') return
    if (elapsed >= Math.min(...periods)) {
      elapsed = 0
      soon()
    }
  }, 1000)
}

// What the reader changed and the server does not know.
const own = {DETAILS: ['open'], INPUT: ['value', 'checked'], OPTION: ['selected'], BUTTON: ['disabled']}

/** morph makes one element like another and leaves alone what is the same. */
export function morph(element, source) {
  const kept = own[element.tagName] ?? []
  for (const {name, value} of [...source.attributes]) {
    if (!kept.includes(name) && element.getAttribute(name) !== value) element.setAttribute(name, value)
  }
  for (const {name} of [...element.attributes]) {
    if (!kept.includes(name) && !source.hasAttribute(name)) element.removeAttribute(name)
  }
  if (element.tagName === 'TEXTAREA') return
  const old = [...element.childNodes]
  const byID = new Map(old.filter((n) => key(n)).map((n) => [key(n), n]))
  let at = element.firstChild
  for (const node of [...source.childNodes]) {
    const match = key(node) ? byID.get(key(node)) : at && !key(at) && at.nodeName === node.nodeName ? at : undefined
    if (!match) {
      element.insertBefore(document.importNode(node, true), at)
      continue
    }
    if (match === at) at = at.nextSibling
    else element.insertBefore(match, at)
    if (node.nodeType === Node.ELEMENT_NODE) morph(match, node)
    else if (match.nodeValue !== node.nodeValue) match.nodeValue = node.nodeValue
    byID.delete(key(node))
  }
  while (at) {
    const next = at.nextSibling
    if (!typedIn(at)) at.remove()
    at = next
  }
}

// What somebody is typing stays until it is sent: the answer then says what became of
// what it is about.
const typedIn = (node) => [...node.querySelectorAll?.('textarea, input:not([type=hidden], [type=checkbox], [type=radio])') ?? []].some((field) => field.value !== field.defaultValue)

const key = (node) => node.dataset?.id || node.id
