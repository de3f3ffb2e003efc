// Organising: the catalogue changes under people's bookings, roles are given and
// explained, people join by a link, a class is booked for, and a place that becomes
// free goes to who waits.

import assert from 'node:assert/strict'
import {after, before, test} from 'node:test'
import {Demo, eventually} from './lodge.mjs'
import {Someone, keep, launch, phone, scanned} from './people.mjs'

let demo, browser

before(async () => {
  demo = await Demo.start()
  browser = await launch()
})

after(async () => {
  await browser?.close()
  await demo?.stop()
})

async function arrive(name, options) {
  const one = await Someone.arrive(browser, demo.url, {name, ...options})
  await one.context.request.get(`/login/dev?login_hint=${name}`)
  return one
}

test('a manifest is planned and applied while people are booked', async () => {
  const [ada, soren, root] = await Promise.all([arrive('ada'), arrive('soren'), arrive('root')])
  const later = new Date(Date.now() + 30 * 60000).toISOString()
  const moved = await ada.api('POST', '/api/v1/bookings', {group: 'everyone', slot: 'pend00-everyone', seconds: 300, start: later})
  const cut = await soren.api('POST', '/api/v1/bookings', {group: 'everyone', slot: 'pend02-everyone', seconds: 600})
  for (const [one, id] of [[ada, moved.id], [soren, cut.id]]) {
    await one.goto(`/bookings/${id}`)
    await one.live()
    await one.page.evaluate(() => { window.same = true })
  }

  const {page} = root
  root.excuse(/status of 422/)
  await root.goto('/admin/catalogue')
  await page.getByTestId('manifest').fill('lodge: v1\nrigs: {}\n')
  await page.getByTestId('plan-it').click()
  await page.getByTestId('problem').waitFor()
  assert.match(await page.getByTestId('manifest').inputValue(), /rigs/)

  // Nothing happens before it was looked at and, for each booking, decided.
  await page.getByTestId('manifest').fill(`lodge: v1
pools: {pendulums: {experiments: [pend01, pend02]}}
policies: {everyone: {max_duration: 6m, book_ahead: 2h}}
roles: {linus: {role: technician, scope: 'experiment:pend01', subjects: ['dev:linus']}}
remove: {experiments: [pend00], slots: [pend00-everyone, pend00-physics-1]}
`)
  await page.getByTestId('plan-it').click()
  const touched = (id) => page.locator(`[data-testid=touched][data-id="${id}"]`)
  await touched(moved.id).getByText('Move it to pend02').click()
  await touched(cut.id).getByText('Cancel it, with a message').click()
  await page.getByTestId('catalogue-message').fill('Pendulum 0 is taken apart.')
  await keep(page, 'catalogue-plan', {fullPage: true})
  await page.getByTestId('apply').click()
  await page.getByTestId('flash').filter({hasText: 'Applied.'}).waitFor()

  // Both hear of it at once: their pages have changed by themselves.
  await soren.page.getByTestId('reason').filter({hasText: 'Pendulum 0 is taken apart.'}).waitFor()
  await ada.page.getByRole('heading', {name: 'Pendulum 2'}).waitFor()
  for (const one of [ada, soren]) assert.ok(await one.page.evaluate(() => window.same), 'the page was loaded again')
  assert.equal((await ada.api('GET', `/api/v1/bookings/${moved.id}`)).experiment, 'pend02')
  await keep(soren.page, 'catalogue-cancelled', {fullPage: true})

  // The trail has who did it.
  await root.goto('/admin/audit?action=booking-move')
  await page.getByTestId('entry').filter({hasText: 'Root Admin'}).filter({hasText: 'pend00 to pend02'}).waitFor()
  assert.deepEqual([ada, soren, root].flatMap((one) => one.faults), [])
  await Promise.all([ada, soren, root].map((one) => one.leave()))
})

test('a role is given, explained and taken away', async () => {
  const [ada, root] = await Promise.all([arrive('ada'), arrive('root')])
  const {page} = root
  ada.excuse(/status of 403/)
  assert.equal((await ada.goto('/teach')).status(), 403)
  await root.goto('/admin/roles')
  await page.getByTestId('role-role').selectOption('instructor')
  await page.getByTestId('role-scope').fill('group:physics-1')
  await page.getByTestId('role-subject').fill('dev:ada')
  await page.locator('input[name=name]').fill('ada-teaches')
  await page.getByTestId('give-role').click()
  await page.getByTestId('flash').waitFor()
  assert.equal((await ada.goto('/teach')).status(), 200) // at once: she did not sign in again

  await root.goto('/admin/persons?q=Ada')
  await page.getByTestId('person-row').filter({hasText: 'ada@'}).getByTestId('explain-link').click()
  const why = page.getByTestId('explained')
  await why.filter({hasText: 'Why Ada Lovelace has roles'}).filter({hasText: 'group:physics-1'}).filter({hasText: 'ada-teaches'}).waitFor()
  await keep(page, 'roles-explained', {fullPage: true})

  const row = page.getByTestId('role').filter({hasText: 'ada-teaches'})
  await row.getByTestId('remove-role').locator('summary').click()
  await row.getByTestId('confirm-remove-role').click()
  await page.getByTestId('flash').waitFor()
  assert.equal(await row.count(), 0)
  assert.equal((await ada.goto('/teach')).status(), 403)
  assert.deepEqual([ada, root].flatMap((one) => one.faults), [])
  await Promise.all([ada, root].map((one) => one.leave()))
})

