// A technician's day: who is on, what flows, off-line, a test, and back; the
// student at the other end sees each step as it happens.

import assert from 'node:assert/strict'
import {after, before, test} from 'node:test'
import {Demo, eventually} from './lodge.mjs'
import {Someone, keep, launch} from './people.mjs'

let demo, browser

before(async () => {
  demo = await Demo.start()
  browser = await launch()
})

after(async () => {
  await browser?.close()
  await demo?.stop()
})

test('a technician looks after one experiment', async () => {
  const ada = await Someone.arrive(browser, demo.url, {name: 'ada'})
  const linus = await Someone.arrive(browser, demo.url, {name: 'linus'})
  ada.excuse(/WebSocket connection|ERR_/)
  linus.excuse(/status of 404/) // the experiment's page asks who has control: a test is shared with nobody
  for (const one of [ada, linus]) await one.context.request.get(`/login/dev?login_hint=${one.name}`)
  const booking = await ada.api('POST', '/api/v1/bookings', {group: 'everyone', slot: 'pend00-everyone', seconds: 600})
  await ada.goto(`/launch/${booking.id}`)
  await ada.live()
  const ui = ada.page.frameLocator('[data-testid=experiment-ui]')
  await eventually('readings', async () => Number(await ui.getByTestId('data-fps').textContent()) > 5)

  // Of all experiments Linus sees his own, with who is on and what flows.
  const {page} = linus
  await linus.goto('/rigs')
  await linus.live()
  const rig = page.getByTestId('rig')
  assert.equal(await rig.count(), 1, 'rigs of Linus')
  await rig.filter({hasText: 'In use by Ada Lovelace'}).waitFor()
  const rates = rig.getByTestId('peer').filter({hasText: 'the rig itself'}).filter({hasText: 'pend00-data'})
  await eventually('a rate of the data', async () => Number.parseFloat(await rates.getByTestId('rate-in').textContent()) > 5)
  assert.match(await rates.getByTestId('dropped').textContent(), /^\d+$/)
  await rig.getByTestId('peer').filter({hasText: 'Ada Lovelace'}).first().waitFor()
  await page.evaluate(() => { window.same = true })

  // Off-line: she reads why, and it is history.
  await rig.getByTestId('take-offline').locator('summary').click()
  await rig.getByTestId('offline-reason').fill('New bearings.')
  await rig.getByTestId('offline').click()
  await ada.page.getByTestId('close-reason').filter({hasText: 'New bearings.'}).waitFor()
  await rig.getByTestId('rig-state').filter({hasText: 'off-line'}).waitFor()
  assert.equal((await ada.context.request.get('/admin/system')).status(), 403)

  // A test of his own, while it is hidden from her.
  await rig.getByTestId('test').click()
  const bench = page.frameLocator('[data-testid=experiment-ui]')
  await eventually('readings of the test', async () => Number(await bench.getByTestId('data-fps').textContent()) > 5)
  await keep(page, 'technician-test')
  assert.ok(await ada.page.getByTestId('close-reason').isVisible(), 'Ada sees the experiment during the test')
  await page.getByTestId('test-end').click()
  await page.getByTestId('flash').waitFor()

  // Back: her streams return by themselves.
  await rig.getByTestId('online').click()
  await rig.getByTestId('rig-state').filter({hasText: 'on-line'}).waitFor()
  await ada.page.getByTestId('close-reason').waitFor({state: 'hidden'})
  await eventually('readings again', async () => Number(await ui.getByTestId('data-fps').textContent()) > 5)
  await rig.locator('.past > summary').click()
  const history = rig.getByTestId('history')
  for (const step of ['given back', 'test ended', 'test begun', 'taken off-line · Linus Pauling']) await history.getByRole('listitem').filter({hasText: step}).first().waitFor()
  await history.getByRole('listitem').filter({hasText: 'New bearings.'}).waitFor()
  await keep(page, 'technician-history', {fullPage: true})

  // What comes and goes shows by itself.
  await page.evaluate(() => { window.same = true })
  await ada.api('DELETE', `/api/v1/bookings/${booking.id}`)
  await rig.filter({hasText: 'Nobody has it booked now.'}).waitFor()
  assert.ok(await page.evaluate(() => window.same), 'the page was loaded again')
  assert.deepEqual([ada, linus].flatMap((one) => one.faults), [])
})
