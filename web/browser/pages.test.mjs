// Every page, light and dark, on a desk and on a phone: nothing that axe-core
// objects to, nothing wider than the screen, and a screenshot to look at.

import assert from 'node:assert/strict'
import {readFile} from 'node:fs/promises'
import {createRequire} from 'node:module'
import {after, before, test} from 'node:test'
import {Demo} from './lodge.mjs'
import {Someone, desk, keep, launch, phone} from './people.mjs'

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']

let demo, browser
const people = {}
const at = {} // addresses of what was seeded

before(async () => {
  demo = await Demo.start()
  browser = await launch()
  for (const name of ['ada', 'grace', 'linus', 'root', 'visitor', 'soren']) {
    // axe is put into the page by script, which its policy rightly forbids.
    people[name] = await Someone.arrive(browser, demo.url, {name, bypassCSP: true, hasTouch: false})
    if (name !== 'visitor' && name !== 'soren') await people[name].context.request.get(`/login/dev?login_hint=${name}`)
  }
  await seed()
})

after(async () => {
  await browser?.close()
  await demo?.stop()
})

async function seed() {
  const {ada, grace, soren} = people
  const book = (group, slot, seconds, start) => ada.api('POST', '/api/v1/bookings', {group, slot, seconds, start})
  const later = (hours) => new Date(Date.now() + hours * 3600000).toISOString()
  const live = await book('physics-1', 'pend00-physics-1', 600)
  const coming = await book('physics-1', 'pend01-physics-1', 1800, later(26))
  const cancelled = await book('physics-1', 'pend00-physics-1', 600, later(50))
  await grace.api('DELETE', `/api/v1/bookings/${cancelled.id}`, {reason: 'The building is closed that day.'})
  Object.assign(at, {live: live.id, coming: coming.id, cancelled: cancelled.id})
  const me = await ada.api('GET', '/api/v1/me')
  for (const [to, text, priority, title] of [
    ['all', 'Welcome to the laboratory. The porter is in from nine to five.', 'info'],
    ['group:physics-1', 'Bring your notes on the damped oscillator:\nwe compare them at noon.', 'info', 'Before the tutorial'],
    ['experiment:pend00', 'Stop the motor: somebody is working near the pendulum.', 'safety', 'Stop now'],
    [`user:${me.person}`, 'Your last report was excellent. Please come and see me.', 'important'],
  ]) await grace.api('POST', '/api/v1/messages', {to, text, priority, title})
  const questions = [
    {id: 'q1', kind: 'single', text: 'Did the pendulum obey?', options: ['Yes', 'No'], required: true},
    {id: 'q2', kind: 'multiple', text: 'What did you look at?', options: ['Angle', 'Picture', 'Time left']},
    {id: 'q3', kind: 'scale', text: 'How hard was it?', max: 5},
    {id: 'q4', kind: 'text', text: 'What should change?'},
  ]
  const done = await grace.api('POST', '/api/v1/surveys', {to: 'group:physics-1', title: 'First impressions', questions})
  await ada.api('POST', `/api/v1/surveys/${done.id}/answers`, {
    answers: {q1: {options: [0]}, q2: {options: [0, 1]}, q3: {number: 4}, q4: {text: 'More drive.'}},
  })
  at.survey = (await grace.api('POST', '/api/v1/surveys', {to: 'experiment:pend00', title: 'How was it?', questions})).id
  const closed = await grace.api('POST', '/api/v1/registers', {title: 'Physics 1, lecture', group: 'physics-1'})
  await ada.api('POST', `/api/v1/registers/${closed.id}/marks`)
  await grace.api('POST', `/api/v1/registers/${closed.id}/close`)
  at.closed = closed.id
  at.register = (await grace.api('POST', '/api/v1/registers', {title: 'Physics 1, laboratory', group: 'physics-1', room: true})).id
  at.handin = (await grace.api('POST', '/api/v1/handins', {
    to: 'group:physics-1', title: 'Report on damping', instructions: 'Two pages and your readings as CSV.', deadline: later(72), late: 'accept', points: 10,
  })).id
  await soren.goto('/lookup')
  await soren.page.getByTestId('lookup-surname').fill('Ó Briain')
  await soren.page.getByTestId('lookup-reference').fill(await demo.reference())
  await soren.page.getByTestId('lookup-submit').click()
  await soren.page.getByTestId('launch').waitFor()
  const found = (await people.root.api('GET', '/api/v1/admin/persons')).persons
  const id = (name) => found.find((person) => person.name.startsWith(name)).id
  at.merge = `/admin/persons/${id('Søren')}/merge?into=${id('Ada')}`
  at.soren = new URL(soren.page.url()).pathname
  const {uis: [ui]} = await ada.api('POST', `/api/v1/bookings/${live.id}/activity`)
  const {origin, search} = new URL(ui.url)
  Object.assign(at, {conformance: `${origin}/sdk/conformance.html`, streams: search.slice(1)})
}

const open = (details) => async (page) => {
  for (const summary of await page.locator(details).locator('> summary').all()) await summary.click()
}

const swings = async (page) => {
  const ui = page.frameLocator('[data-testid=experiment-ui]')
  await ui.getByTestId('kick').click()
  await ui.getByTestId('angle').filter({hasText: /[1-9]\d\.\d°/}).waitFor()
}