test('a form that was sent when the login had ended is kept, and sent again', async () => {
  const [root, ada, grace] = await Promise.all([arrive('root'), arrive('ada'), arrive('grace')])
  const {page} = root
  root.excuse(/status of (401|422)/)
  await root.goto('/admin/roles')
  await page.getByTestId('role-role').selectOption('viewer')
  await page.getByTestId('role-scope').fill('group:nobody')
  await page.getByTestId('role-subject').fill('dev:ada')
  await page.locator('input[name=name]').fill('ada-looks')
  await root.context.clearCookies()
  await page.getByTestId('give-role').click()
  await page.getByTestId('status').filter({hasText: '401'}).waitFor()
  await page.getByTestId('held-typed').locator('summary').click()
  await page.getByTestId('typed').filter({hasText: 'ada-looks'}).waitFor()
  await keep(page, 'form-held', {fullPage: true})

  const elsewhere = async (one, fullName) => {
    const [tab] = await Promise.all([one.context.waitForEvent('page'), one.page.getByTestId('sign-in-elsewhere').click()])
    await tab.getByTestId('issuer-dev').click()
    await tab.getByRole('button', {name: fullName}).click()
    await tab.getByTestId('signed-in').waitFor()
    await tab.close()
  }
  await elsewhere(root, 'Root Admin')

  // A rule refuses it: the page of roles has it as it was. Mended, it holds.
  await page.getByTestId('send-again').click()
  await page.getByTestId('problem').waitFor()
  assert.equal(await page.getByTestId('role-role').inputValue(), 'viewer')
  assert.equal(await page.locator('input[name=name]').inputValue(), 'ada-looks')
  await page.getByTestId('role-scope').fill('group:physics-1')
  await page.getByTestId('give-role').click()
  await page.getByTestId('flash').waitFor()
  await page.getByTestId('role').filter({hasText: 'ada-looks'}).filter({hasText: 'group:physics-1'}).waitFor()

  // What a script sends stays where it is.
  ada.excuse(/status of 401/)
  const {id} = await grace.api('POST', '/api/v1/surveys', {to: 'group:physics-1', title: 'Still there?', questions: [{id: 'q1', kind: 'text', text: 'Well?'}]})
  await ada.goto(`/surveys/${id}`)
  await ada.live()
  await ada.page.getByRole('textbox').fill('Typed before.')
  await ada.context.clearCookies()
  await ada.page.getByTestId('survey-submit').click()
  await elsewhere(ada, 'Ada Lovelace')
  assert.equal(await ada.page.getByRole('textbox').inputValue(), 'Typed before.')
  await ada.page.getByTestId('survey-submit').click()
  await ada.page.getByTestId('survey-done').waitFor()
  assert.deepEqual([root, ada, grace].flatMap((one) => one.faults), [])
  await Promise.all([root, ada, grace].map((one) => one.leave()))
})

test('a student joins by a link, and a leaked link is replaced', async () => {
  const grace = await arrive('grace')
  const {page} = grace
  await grace.goto('/teach')
  await page.getByTestId('group-physics-1').click()
  await page.getByTestId('make-code').click()
  await page.getByTestId('flash').waitFor()
  const link = await page.getByTestId('join-link').getAttribute('href')
  await eventually('the QR code', () => page.getByTestId('join-qr').evaluate((image) => image.complete && image.naturalWidth > 0))
  assert.equal(await scanned(page.getByTestId('join-qr')), link)
  await keep(page, 'group-code', {fullPage: true})

  // Linus opens it on his phone, signed out: he signs in on the way.
  const linus = await Someone.arrive(browser, demo.url, {name: 'linus', size: phone})
  linus.excuse(/status of 404/)
  await linus.goto(link)
  await linus.page.getByTestId('issuer-dev').tap()
  await linus.page.getByRole('button', {name: 'Linus Pauling'}).tap()
  await linus.page.getByText('You were invited to the group').waitFor()
  await linus.page.getByTestId('join').tap()
  await linus.page.getByTestId('flash').waitFor()
  await linus.page.getByTestId('book-physics-1').waitFor()

  // Replaced: the old one is refused, and he stays in.
  await page.getByTestId('rotate-code').first().locator('summary').click()
  await page.getByTestId('rotate-code-confirm').first().click()
  await page.getByTestId('flash').waitFor()
  const next = await page.getByTestId('join-link').first().getAttribute('href')
  assert.notEqual(next, link)
  await eventually('the QR code of the new link', async () => await scanned(page.getByTestId('join-qr').first()) === next)
  await page.getByTestId('member').filter({hasText: 'Linus Pauling'}).filter({hasText: 'by a join code'}).waitFor()
  const stranger = await arrive('root')
  stranger.excuse(/status of 404/)
  await stranger.goto(link)
  await stranger.page.getByTestId('problem').waitFor()
  await stranger.goto(next)
  await stranger.page.getByText('You were invited to the group').waitFor()
  assert.deepEqual([grace, linus, stranger].flatMap((one) => one.faults), [])
  await Promise.all([grace, linus, stranger].map((one) => one.leave()))
})

