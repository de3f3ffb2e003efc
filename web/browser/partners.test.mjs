// Two students at one experiment: who owns the booking lets the other in, one of them
// has control at a time, and both see who.

import assert from 'node:assert/strict'
import {after, before, test} from 'node:test'
import {Demo, eventually} from './lodge.mjs'
import {Someone, keep, launch} from './people.mjs'

let demo, browser, ada, soren, booking

before(async () => {
  demo = await Demo.start()
  browser = await launch()
  ada = await Someone.arrive(browser, demo.url, {name: 'ada'})
  soren = await Someone.arrive(browser, demo.url, {name: 'soren'})
  for (const one of [ada, soren]) await one.context.request.get(`/login/dev?login_hint=${one.name}`)
  booking = await ada.api('POST', '/api/v1/bookings', {group: 'physics-1', slot: 'pend00-physics-1', seconds: 600})
})

after(async () => {
  await browser?.close()
  await demo?.stop()
})

const holder = (one) => one.page.getByTestId('partner').filter({has: one.page.getByTestId('has-control')})
const bench = (page) => page.frameLocator('[data-testid=experiment-ui]')
const angle = async (page) => Number.parseFloat(await bench(page).getByTestId('angle').textContent())

// It swings when whoever kicked it was let: a kick is lost while it swings the other
// way, so it is kicked until it does.
const kicked = (page, seen) => eventually('a swing', async () => {
  const before = await angle(seen)
  await bench(page).getByTestId('kick').click()
  return eventually('a reading', async () => Math.abs(await angle(seen) - before) > 1, 3000).catch(() => false)
})

test('who owns a booking lets a partner in with a link', async () => {
  await ada.goto(`/bookings/${booking.id}/partners`)
  await ada.page.getByTestId('make-link').click()
  const link = await ada.page.getByTestId('share-link').inputValue()
  await soren.goto(link)
  await soren.page.getByText('Ada Lovelace would like to share').waitFor()
  await soren.page.getByTestId('join').click()
  await soren.page.getByTestId('launch').waitFor()
  assert.equal(await soren.page.getByTestId('make-link').count(), 0, 'a partner may share on')
  await ada.goto(`/bookings/${booking.id}/partners`)
  await ada.page.getByTestId('partner').filter({hasText: 'Søren Ó Briain'}).waitFor()
  await keep(ada.page, 'partners', {fullPage: true})
})

test('both see the experiment, and who has control of it', async () => {
  for (const one of [ada, soren]) {
    await one.goto(`/launch/${booking.id}`)
    await one.live()
    await eventually(`readings for ${one.name}`, async () => Number.isFinite(await angle(one.page)))
    await holder(one).filter({hasText: 'Ada Lovelace'}).waitFor()
  }
  await kicked(ada.page, soren.page)
})

test('control is asked for, handed over and taken back in sight of both', async () => {
  for (const one of [ada, soren]) await one.page.evaluate(() => { window.same = true })
  const [his, hers] = [soren, ada].map((one) => one.page.getByTestId('partner').filter({hasText: 'Søren Ó Briain'}))
  await his.getByTestId('ask-control').click()
  await hers.getByTestId('asks-control').waitFor()
  await hers.getByTestId('give-control').click()
  for (const one of [ada, soren]) await holder(one).filter({hasText: 'Søren Ó Briain'}).waitFor()
  await kicked(soren.page, ada.page)
  await keep(soren.page, 'partners-launch')
  await ada.page.getByTestId('take-control').click()
  for (const one of [ada, soren]) await holder(one).filter({hasText: 'Ada Lovelace'}).waitFor()
  await kicked(ada.page, soren.page)
  for (const one of [ada, soren]) assert.ok(await one.page.evaluate(() => window.same), `${one.name}'s page was loaded again`)
})

test('a second window of one student shows the same, and the first goes on', async () => {
  const second = await ada.context.newPage()
  await second.goto(`/launch/${booking.id}`)
  await eventually('readings in the second window', async () => Number.isFinite(await angle(second)))
  await kicked(ada.page, second)
  assert.equal(await second.getByTestId('partner').count(), 2, 'she counts once')
  await second.close()
  await kicked(ada.page, soren.page)
})

test('a partner who is taken off the booking sees it no more', async () => {
  const keeper = await ada.context.newPage()
  await keeper.goto(`/bookings/${booking.id}/partners`)
  await keeper.getByTestId('remove-partner').click()
  await keeper.getByTestId('remove-partner').waitFor({state: 'detached'})
  soren.excuse(/status of 40[34]|WebSocket|Failed to load/)
  await eventually('his streams to end', async () => (await soren.context.request.get(`/launch/${booking.id}`)).status() === 404)
  assert.equal((await soren.goto(`/launch/${booking.id}`)).status(), 404)
})

test('no page complained', () => {
  assert.deepEqual([ada, soren].flatMap((one) => one.faults), [])
})
