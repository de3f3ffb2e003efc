// launch.js: the page around an experiment: its clock, its state, and what is
// asked of the student while the experiment runs and after it.

import {call} from '../sdk/lodge.js'
import {announce} from './connect.js'
import {countDown, now, showTimes} from './time.js'
import {t, tn} from './words.js'

/** keepLaunch keeps the launch page in step with its booking. */
export function keepLaunch(page, messages) {
  const {launch: booking, experiment} = page.dataset
  const rendered = Date.parse(document.body.dataset.now)
  const clock = page.querySelector('[data-countdown]')
  const closed = page.querySelector('[data-closed]')
  const asked = page.querySelector('[data-asked]')
  const extend = page.querySelector('[data-extend]')
  // What happened before the page was rendered is in it.
  const news = (event) => Date.parse(event.time) > rendered

  const shut = (title, text, next = '') => {
    closed.hidden = false
    closed.querySelector('[data-closed-title]').textContent = title
    closed.querySelector('[data-closed-text]').textContent = text
    for (const step of ['reopen', 'again']) closed.querySelector(`[data-${step}]`)?.toggleAttribute('hidden', step !== next)
  }

  const moved = (end) => {
    if (Date.parse(end) === Date.parse(clock.dataset.end)) return
    clock.dataset.end = end
    countDown()
    announce(t('Extended: {left}.', {left: clock.textContent}))
  }

  messages.on('lodge.booking', ({detail: event}) => {
    const {booking: id, change, end, reason} = event.data
    if (id !== booking || !news(event)) return
    if (change === 'cancelled') {
      clock.dataset.stopped = t('cancelled')
      countDown()
      for (const control of page.querySelectorAll('.launch-bar form, .launch-bar details')) control.hidden = true
      shut(t('Your booking was cancelled'), reason || t('The experiment is closed. Messages and questions still reach you here.'), 'again')
    } else {
      moved(end)
      offer()
    }
  })

  messages.on('lodge.experiment', ({detail: event}) => {
    const {experiment: id, online, reason} = event.data
    if (id !== experiment || !news(event) || clock.dataset.stopped !== undefined) return
    if (!online) {
      shut(t('The experiment is off-line'), reason || t('A technician is looking after it. Your booking stands.'))
      announce(`${t('The experiment is off-line')}. ${reason ?? ''}`)
    } else {
      closed.hidden = true
      announce(t('The experiment is back'))
      if (!page.querySelector('iframe')) shut(t('The experiment is back'), t('Your booking stands.'), 'reopen')
    }
  })

  messages.on('lodge.survey', ({detail: event}) => {
    const {survey, change} = event.data
    if (change === 'opened' && Date.parse(event.time) > rendered - 5000) show(survey)
    if (change === 'closed') card(survey)?.remove()
  })

  messages.on('lodge.register', ({detail: event}) => {
    const {register, change, title} = event.data
    const known = asked.querySelector(`[data-testid="register"][data-id="${CSS.escape(register)}"]`)
    if (change === 'closed') known?.remove()
    if (change === 'opened' && !known && news(event)) asked.prepend(confirmation(register, title))
  })

  messages.on('lodge.handin', ({detail: event}) => {
    const {handin, change, title} = event.data
    const known = asked.querySelector(`[data-handin-card="${CSS.escape(handin)}"]`)
    if (change === 'closed') known?.remove()
    if (change === 'opened' && !known && news(event)) asked.prepend(toHandIn(handin, title))
  })

  const card = (survey) => asked.querySelector(`[data-survey-card="${CSS.escape(survey)}"]`)

  // show takes the form as the survey's own page has it. A survey that is
  // closed by now, answered or not ours brings none.
  async function show(survey) {
    if (card(survey)) return
    const holder = Object.assign(document.createElement('section'), {className: 'asked-survey'})
    holder.dataset.surveyCard = survey
    asked.append(holder)
    try {
      const view = await call(`/api/v1/surveys/${encodeURIComponent(survey)}`)
      if (!view.open || Object.keys(view.mine ?? {}).length) return holder.remove()
      const response = await fetch(`/surveys/${encodeURIComponent(survey)}`)
      const page = new DOMParser().parseFromString(await response.text(), 'text/html')
      const form = page.querySelector('[data-survey]')
      if (!form) return holder.remove()
      holder.append(Object.assign(document.createElement('h2'), {textContent: view.title}), document.importNode(form, true))
      announce(t('A survey for you: {title}', {title: view.title}))
    } catch {
      holder.remove() // it is also on the first page; the next opening tries again
    }
  }

  function confirmation(register, title) {
    const box = Object.assign(document.createElement('div'), {className: 'register-mine'})
    Object.assign(box.dataset, {testid: 'register', id: register})
    const form = Object.assign(document.createElement('form'), {method: 'post', action: `/registers/${encodeURIComponent(register)}/confirm`})
    form.dataset.confirm = ''
    const button = Object.assign(document.createElement('button'), {className: 'primary', textContent: t('I am here')})
    button.dataset.testid = 'confirm'
    form.append(button)
    box.append(Object.assign(document.createElement('strong'), {textContent: title}), form)
    announce(t('Attendance: {title}', {title}))
    return box
  }

  function toHandIn(handin, title) {
    const box = Object.assign(document.createElement('div'), {className: 'register-mine'})
    box.dataset.handinCard = handin
    const link = Object.assign(document.createElement('a'), {className: 'button primary', href: `/handins/${encodeURIComponent(handin)}`, textContent: t('Hand in')})
    link.dataset.testid = 'handin-link'
    box.append(Object.assign(document.createElement('strong'), {textContent: title}), link)
    announce(t('To be handed in: {title}', {title}))
    return box
  }

  // Steps that must not reload the page: that would take the experiment away
  // under the student's hands.
  page.addEventListener('submit', async (event) => {
    const form = event.target
    if (form.matches('[data-extend]')) {
      event.preventDefault()
      await step(form, async () => {
        const seconds = Number(new FormData(form).get('seconds'))
        const view = await call(`/api/v1/bookings/${encodeURIComponent(booking)}/extend`, {method: 'POST', body: {seconds}})
        moved(view.end)
        options(view.extend)
      })
    } else if (form.matches('[data-confirm]')) {
      event.preventDefault()
      await step(form, async () => {
        // Where it leads does not matter here: following would render a page for nothing.
        const response = await fetch(form.action, {method: 'POST', redirect: 'manual', headers: {'Content-Type': 'application/x-www-form-urlencoded'}})
        if (!response.ok && response.type !== 'opaqueredirect') throw new Error(t('That could not be recorded. Try again.'))
        const done = Object.assign(document.createElement('p'), {className: 'done', textContent: t('You have confirmed that you are here.')})
        done.dataset.testid = 'confirmed'
        form.replaceWith(done)
        announce(done.textContent)
        document.dispatchEvent(new Event('lodge-answered'))
      })
    }
  })

  async function step(form, take) {
    const button = form.querySelector('button')
    form.querySelector('.form-error')?.remove()
    button.disabled = true
    try {
      await take()
    } catch (refused) {
      const wrong = Object.assign(document.createElement('p'), {className: 'form-error', textContent: refused.message})
      wrong.setAttribute('role', 'alert')
      form.append(wrong)
    } finally {
      button.disabled = false
    }
  }

  // offer asks how much longer the booking may be made now.
  async function offer() {
    try {
      const view = await call(`/api/v1/bookings/${encodeURIComponent(booking)}`)
      moved(view.end)
      options(view.extend)
    } catch {
      // The offer on the page stands; the server decides when it is taken.
    }
  }

  function options(minutes) {
    if (!extend) return
    const choices = (minutes ?? []).map((n) => Object.assign(document.createElement('option'), {value: n * 60, textContent: t('{n} min', {n})}))
    extend.querySelector('select').replaceChildren(...choices)
    extend.hidden = choices.length === 0
  }

  const begin = Date.parse(page.dataset.start)
  let due = begin > now()

  // Five minutes and one minute before the end it is said once, and the end itself.
  let last = Infinity
  setInterval(() => {
    if (clock.dataset.stopped !== undefined) return
    if (due && begin <= now()) {
      due = false
      shut(t('Your time has come'), t('The experiment is yours now.'), 'reopen')
      announce(t('Your booking begins.'))
    }
    const left = Date.parse(clock.dataset.end) - now()
    for (const minutes of [5, 1]) {
      if (last > minutes * 60000 && left <= minutes * 60000 && left > 0 && last !== Infinity) {
        announce(tn(minutes, '{n} minute left.', '{n} minutes left.'))
      }
    }
    if (last > 0 && last !== Infinity && left <= 0) {
      shut(t('Your time is over'), t('The experiment is closed. Messages and questions still reach you here.'), 'again')
      if (extend) extend.hidden = true
    } else if (last <= 0 && left > 0) {
      closed.hidden = true
    }
    last = left
  }, 1000)

  showTimes(page)
}
