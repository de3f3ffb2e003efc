// The journey, from the first sign-in to the survey after the experiment, by
// several people at once, each in a browser of their own.

import assert from 'node:assert/strict'
import {readFile} from 'node:fs/promises'
import {after, before, test} from 'node:test'
import {Demo, eventually} from './lodge.mjs'
import {Someone, keep, launch, phone} from './people.mjs'

let demo, browser, ada, grace, linus, soren
let booking // the address of Ada's booking page
let ui // the experiment's page in its frame
let parted // when Ada's streams were closed
const sockets = [] // the websockets of Ada's launch page

before(async () => {
  demo = await Demo.start()
  browser = await launch()
})

after(async () => {
  await browser?.close()
  await demo?.stop()
})

const steps = []
const step = (name, run) => steps.push([name, run])

test('the journey', async (t) => {
  for (const [name, run] of steps) {
    let done = false // a step stands on those before it
    await t.test(name, async () => {
      try {
        await run()
        done = true
      } catch (failed) {
        for (const one of [ada, grace, linus, soren]) if (one) await keep(one.page, `failed-${one.name}`).catch(() => {})
        throw failed
      }
    })
    if (!done) break
  }
})

const message = (page, text) => page.getByTestId('message').filter({hasText: text})
const seconds = (clock) => clock.split(':').reduce((sum, part) => sum * 60 + Number.parseInt(part, 10), 0)
const left = async () => seconds(await ada.page.getByTestId('countdown').textContent())
const angle = async () => Number.parseFloat(await ui.getByTestId('angle').textContent())
const open = () => sockets.filter((s) => !s.isClosed() && s.url().includes('/session/')).length

// Where the red bob is in the picture, in pixels: what the camera sees.
const bob = () => ui.getByTestId('video').evaluate((canvas) => {
  const {data, width, height} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
  let [n, x, y] = [0, 0, 0]
  for (let i = 0; i < width * height; i++) {
    if (data[4 * i] > 128 && data[4 * i + 1] < 96 && data[4 * i + 2] < 96) {
      n++
      x += i % width
      y += i / width
    }
  }
  return n && {x: x / n, y: y / n}
})

async function send(to, text, priority = 'info') {
  const form = grace.page.getByTestId('notice-form')
  await form.getByTestId('to').selectOption(to)
  await form.getByTestId('notice-text').fill(text)
  await form.getByTestId('notice-priority').selectOption(priority)
  await form.getByTestId('notice-send').click()
  await grace.page.getByTestId('sent').filter({hasText: text}).waitFor()
}

step('Ada signs in at her institution and books', async () => {
  ada = await Someone.arrive(browser, demo.url, {name: 'ada'})
  const {page} = ada
  await ada.goto('/')
  await page.getByTestId('issuer-dev').click()
  await keep(page, 'journey-issuer')
  await page.getByRole('button', {name: 'Ada Lovelace'}).click()
  await page.getByRole('heading', {name: 'Good to see you, Ada Lovelace'}).waitFor()
  await page.getByTestId('book-everyone').click()
  const slot = page.getByTestId('slot').filter({hasText: 'Pendulum 0'})
  await slot.getByTestId('length').selectOption({label: '5 minutes'})
  await slot.getByTestId('book').click()
  await page.getByTestId('flash').waitFor()
  booking = new URL(page.url()).pathname
  assert.match(await page.getByTestId('reference').textContent(), /^[23456789BCDFGHJKMNPQRSTVWXZ]{6}$/)
  assert.match(await page.getByTestId('booking-time').textContent(), /\d\d:\d\d to .*\d\d:\d\d (IST|GMT)$/)
  assert.match(await page.getByTestId('countdown').textContent(), /^[45]:\d\d left$/)
  const [calendar] = await Promise.all([page.waitForEvent('download'), page.getByTestId('ics').click()])
  assert.match(await readFile(await calendar.path(), 'utf8'), /BEGIN:VEVENT\r\n/)
  await keep(page, 'journey-booked')
})

