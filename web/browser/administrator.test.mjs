// An administrator's journey: who is signed in and ending it, the trail, the state
// of the system; and what people can do about what is held about them.

import assert from 'node:assert/strict'
import {readFile} from 'node:fs/promises'
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

async function arrive(name, options) {
  const one = await Someone.arrive(browser, demo.url, {name, ...options})
  one.excuse(/WebSocket connection|status of 40[13]|ERR_/) // of those who are put out
  await one.context.request.get(`/login/dev?login_hint=${name}`)
  return one
}

/** out waits until somebody is signed in no more. */
const out = (one) => eventually(`${one.name} signed out`, async () => (await one.context.request.get('/api/v1/me')).status() === 401)

test('sessions are found and ended: one, all of a person, everybody’s', async () => {
  const [root, desk, laptop, soren] = await Promise.all([arrive('root'), arrive('ada'), arrive('ada'), arrive('soren')])
  const {page} = root
  await desk.goto('/messages')
  await desk.live()
  const search = async (text) => {
    await root.goto('/admin')
    await page.locator('#q').fill(text)
    await page.getByRole('button', {name: 'Search'}).click()
    await page.waitForURL(/[?&]q=/)
  }
  const end = async (reason) => {
    await page.locator('input[name=reason]').fill(reason)
    await page.getByTestId('confirm-end').click()
    await page.getByTestId('flash').filter({hasText: 'Ended.'}).waitFor()
  }
  await search('Lovelace')
  const rows = page.getByTestId('session')
  assert.equal(await rows.count(), 2, 'sessions of Ada')
  await rows.filter({hasText: '1 message socket'}).getByTestId('end-session').click()
  await end('Left open in the reading room.')
  await out(desk)
  assert.equal((await laptop.context.request.get('/api/v1/me')).status(), 200)
  await keep(desk.page, 'administrator-put-out')

  await search('Lovelace')
  await rows.filter({hasText: 'active'}).first().getByTestId('end-person').click()
  await keep(page, 'administrator-end-all')
  await end('The account was stolen.')
  await out(laptop)
  assert.equal((await soren.context.request.get('/api/v1/me')).status(), 200)

  // The trail says who and why; its filters find it.
  await root.goto('/admin/audit')
  await page.locator('#who').fill('Lovelace')
  await page.getByRole('button', {name: 'Search'}).click()
  await page.getByTestId('entry').filter({hasText: 'Root Admin'}).filter({hasText: 'The account was stolen.'}).waitFor()
  await page.locator('#from').fill('2099-01-01T00:00')
  await page.getByRole('button', {name: 'Search'}).click()
  await page.getByText('No entry matches.').waitFor()
  assert.equal(await page.locator('#who').inputValue(), 'Lovelace')

  // A booking ends with a reason.
  const booking = await soren.api('POST', '/api/v1/bookings', {group: 'everyone', slot: 'pend02-everyone', seconds: 300})
  await soren.goto(`/bookings/${booking.id}`)
  await soren.live()
  await root.goto('/teach')
  const row = page.getByTestId('under-way').filter({hasText: 'Søren'}).filter({hasText: 'Pendulum 2'})
  await row.getByTestId('cancel').locator('summary').click()
  await row.getByTestId('cancel-reason').fill('The mains are switched off.')
  await row.getByTestId('cancel-confirm').click()
  await soren.page.getByTestId('reason').filter({hasText: 'The mains are switched off.'}).waitFor()

  // The state of the system, as it is now.
  await root.goto('/admin/system')
  await page.getByTestId('ready').filter({hasText: 'ready'}).waitFor()
  await page.locator('.figures div').filter({hasText: 'People here now'}).filter({hasText: /[1-9]/}).waitFor()

  // Everybody out, the administrator too.
  await root.goto('/admin')
  await page.getByTestId('end-logins').click()
  await page.locator('input[name=reason]').fill('Keys were lost.')
  await page.getByTestId('confirm-end').click()
  await out(soren)
  await out(root)
  assert.deepEqual([root, desk, laptop, soren].flatMap((one) => one.faults), [])
  await Promise.all([root, desk, laptop, soren].map((one) => one.leave()))
})

