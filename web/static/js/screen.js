// screen.js: the code page for the wall of a room. When a code runs out the page is
// asked for the next one, a little before anybody could find it gone.

import {showTimes} from './time.js'
import {morph} from './live.js'

/** keepScreen shows one code after the other, and how long each is there. */
export function keepScreen(region) {
  let end = performance.now() + Number(region.dataset.next)
  let asking
  const ask = async () => {
    asking = true
    try {
      const response = await fetch(location.href, {headers: {Accept: 'text/html'}})
      const fresh = response.ok && !response.redirected && new DOMParser().parseFromString(await response.text(), 'text/html').getElementById(region.id)
      if (fresh) {
        showTimes(fresh)
        morph(region, fresh)
        end = performance.now() + Number(region.dataset.next)
      }
    } catch {
      // The server is away: it is asked again in a second.
    } finally {
      asking = false
    }
  }
  new MutationObserver(() => { end = performance.now() + Number(region.dataset.next) }).observe(region, {attributeFilter: ['data-next']})
  let last = 0
  setInterval(() => {
    const left = end - performance.now()
    const shown = region.querySelector('[data-left]')
    const seconds = `${Math.max(0, Math.ceil(left / 1000))} s`
    if (shown && shown.textContent !== seconds) shown.textContent = seconds
    if ('open' in region.dataset && left <= 0 && !asking && performance.now() - last > 1000) {
      last = performance.now()
      ask()
    }
  }, 250)
}