step('Søren, on a phone and not signed in, reaches his booking and nothing else', async () => {
  soren = await Someone.arrive(browser, demo.url, {name: 'soren', size: phone})
  soren.excuse(/status of 40[34]/)
  const {page} = soren
  await soren.goto('/lookup')
  await page.getByTestId('lookup-surname').fill('O’BRIAIN')
  await page.getByTestId('lookup-reference').fill((await demo.reference()).toLowerCase())
  await keep(page, 'journey-lookup')
  await page.getByTestId('lookup-submit').tap()
  await page.getByRole('heading', {name: 'Pendulum 1'}).waitFor()
  await page.getByTestId('launch').waitFor()
  await keep(page, 'journey-lookup-found')
  const own = new URL(page.url()).pathname
  for (const path of [booking, booking.replace('bookings', 'launch')]) {
    assert.equal((await soren.goto(path)).status(), 404)
    await page.getByTestId('detail').waitFor()
  }
  assert.equal((await soren.goto('/teach')).status(), 403)
  await soren.goto(own)
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'the page is wider than the phone')
})

step('Ada launches the experiment and drives it', async () => {
  const {page} = ada
  page.on('websocket', (socket) => sockets.push(socket))
  await page.getByTestId('launch').click()
  ui = page.frameLocator('[data-testid=experiment-ui]')
  await ada.live()
  await eventually('20 readings a second', async () => Math.abs(Number(await ui.getByTestId('data-fps').textContent()) - 20) <= 2)
  await eventually('10 pictures a second', async () => Number(await ui.getByTestId('video-fps').textContent()) >= 10)
  const still = Math.abs(await angle())
  const before = await eventually('a picture of the bob', bob)
  await ui.getByTestId('kick').click()
  await eventually('the angle after a kick', async () => Math.abs(await angle()) > still + 1)
  await eventually('the picture after a kick', async () => {
    const now = await bob()
    return Math.hypot(now.x - before.x, now.y - before.y) > 3
  })
  assert.equal(open(), 2, 'streams open')
})

step('Grace sends to everyone, a group, the users of an experiment and Ada', async () => {
  grace = await Someone.arrive(browser, demo.url, {name: 'grace'})
  await grace.signIn('Grace Hopper')
  await grace.goto('/teach')
  await grace.live()
  const everyone = ['Welcome to the laboratory.', 'Physics 1 meets at noon.', 'The pendulum was oiled.', 'Well swung, Ada.']
  await send('all', everyone[0])
  await send('group:physics-1', everyone[1])
  await send('experiment:pend00', everyone[2])
  const ada1 = await grace.page.getByTestId('notice-form').getByTestId('to').locator('option', {hasText: 'Ada Lovelace'}).getAttribute('value')
  await send(ada1, everyone[3], 'important')
  for (const text of everyone) {
    await message(ada.page, text).waitFor()
    assert.equal(await message(ada.page, text).count(), 1, text)
  }
  const inUI = ui.getByTestId('ui-message')
  for (const text of [everyone[0], everyone[2]]) await inUI.filter({hasText: text}).waitFor()
  assert.equal(await inUI.count(), 2, 'messages in the experiment’s page')

  // What is important counts as read when it has been acknowledged: first it is
  // delivered. All of it shows on Grace's page as it is.
  await grace.page.evaluate(() => { window.same = true })
  const receipt = (name) => grace.page.getByTestId('sent').filter({hasText: everyone[3]}).getByTestId(`receipt-${name}`)
  await eventually('delivered', async () => await receipt('delivered').textContent() === '1')
  assert.equal(await receipt('read').textContent(), '0')
  await message(ada.page, everyone[3]).getByTestId('acknowledge').click()
  await eventually('read', async () => await receipt('read').textContent() === '1')
  await eventually('the rest read', async () => await grace.page.getByTestId('sent').filter({hasText: everyone[2]}).getByTestId('receipt-read').textContent() === '1')
  assert.ok(await grace.page.evaluate(() => window.same), 'the page was loaded again')
  await keep(ada.page, 'journey-launch')
  await keep(grace.page, 'journey-teach', {fullPage: true})
})

