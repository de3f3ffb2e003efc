// control.js: who of lab partners has control, on the page around an experiment,
// which must not be loaded again.

import {call} from '../sdk/lodge.js'
import {announce} from './connect.js'
import {morph} from './live.js'
import {t} from './words.js'

/** keepControl keeps the list of partners up to date and takes its steps. */
export function keepControl(page, messages) {
  const {launch: booking} = page.dataset
  const place = page.querySelector('[data-partners]')
  const path = `/bookings/${encodeURIComponent(booking)}`

  // The list as the page of the partners has it: the server's templates draw it.
  async function refresh() {
    try {
      const response = await fetch(`${path}/partners`, {headers: {Accept: 'text/html'}})
      if (!response.ok || response.redirected) return
      const fresh = new DOMParser().parseFromString(await response.text(), 'text/html').getElementById('control')
      const list = place.querySelector('#control')
      if (!fresh) return
      if (list) morph(list, fresh)
      else place.append(document.importNode(fresh, true))
      place.hidden = false
    } catch {
      // The server is away: the next event, or a reload, brings the list.
    }
  }

  messages.on('lodge.control', ({detail: {data}}) => {
    if (data.booking !== booking) return
    const holder = data.people.find((p) => p.person === data.control)
    if (data.change === 'taken' || data.change === 'given') announce(t('{name} has control.', {name: holder?.name ?? ''}))
    if (data.change === 'asked') announce(t('Somebody asks for control.'))
    refresh()
  })

  place.addEventListener('submit', async (event) => {
    event.preventDefault()
    const {action, to} = Object.fromEntries(new FormData(event.target))
    place.querySelector('.form-error')?.remove()
    try {
      await call(`/api/v1${path}/control`, {method: 'POST', body: {action, to}})
      await refresh()
    } catch (refused) {
      const wrong = Object.assign(document.createElement('p'), {className: 'form-error', textContent: refused.message})
      wrong.setAttribute('role', 'alert')
      place.append(wrong)
    }
  })
}