test('an instructor books for a class, and for a guest', async () => {
  const [grace, ada] = await Promise.all([arrive('grace'), arrive('ada')])
  const {page} = grace
  grace.excuse(/status of (409|422)/)
  await ada.goto('/')
  await ada.live()
  await grace.goto('/teach')
  await page.getByTestId('teach-book').click()
  await page.getByRole('link', {name: 'Physics 1'}).click()
  const form = page.getByTestId('party-form')
  const day = new Date(Date.now() + 48 * 3600000).toISOString().slice(0, 10)
  await form.locator('[name=choice]').selectOption('pool:pendulums')
  await form.locator('[name=from]').fill(`${day}T10:00`)
  await form.locator('[name=until]').fill(`${day}T09:00`)
  await form.getByTestId('party-book').click()
  await page.getByTestId('problem').waitFor()
  assert.equal(await form.locator('[name=from]').inputValue(), `${day}T10:00`)
  await form.locator('[name=until]').fill(`${day}T11:00`)
  for (const box of await form.getByRole('checkbox').all()) await box.uncheck()
  for (const name of ['Ada Lovelace', 'Søren Ó Briain']) await form.getByLabel(name).check()
  await form.getByTestId('party-book').click()
  const places = page.getByTestId('places')
  for (const name of ['Ada Lovelace', 'Søren Ó Briain']) await places.getByRole('row').filter({hasText: name}).filter({hasText: 'Pendulum 1'}).waitFor()
  await keep(page, 'class-booked', {fullPage: true})
  await ada.page.getByTestId('booking').filter({hasText: 'Pendulum 1'}).first().waitFor()

  await form.locator('[name=name]').fill('Mary Somerville')
  await form.locator('[name=surname]').fill('Somerville')
  await form.locator('[name=choice]').selectOption('slot:pend01-physics-1')
  await form.locator('[name=from]').fill(`${day}T14:00`)
  await form.getByTestId('guest-book').click()
  const reference = /\(([2-9B-Z]{6})\)/.exec(await places.textContent())[1]
  const guest = await Someone.arrive(browser, demo.url, {name: 'guest'})
  await guest.goto('/lookup')
  await guest.page.getByTestId('lookup-surname').fill('somerville')
  await guest.page.getByTestId('lookup-reference').fill(reference)
  await guest.page.getByTestId('lookup-submit').click()
  await guest.page.getByRole('heading', {name: 'Pendulum 1'}).waitFor()
  assert.deepEqual([grace, ada, guest].flatMap((one) => one.faults), [])
  await Promise.all([grace, ada, guest].map((one) => one.leave()))
})

test('what one gives up goes to who waits for it', async () => {
  const [ada, soren] = await Promise.all([arrive('ada'), arrive('soren')])
  const mine = await ada.api('POST', '/api/v1/bookings', {group: 'everyone', slot: 'pend02-everyone', seconds: 360})
  await soren.goto('/waits?group=everyone')
  const form = soren.page.getByTestId('wait-form')
  await form.locator('[name=choice]').selectOption('slot:pend02-everyone')
  await form.locator('[name=minutes]').fill('4')
  await form.getByTestId('any-wait').click()
  await soren.page.getByTestId('wait').filter({hasText: 'number 1 on the list'}).waitFor()
  await soren.live()
  await ada.goto(`/bookings/${mine.id}`)
  await ada.page.getByTestId('cancel').locator('summary').click()
  await ada.page.getByTestId('cancel-confirm').click()
  await ada.page.getByTestId('flash').waitFor()
  await soren.page.getByTestId('wait-offer').waitFor() // by itself
  await keep(soren.page, 'wait-offer', {fullPage: true})
  await soren.page.getByTestId('wait-book').click()
  await soren.page.getByRole('heading', {name: 'Pendulum 2'}).waitFor()
  await soren.page.getByTestId('flash').filter({hasText: 'Booked.'}).waitFor()
  assert.deepEqual([ada, soren].flatMap((one) => one.faults), [])
})