test('everything is ended at once: whoever is there is told, and signs in again', async () => {
  const [root, desk, launched] = await Promise.all([arrive('root'), arrive('ada'), arrive('soren')])
  const {page} = root
  const booking = await launched.api('POST', '/api/v1/bookings', {group: 'everyone', slot: 'pend02-everyone', seconds: 300})
  await launched.goto(`/launch/${booking.id}`)
  await launched.live()
  const ui = launched.page.frameLocator('[data-testid=experiment-ui]')
  await eventually('readings', async () => Number(await ui.getByTestId('data-fps').textContent()) > 5)
  await desk.goto('/messages')
  await desk.live()
  await root.goto('/admin')
  await page.getByTestId('end-all').click()
  await page.getByRole('heading', {name: 'End everything, your own session'}).waitFor()
  const listed = page.getByTestId('session')
  for (const name of ['Root Admin', 'Ada Lovelace', 'Søren Ó Briain']) await listed.filter({hasText: name}).first().waitFor()
  await keep(page, 'administrator-end-everything')
  await page.locator('input[name=reason]').fill('Codes were seen outside.')
  await page.getByTestId('confirm-end').click()

  // He is signed out with the others, and comes back to where he was.
  await page.waitForURL(/\/login\?return=/)
  assert.equal(new URL(page.url()).searchParams.get('return'), '/admin?done=ended')
  await page.getByTestId('issuer-dev').waitFor()
  for (const one of [root, desk, launched]) await out(one)

  // Pages that are open say so by themselves, and why; the experiment stops.
  for (const one of [desk, launched]) {
    const said = one.page.locator('#connection')
    await said.filter({hasText: 'Codes were seen outside.'}).waitFor()
    await keep(one.page, `administrator-ended-${one.name}`)
  }
  await ui.getByTestId('close-reason').filter({hasText: 'Codes were seen outside.'}).waitFor()
  await desk.page.locator('#connection a').click()
  await desk.page.waitForURL(/\/login\?return=/)
  await desk.page.getByTestId('issuer-dev').click()
  await desk.page.getByRole('button', {name: 'Ada Lovelace'}).click()
  await desk.page.waitForURL(`${demo.url}/messages`)
  await desk.live()

  await page.getByTestId('issuer-dev').click()
  await page.getByRole('button', {name: 'Root Admin'}).click()
  await page.getByTestId('flash').filter({hasText: 'Ended.'}).waitFor()
  assert.deepEqual([root, desk, launched].flatMap((one) => one.faults), [])
  await Promise.all([root, desk, launched].map((one) => one.leave()))
})

test('people see who looked, take their data with them, and are erased', async () => {
  const [root, ada] = await Promise.all([arrive('root'), arrive('ada')])
  await ada.api('POST', '/api/v1/bookings', {group: 'everyone', slot: 'pend00-everyone', seconds: 300})
  const {person} = await ada.api('GET', '/api/v1/me')
  await root.goto(`/admin/roles?person=${person}`)
  await root.page.getByTestId('explained').waitFor()
  const {page} = ada
  await ada.goto('/privacy')
  await page.getByTestId('look').filter({hasText: 'Root Admin'}).first().waitFor()
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByTestId('export').click()])
  const data = JSON.parse(await readFile(await file.path(), 'utf8'))
  assert.ok(JSON.stringify(data).includes('pend00'), 'the booking is not in the export')
  await page.getByTestId('erase').locator('summary').click()
  await page.getByTestId('erase-me').click()
  await page.getByText('You are erased here.').waitFor()
  await out(ada)
  assert.deepEqual([root, ada].flatMap((one) => one.faults), [])
  await Promise.all([root, ada].map((one) => one.leave()))
})