step('Ada extends while it runs', async () => {
  const [was, count] = [await left(), sockets.length]
  await ada.page.locator('#extend-by').selectOption({label: '5 min'})
  await ada.page.getByTestId('extend').click()
  await eventually('a later end', async () => await left() > was + 240)
  await eventually('the later end in the experiment’s page', async () => seconds(await ui.getByTestId('ui-time-left').textContent()) > was + 240)
  const now = await angle()
  await eventually('readings to go on', async () => await angle() !== now)
  assert.equal(sockets.length, count, 'a socket was opened again')
  assert.equal(open(), 2, 'streams open')
})

step('Linus takes the pendulum off-line and gives it back', async () => {
  linus = await Someone.arrive(browser, demo.url, {name: 'linus'})
  await linus.signIn('Linus Pauling')
  await linus.goto('/rigs')
  const rig = linus.page.getByTestId('rig')
  assert.equal(await rig.count(), 1, 'rigs of Linus')
  await eventually('Ada among the connections', async () => /Ada/.test(await rig.getByTestId('peers').textContent()))
  await rig.getByTestId('take-offline').locator('summary').click()
  await rig.getByTestId('offline-reason').fill('New bearings.')
  await rig.getByTestId('offline').click()
  for (const place of [ada.page, ui]) await place.getByTestId('close-reason').filter({hasText: 'New bearings.'}).waitFor()
  await eventually('both streams closed', () => open() === 0)
  await keep(ada.page, 'journey-offline')
  await keep(linus.page, 'journey-rigs')
  await rig.getByTestId('online').click()
  await ada.page.getByTestId('close-reason').waitFor({state: 'hidden'})
  await eventually('streams that return by themselves', () => open() === 2)
  sockets.length = 0
  await ada.page.reload()
  await eventually('readings after a reload', async () => Number(await ui.getByTestId('data-fps').textContent()) > 10)
  await ui.getByTestId('kick').click()
})

step('Grace cancels the booking', async () => {
  const {page} = grace
  const row = page.getByTestId('under-way').filter({hasText: 'Ada'})
  await row.getByTestId('cancel').locator('summary').click()
  await row.getByTestId('cancel-reason').fill('The lab closes early.')
  await row.getByTestId('cancel-confirm').click()
  for (const place of [ada.page, ui]) await place.getByTestId('close-reason').filter({hasText: 'The lab closes early.'}).waitFor()
  await eventually('both streams closed', () => open() === 0)
  parted = new Date()
  assert.equal(await ada.page.getByTestId('countdown').textContent(), 'cancelled')
  await keep(ada.page, 'journey-cancelled')
})

