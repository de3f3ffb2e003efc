// every.mjs: every page there is, and what has to be there for it to show something.

import {Someone} from './people.mjs'

/** seed brings about what the pages show, and returns the addresses of it. */
export async function seed(demo, people) {
  const {ada, grace, linus, root, soren} = people
  const at = {}
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
  const found = (await root.api('GET', '/api/v1/admin/persons')).persons
  const id = (name) => found.find((person) => person.name.startsWith(name)).id
  at.merge = `/admin/persons/${id('Søren')}/merge?into=${id('Ada')}`
  at.soren = new URL(soren.page.url()).pathname
  const {uis: [ui]} = await ada.api('POST', `/api/v1/bookings/${live.id}/activity`)
  const {origin, search} = new URL(ui.url)
  Object.assign(at, {conformance: `${origin}/sdk/conformance.html`, streams: search.slice(1)})
  at.results = done.id
  at.draft = (await grace.api('POST', '/api/v1/surveys/drafts', {to: 'group:physics-1', title: 'Next week', questions})).id
  at.scheduled = (await grace.api('POST', '/api/v1/messages', {to: 'all', text: 'Tomorrow we begin at ten.', at: later(20)})).id
  at.partner = (await ada.api('POST', `/api/v1/bookings/${coming.id}/share`)).link
  at.invitation = (await root.api('POST', '/api/v1/admin/groups/physics-1/codes', {})).link
  // A rig of Linus's that nobody has booked is taken off-line, and tested.
  await root.api('POST', '/api/v1/admin/roles', {role: 'technician', scope: 'experiment:pend02', subjects: ['dev:linus']})
  await linus.api('PUT', '/api/v1/admin/experiments/pend02/state', {online: false, reason: 'New bearings.'})
  return at
}

/** everyone arrives: the people whose pages these are. */
export async function everyone(browser, url, options = {}) {
  const people = {}
  for (const name of ['ada', 'grace', 'linus', 'root', 'visitor', 'soren']) {
    people[name] = await Someone.arrive(browser, url, {name, ...options})
    if (name !== 'visitor' && name !== 'soren') await people[name].context.request.get(`/login/dev?login_hint=${name}`)
  }
  return people
}

const open = (details) => async (page) => {
  for (const summary of await page.locator(details).locator('> summary').all()) await summary.click()
}

const swings = async (page) => {
  const ui = page.frameLocator('[data-testid=experiment-ui]')
  await ui.getByTestId('kick').click()
  await ui.getByTestId('angle').filter({hasText: /[1-9]\d\.\d°/}).waitFor()
}

// [name: its template's and perhaps more words, whose page, its address, what is done there first]
export const pages = [
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
  ['booking', 'ada', (at) => `/bookings/${at.live}`, open('.ask')],
  ['booking-coming', 'ada', (at) => `/bookings/${at.coming}`],
  ['booking-cancelled', 'ada', (at) => `/bookings/${at.cancelled}`],
  ['booking-reference', 'soren', (at) => at.soren],
  ['launch', 'ada', (at) => `/launch/${at.live}`, swings],
  ['launch-coming', 'ada', (at) => `/launch/${at.coming}`],
  ['launch-cancelled', 'ada', (at) => `/launch/${at.cancelled}`],
  ['partners', 'ada', (at) => `/bookings/${at.live}/partners`],
  ['waits', 'ada', () => '/waits'],
  ['mail', 'ada', () => '/mail'],
  ['join', 'ada', () => '/join'],
  ['join-visitor', 'visitor', () => '/join'],
  ['handin', 'ada', (at) => `/handins/${at.handin}`],
  ['messages', 'ada', () => '/messages'],
  ['sdk', 'visitor', () => '/sdk/'],
  ['conformance', 'visitor', (at) => at.conformance],
  ['conformance-open', 'visitor', (at) => `${at.conformance}?${at.streams}`, async (page) => {
    await page.getByTestId('count-lodge.caught-up').filter({hasText: '1'}).waitFor()
    await page.getByTestId('ui-message').first().waitFor()
    await page.getByTestId('stop').click()
  }],
  ['survey', 'ada', (at) => `/surveys/${at.survey}`],
  ['attendance', 'ada', () => '/attendance'],
  ['sessions', 'ada', () => '/sessions'],
  ['identities', 'ada', () => '/identities'],
  ['teach', 'grace', () => '/teach'],
  ['teach-open', 'grace', () => '/teach', open('.compose, .ask, .receipts')],
  ['teach-book', 'grace', () => '/teach/book'],
  ['registers', 'grace', () => '/teach/registers'],
  ['register', 'grace', (at) => `/teach/registers/${at.register}`],
  ['register-closed', 'grace', (at) => `/teach/registers/${at.closed}`],
  ['register-screen', 'grace', (at) => `/teach/registers/${at.register}/screen`],
  ['teach-handins', 'grace', () => '/teach/handins'],
  ['teach-handin', 'grace', (at) => `/teach/handins/${at.handin}`],
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
  ['persons', 'root', () => '/admin/persons'],
  ['merge', 'root', (at) => at.merge],
  ['problem', 'ada', () => '/bookings/none'],
  ['problem-forbidden', 'ada', () => '/teach'],
  ['signed-in', 'ada', () => '/signed-in'],
  ['lookup-link', 'visitor', () => '/lookup/link?key=as-it-was-mailed'],
  ['partner-join', 'linus', (at) => at.partner],
  ['join-invited', 'linus', (at) => at.invitation],
  ['scheduled', 'grace', (at) => `/teach/notices/${at.scheduled}`],
  ['surveys', 'grace', () => '/teach/surveys'],
  ['survey-edit', 'grace', (at) => `/teach/surveys/drafts/${at.draft}`],
  ['survey-results', 'grace', (at) => `/teach/surveys/${at.results}`],
  ['survey-wall', 'grace', (at) => `/teach/surveys/${at.results}/wall`],
  ['rig-test', 'linus', () => '/rigs', async (page) => {
    await page.getByTestId('rig').filter({hasText: 'Pendulum 2'}).getByTestId('test').click()
    await page.frameLocator('[data-testid=experiment-ui]').getByTestId('data-fps').filter({hasText: /[1-9]/}).waitFor()
  }],
]