test('a page that was off-line comes back with what it missed', async () => {
  const [ada, grace] = await Promise.all([arrive('ada'), arrive('grace')])
  const {page} = ada
  // What takes the line away leaves sockets open: they are cut beside.
  let line, down = false
  await page.routeWebSocket(/\/messages\/ws/, (socket) => {
    line = socket
    if (down) socket.close()
    else socket.connectToServer()
  })
  await ada.goto('/messages')
  await ada.live()
  await page.evaluate(() => { window.same = true })
  down = true
  await ada.context.setOffline(true)
  await line.close()
  await page.locator('#connection[data-state=waiting]').waitFor()
  await grace.api('POST', '/api/v1/messages', {to: 'all', text: 'Said meanwhile.'})
  await keep(page, 'off-line')
  down = false
  await ada.context.setOffline(false)
  const missed = page.getByTestId('message').filter({hasText: 'Said meanwhile.'})
  await missed.waitFor()
  await ada.live()
  assert.equal(await missed.count(), 1)
  assert.ok(await page.evaluate(() => window.same), 'the page was loaded again')
  assert.deepEqual([ada, grace].flatMap((one) => one.faults), [])
})

test('registers, results, rigs, who is there and what is free: each comes back with what it missed', async () => {
  const [root, ada, grace, linus, soren] = await Promise.all(['root', 'ada', 'grace', 'linus', 'soren'].map((name) => arrive(name)))
  const questions = [{id: 'q1', kind: 'single', text: 'Did it obey?', options: ['Yes', 'No']}]
  const survey = await grace.api('POST', '/api/v1/surveys', {to: 'all', title: 'How was it?', questions})
  const register = await grace.api('POST', '/api/v1/registers', {title: 'This hour', group: 'physics-1'})
  const lines = []
  let down = false
  for (const one of [root, ada]) {
    await one.context.routeWebSocket(/\/messages\/ws/, (socket) => {
      lines.push(socket)
      if (down) socket.close()
      else socket.connectToServer()
    })
  }
  const tab = async (path, one = root) => {
    const page = await one.context.newPage()
    await page.goto(path)
    await one.live(page)
    await page.evaluate(() => { window.same = true })
    return page
  }
  const marks = await tab(`/teach/registers/${register.id}`)
  const results = await tab(`/teach/surveys/${survey.id}`)
  const rigs = await tab('/rigs')
  const teach = await tab('/teach')
  const book = await tab('/book?group=physics-1', ada)
  const tabs = [marks, results, rigs, teach, book]
  const free = () => book.locator('#calendar .week').filter({hasText: 'Pendulum 1'}).locator('.ribbon-free').count()
  const was = await free()
  assert.ok(was > 0, 'the calendar shows nothing')
  const present = teach.getByTestId('present-person').filter({hasText: 'Søren Ó Briain'})
  await present.waitFor({state: 'detached'})

  down = true
  for (const one of [root, ada]) await one.context.setOffline(true)
  await Promise.all(lines.map((line) => line.close()))
  for (const page of tabs) await page.locator('#connection[data-state=waiting]').waitFor()
  await soren.api('POST', `/api/v1/surveys/${survey.id}/answers`, {answers: {q1: {options: [0]}}})
  await soren.api('POST', `/api/v1/registers/${register.id}/marks`)
  await linus.api('PUT', '/api/v1/admin/experiments/pend00/state', {online: false, reason: 'While nobody looked.'})
  const noon = new Date(Date.now() + 24 * 3600000).toISOString().replace(/T.*/, 'T12:00:00Z')
  await soren.api('POST', '/api/v1/bookings', {group: 'physics-1', slot: 'pend01-physics-1', seconds: 1800, start: noon})
  await soren.goto('/messages')
  await soren.live()

  down = false
  for (const one of [root, ada]) await one.context.setOffline(false)
  await marks.getByTestId('register-row').filter({hasText: 'Søren Ó Briain'}).filter({hasText: 'confirmed'}).waitFor()
  await eventually('his answer', async () => await results.getByTestId('answered').textContent() === '1')
  await rigs.getByTestId('rig').filter({hasText: 'While nobody looked.'}).waitFor()
  await present.waitFor()
  await eventually('his booking in the calendar', async () => await free() > was)
  for (const page of tabs) {
    await root.live(page)
    assert.ok(await page.evaluate(() => window.same), `${page.url()} was loaded again`)
  }
  await linus.api('PUT', '/api/v1/admin/experiments/pend00/state', {online: true})
  assert.deepEqual([root, ada, grace, linus, soren].flatMap((one) => one.faults), [])
  await Promise.all([root, ada, grace, linus, soren].map((one) => one.leave()))
})