// [name of the screenshots, whose page, its address, what is done there first]
const pages = [
  ['home', 'ada', () => '/'],
  ['home-visitor', 'visitor', () => '/'],
  ['login', 'visitor', () => '/login?return=%2Fbook'],
  ['issuer', 'visitor', () => '/login/dev'],
  ['lookup', 'visitor', () => '/lookup'],
  ['lookup-missed', 'visitor', () => '/lookup', async (page) => {
    await page.getByTestId('lookup-surname').fill('Byron')
    await page.getByTestId('lookup-reference').fill('BBBBBB')
    await page.getByTestId('lookup-submit').click()
    await page.getByTestId('problem').waitFor()
  }],
  ['book', 'ada', () => '/book?group=everyone'],
  ['book-by-time', 'ada', () => '/book?group=everyone&by=time'],
  ['privacy', 'ada', () => '/privacy', open('.ask')],
  ['booking', 'ada', () => `/bookings/${at.live}`, open('.ask')],
  ['booking-coming', 'ada', () => `/bookings/${at.coming}`],
  ['booking-cancelled', 'ada', () => `/bookings/${at.cancelled}`],
  ['booking-reference', 'soren', () => at.soren],
  ['launch', 'ada', () => `/launch/${at.live}`, swings],
  ['launch-coming', 'ada', () => `/launch/${at.coming}`],
  ['launch-cancelled', 'ada', () => `/launch/${at.cancelled}`],
  ['partners', 'ada', () => `/bookings/${at.live}/partners`],
  ['waits', 'ada', () => '/waits'],
  ['mail', 'ada', () => '/mail'],
  ['join', 'ada', () => '/join'],
  ['join-visitor', 'visitor', () => '/join'],
  ['handin', 'ada', () => `/handins/${at.handin}`],
  ['messages', 'ada', () => '/messages'],
  ['sdk', 'visitor', () => '/sdk/'],
  ['conformance', 'visitor', () => at.conformance],
  ['conformance-open', 'visitor', () => `${at.conformance}?${at.streams}`, async (page) => {
    await page.getByTestId('count-lodge.caught-up').filter({hasText: '1'}).waitFor()
    await page.getByTestId('ui-message').first().waitFor()
    await page.getByTestId('stop').click()
  }],
  ['survey', 'ada', () => `/surveys/${at.survey}`],
  ['attendance', 'ada', () => '/attendance'],
  ['sessions', 'ada', () => '/sessions'],
  ['identities', 'ada', () => '/identities'],
  ['teach', 'grace', () => '/teach'],
  ['teach-open', 'grace', () => '/teach', open('.compose, .ask, .receipts')],
  ['teach-book', 'grace', () => '/teach/book'],
  ['registers', 'grace', () => '/teach/registers'],
  ['register', 'grace', () => `/teach/registers/${at.register}`],
  ['register-closed', 'grace', () => `/teach/registers/${at.closed}`],
  ['register-screen', 'grace', () => `/teach/registers/${at.register}/screen`],
  ['teach-handins', 'grace', () => '/teach/handins'],
  ['teach-handin', 'grace', () => `/teach/handins/${at.handin}`],
  ['group', 'grace', () => '/groups/physics-1'],
  ['member', 'ada', () => '/groups/physics-1'],
  ['rigs', 'linus', () => '/rigs', open('.ask')],
  ['admin', 'root', () => '/admin'],
  ['admin-end', 'root', () => '/admin/end?kind=login'],
  ['audit', 'root', () => '/admin/audit'],
  ['providers', 'root', () => '/admin/providers'],
  ['system', 'root', () => '/admin/system'],
  ['catalogue', 'root', () => '/admin/catalogue'],
  ['roles', 'root', () => '/admin/roles'],
  ['people', 'root', () => '/admin/persons'],
  ['merge', 'root', () => at.merge],
  ['not-there', 'ada', () => '/bookings/none'],
]

// Each person looks at one page after the other, all of them at once.
test('pages', {concurrency: 3}, async (t) => {
  await Promise.all(Object.keys(people).map((who) => t.test(who, async (t) => {
    for (const [name, , address, prepare] of pages.filter((page) => page[1] === who)) {
      await t.test(name, () => look(people[who], name, address(), prepare))
    }
  })))
})

async function look(one, name, address, prepare) {
  const {page} = one
  await page.setViewportSize(desk)
  await page.goto(address)
  await prepare?.(page)
  if (await page.locator('body[data-person]').count()) await one.live()
  const wrong = []
  for (const scheme of ['light', 'dark']) {
    await page.emulateMedia({colorScheme: scheme})
    for (const size of [desk, phone]) {
      await page.setViewportSize(size)
      const variant = `${name}-${scheme}-${size.width}`
      for (const frame of page.frames()) await painted(frame)
      // A picture of more than the screen comes before a frame of another origin is drawn.
      await keep(page, variant, {fullPage: page.frames().length === 1})
      if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) wrong.push(`${variant}: wider than the screen`)
      for (const frame of page.frames()) wrong.push(...await violations(frame, variant))
    }
  }
  assert.deepEqual(wrong, [])
}

const painted = (frame) => frame.evaluate(() => new Promise((done) => {
  requestAnimationFrame(() => requestAnimationFrame(done))
}))

// Each frame is asked by itself: the experiment's page is of another origin.
async function violations(frame, variant) {
  if (!await frame.evaluate('"axe" in globalThis')) await frame.evaluate(axe)
  const {passes, violations} = await frame.evaluate((values) => globalThis.axe.run(document, {
    runOnly: {type: 'tag', values}, iframes: false, resultTypes: ['violations'],
  }).then((result) => ({
    passes: result.passes.length,
    violations: result.violations.map(({id, nodes}) => `${id}: ${nodes.map((n) => `${n.target.join(' ')}: ${n.failureSummary}`).join('; ')}`),
  })), tags)
  assert.ok(passes > 5, `${variant}: axe looked at next to nothing`)
  return violations.map((what) => `${variant} ${new URL(frame.url()).host}: ${what}`)
}
