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

// listen calls a function with every text on the page's streams, which it opens anew.
async function listen(page, what, fn) {
  page.on('websocket', (socket) => {
    if (socket.url().includes('/session/')) socket.on(what, ({payload}) => { if (typeof payload === 'string') fn(payload) })
  })
  await page.reload()
  await eventually('readings', async () => Number.isFinite(await angle(page)))
  await page.getByTestId('partner').nth(1).waitFor()
}

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

test('what a partner without control sends does not reach the experiment', async () => {
  // The readings say how the motor is driven; what he sends is seen where it leaves.
  const drives = [], sent = []
  await listen(ada.page, 'framereceived', (text) => {
    const {drive} = JSON.parse(text)
    if (drive !== undefined) drives.push(drive)
  })
  await listen(soren.page, 'framesent', (text) => sent.push(text))
  const his = bench(soren.page).locator('#controls')
  assert.ok(await his.getByTestId('kick').isDisabled(), 'he is offered to drive')
  assert.match(await bench(soren.page).getByTestId('driver').textContent(), /Ada Lovelace has control\./)
  const drive = (page, value) => bench(page).locator('#drive').evaluate((slider, value) => {
    slider.disabled = false
    slider.value = value
    slider.dispatchEvent(new Event('input', {bubbles: true}))
  }, value)
  await drive(soren.page, '0.5')
  await eventually('what he sends leaves his browser', () => sent.some((text) => text.includes('"value":0.5')))
  await drive(ada.page, '0.25')
  await eventually('her drive', () => drives.includes(0.25))
  const seen = drives.length
  await eventually('a second of readings', () => drives.length > seen + 20)
  assert.ok(!drives.includes(0.5), 'the experiment did as a partner without control said')

  // Once he has control the same reaches it, and hers does not.
  await bench(soren.page).getByTestId('ask').click()
  await ada.page.getByTestId('partner').filter({hasText: 'Søren Ó Briain'}).getByTestId('give-control').click()
  for (const one of [ada, soren]) await holder(one).filter({hasText: 'Søren Ó Briain'}).waitFor()
  await eventually('his controls', async () => !await his.getByTestId('kick').isDisabled())
  await drive(soren.page, '0.5')
  await eventually('his drive', () => drives.at(-1) === 0.5)
  await drive(ada.page, '-0.75')
  await drive(soren.page, '0')
  await eventually('his word to be the last', () => drives.at(-1) === 0)
  const since = drives.length
  await eventually('a second of readings more', () => drives.length > since + 20)
  assert.ok(!drives.includes(-0.75), 'the experiment did as its owner said, who had given control away')
  await ada.page.getByTestId('take-control').click()
  for (const one of [ada, soren]) await holder(one).filter({hasText: 'Ada Lovelace'}).waitFor()
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
  await keeper.close()
  soren.excuse(/status of 40[34]|WebSocket|Failed to load/)
  await eventually('his streams to end', async () => (await soren.context.request.get(`/launch/${booking.id}`)).status() === 404)
  assert.equal((await soren.goto(`/launch/${booking.id}`)).status(), 404)
})

test('where a second window takes over, the first says so and the second goes on', async () => {
  await soren.leave()
  await ada.page.goto('about:blank') // a window that is left open comes back, and is told that another took over
  await demo.kill('--second-window', 'replace')
  await ada.goto(`/launch/${booking.id}`)
  await eventually('readings', async () => Number.isFinite(await angle(ada.page)))
  const second = await ada.context.newPage()
  await second.goto(`/launch/${booking.id}`)
  const said = bench(ada.page).getByTestId('close-reason')
  await said.filter({hasText: 'You opened this experiment in another window; go on there.'}).waitFor()
  assert.ok(await bench(ada.page).getByTestId('kick').isDisabled(), 'the first window can still drive')
  await keep(ada.page, 'window-replaced')
  await eventually('readings in the second window', async () => Number.isFinite(await angle(second)))
  await kicked(second, second)
  assert.ok(await bench(second).getByTestId('close-reason').isHidden())
  assert.ok(await said.isVisible(), 'the first window came back')
  await second.close()
})

test('where a second window is refused, it says so and the first goes on', async () => {
  await ada.page.goto('about:blank')
  await demo.kill('--second-window', 'refuse')
  await ada.goto(`/launch/${booking.id}`)
  await eventually('readings', async () => Number.isFinite(await angle(ada.page)))
  const second = await ada.context.newPage()
  ada.excuse(/status of 409/)
  await second.goto(`/launch/${booking.id}`)
  await second.getByText('This experiment is open in another window of yours; close that one first, or go on there.').waitFor()
  assert.equal(await second.getByTestId('experiment-ui').count(), 0)
  await keep(second, 'window-refused')
  await kicked(ada.page, ada.page)
  // The first one closed, the second opens.
  await ada.page.goto('about:blank')
  await eventually('the second window to open', async () => {
    await second.goto(`/launch/${booking.id}`)
    return await second.getByTestId('experiment-ui').count() === 1
  })
  await eventually('readings in the second window', async () => Number.isFinite(await angle(second)))
})

test('no page complained', () => {
  assert.deepEqual([ada, soren].flatMap((one) => one.faults), [])
})