step('the survey reaches Ada after the experiment', async () => {
  const {page} = grace
  await page.getByTestId('surveys-page').click()
  await page.getByTestId('new-survey').click()
  const form = page.getByTestId('survey-edit')
  await form.getByTestId('to').selectOption('experiment:pend00')
  await form.getByTestId('survey-title').fill('How was it?')
  await form.getByTestId('q-text-0').fill('Did the pendulum obey?')
  await form.getByTestId('q-options-0').fill('Yes\nNo')
  await form.getByTestId('add-question').click()
  await form.getByTestId('q-text-1').fill('What should change?')
  await form.getByTestId('q-kind-1').selectOption('text')
  await form.getByTestId('survey-open').click()
  const tally = page.getByTestId('results')
  await tally.waitFor()
  await grace.live()
  await page.evaluate(() => { window.same = true })

  const survey = ada.page.getByTestId('survey-form')
  await survey.waitFor()
  await keep(ada.page, 'journey-survey')
  await survey.getByLabel('Yes').check()
  await survey.getByRole('textbox').fill('=more drive')
  await survey.getByTestId('survey-submit').click()
  await ada.page.getByTestId('survey-done').waitFor()

  await eventually('the tally', async () => await tally.getByTestId('answered').textContent() === '1')
  await eventually('the bar', async () => await tally.getByTestId('bar-count').first().textContent() === '1')
  assert.ok(await page.evaluate(() => window.same), 'the page was loaded again')
  const [csv] = await Promise.all([page.waitForEvent('download'), page.getByTestId('survey-csv').click()])
  assert.match(csv.suggestedFilename(), /\.csv$/)
  assert.match(await readFile(await csv.path(), 'utf8'), /'=more drive/)
})

step('the register knows that Ada was there, and Søren was not', async () => {
  const {page} = grace
  await grace.goto('/teach')
  await page.getByTestId('registers-page').click()
  const form = page.getByTestId('register-compose')
  await form.getByTestId('register-title').fill('Physics 1, this hour')
  await form.getByTestId('register-group').selectOption('physics-1')
  await form.getByTestId('register-open').click()
  const row = (name) => page.getByTestId('register-row').filter({hasText: name})
  // A register is for an hour; one may have begun since she was there.
  const hour = (date) => Math.floor(date / 3600000)
  const seen = hour(parted) === hour(Date.now())
  await row('Ada Lovelace').filter({hasText: seen ? 'seen in the experiment' : 'expected'}).filter({hasText: seen ? 'present' : ''}).waitFor()
  await grace.live()
  await page.evaluate(() => { window.same = true })

  await ada.page.getByTestId('confirm').click()
  await ada.page.getByTestId('confirmed').waitFor()
  await row('Ada Lovelace').filter({hasText: 'confirmed'}).waitFor()
  assert.ok(await page.evaluate(() => window.same), 'the page was loaded again')
  await page.getByTestId('close-register').locator('summary').click()
  await page.getByTestId('close-register-confirm').click()
  await row('Søren Ó Briain').filter({hasText: 'absent'}).waitFor()
  await ada.page.getByTestId('register').waitFor({state: 'detached'})
  await keep(page, 'journey-teach-after', {fullPage: true})
})

step('pages that were open survive kill -9', async () => {
  for (const one of [ada, grace, linus, soren]) one.excuse(/ERR_CONNECTION_|WebSocket connection|status of 502/)
  const messages = await ada.context.newPage()
  await messages.goto('/messages')
  await ada.live(messages)
  await grace.goto('/teach')
  await send('all', 'Before the crash.')
  for (const page of [messages, ada.page]) await message(page, 'Before the crash.').waitFor()
  const shown = await messages.getByTestId('message').evaluateAll((items) => items.map((item) => item.dataset.id))
  const known = await ada.page.getByTestId('message').count()

  const again = [messages, ada.page].map((page) => page.waitForEvent('websocket'))
  await demo.kill()
  await Promise.all(again)
  for (const page of [messages, ada.page]) await ada.live(page)
  await grace.goto('/teach')
  await send('all', 'After the crash.')
  await message(messages, 'After the crash.').waitFor()
  await message(ada.page, 'After the crash.').waitFor()
  await eventually('Grace’s receipt', async () => await grace.page.getByTestId('sent').filter({hasText: 'After the crash.'}).getByTestId('receipt-delivered').textContent() >= 1)
  const now = await messages.getByTestId('message').evaluateAll((items) => items.map((item) => item.dataset.id))
  assert.deepEqual(now.slice(1), shown, 'the earlier messages')
  assert.equal(new Set(now).size, now.length, 'a message twice')
  assert.equal(await ada.page.getByTestId('message').count(), known + 1)
  await keep(messages, 'journey-messages')

  await messages.goto('/')
  await messages.getByRole('heading', {name: 'Good to see you, Ada Lovelace'}).waitFor()
  await soren.page.reload()
  await soren.page.getByRole('heading', {name: 'Pendulum 1'}).waitFor()
})

step('Ada signs out', async () => {
  await ada.goto('/')
  await ada.page.getByTestId('logout').click()
  await ada.page.getByRole('heading', {name: 'Come in.'}).waitFor()
})

step('no page complained', () => {
  assert.deepEqual([ada, grace, linus, soren].flatMap((one) => one.faults), [])
})
