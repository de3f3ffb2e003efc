// Registers in a room: the code on the wall, typed by students in browsers of their
// own, marks that change by hand, apologies, tables; and what a student sees of them.

import assert from 'node:assert/strict'
import {readFile} from 'node:fs/promises'
import {after, before, test} from 'node:test'
import {Demo, eventually} from './lodge.mjs'
import {Someone, keep, launch, phone, scanned} from './people.mjs'

let demo, browser, grace, ada, soren
let register // the path of the instructor's page

before(async () => {
  demo = await Demo.start()
  browser = await launch()
  const arrive = async (name, options) => {
    const one = await Someone.arrive(browser, demo.url, {name, ...options})
    await one.context.request.get(`/login/dev?login_hint=${name}`)
    return one
  }
  grace = await arrive('grace')
  ada = await arrive('ada', {size: phone})
  soren = await arrive('soren')
})

after(async () => {
  await browser?.close()
  await demo?.stop()
})

const row = (name) => grace.page.getByTestId('register-row').filter({hasText: name})
const mark = (name, state) => row(name).locator(`[data-testid=mark][data-state=${state}]`).waitFor()

test('an instructor opens a register and shows its code on the wall, another every few seconds', async () => {
  const {page} = grace
  await grace.goto('/teach/registers')
  await page.getByTestId('register-title').fill('Laboratory, Monday')
  await page.getByTestId('register-group').selectOption('physics-1')
  await page.getByTestId('register-rules').click()
  await page.getByTestId('register-room').check()
  await page.getByTestId('register-open').click()
  await page.getByTestId('register-state').filter({hasText: 'open'}).waitFor()
  register = new URL(page.url()).pathname
  await page.getByTestId('show-screen').click()
  await page.getByTestId('qr').waitFor()
  const code = await page.getByTestId('screen-code').textContent()
  const picture = await page.getByTestId('qr').locator('path').getAttribute('d')
  assert.match(code, /^[2-9A-Z]{5}$/)
  await page.evaluate(() => { window.same = true })
  await keep(page, 'register-screen')
  await eventually('another code', async () => await page.getByTestId('screen-code').textContent() !== code, 60000)
  assert.notEqual(await page.getByTestId('qr').locator('path').getAttribute('d'), picture, 'the picture stayed')
  assert.ok(await page.evaluate(() => window.same), 'the page was loaded again')
})

test('a student types it, and everybody who looks sees it at once', async () => {
  const wall = await grace.context.newPage()
  await wall.goto(`${register}/screen`)
  await grace.goto(register)
  await grace.live()
  await mark('Ada', 'expected')
  await grace.page.evaluate(() => { window.same = true })
  await ada.goto('/attendance')
  await ada.live()
  // A wrong code says so, and nothing is marked.
  ada.excuse(/status of 422/)
  await ada.page.getByTestId('code').fill('22222')
  await ada.page.getByTestId('code-send').click()
  await ada.page.getByTestId('problem').waitFor()
  await eventually('her code was taken', async () => {
    // One that runs out while it is typed is typed anew.
    await ada.page.getByTestId('code').fill((await wall.getByTestId('screen-code').textContent()).toLowerCase())
    await Promise.all([ada.page.waitForNavigation(), ada.page.getByTestId('code-send').click()])
    return ada.page.getByTestId('flash').isVisible()
  })
  await mark('Ada', 'present')
  await grace.page.getByTestId('register-counts').filter({hasText: '1 present'}).waitFor()
  assert.ok(await grace.page.evaluate(() => window.same), 'the page was loaded again')
  await keep(ada.page, 'attendance-marked', {fullPage: true})
  await wall.close()
})

test('a phone that is held up to the picture is led to the register, and marked', async () => {
  const {page} = grace
  await grace.goto(`${register}/screen`)
  const id = register.split('/').at(-1)
  // The picture is that of the code beside it: both are read again until no change came between.
  const link = await eventually('the picture and the code of one moment', async () => {
    const before = await grace.api('GET', `/api/v1/registers/${id}/screen`)
    const read = await scanned(page.getByTestId('qr'))
    const shown = await page.getByTestId('screen-code').textContent()
    const now = await grace.api('GET', `/api/v1/registers/${id}/screen`)
    if (before.code !== now.code || shown !== now.code) return false
    assert.equal(read, now.link)
    return read
  })
  assert.ok(link.startsWith(`${demo.url}/attendance/here/${id}?token=`), link)
  await eventually('his mark', async () => {
    soren.excuse(/status of (404|422)/) // of a picture that ran out while he walked up
    await soren.goto(await scanned(page.getByTestId('qr')))
    return soren.page.getByTestId('flash').isVisible()
  })
  await grace.goto(register)
  await mark('Søren', 'present')
})

test('marks change by hand, with a reason that their owner sees', async () => {
  const {page} = grace
  for (const [state, reason] of [['late', 'Came at twenty past.'], ['absent', 'Left again.'], ['excused', 'At the doctor’s.']]) {
    const change = row('Søren').getByTestId('change-mark')
    await change.locator('summary').click()
    await change.getByTestId('change-state').selectOption(state)
    await change.getByTestId('change-reason').fill(reason)
    await change.getByTestId('change-confirm').click()
    await row('Søren').locator('.soft').filter({hasText: reason}).first().waitFor()
    await mark('Søren', state)
  }
  await keep(page, 'register-marks', {fullPage: true})
  // Her phone hears of nobody else's marks, and his browser of its own.
  await soren.goto('/attendance')
  await soren.page.getByText('At the doctor’s.').first().waitFor()
  assert.equal(await ada.page.getByText('At the doctor’s.').count(), 0)
})

test('an apology is sent, and accepted where it is read', async () => {
  const {page} = grace
  await grace.goto('/teach/registers')
  await page.getByTestId('register-title').fill('Tutorial')
  await page.getByTestId('register-group').selectOption('physics-1')
  await page.getByTestId('register-open').click()
  await page.getByTestId('register-state').waitFor()
  await grace.live()
  await soren.goto('/attendance')
  // The newest register comes first.
  await soren.page.getByTestId('register').first().filter({hasText: 'Tutorial'}).waitFor()
  await soren.page.locator('#open').getByTestId('apologise').first().click()
  await soren.page.locator('#open').getByTestId('apology-words').first().fill('I have a fever.')
  await soren.page.locator('#open').getByTestId('apology-send').first().click()
  await soren.page.getByTestId('flash').waitFor()
  await row('Søren').getByText('I have a fever.').waitFor()
  await row('Søren').getByTestId('apology-accept').click()
  await page.getByTestId('flash').waitFor()
  await page.getByTestId('close-register').locator('summary').click()
  await page.getByTestId('close-register-confirm').click()
  await page.getByTestId('register-state').filter({hasText: 'closed'}).waitFor()
  await mark('Søren', 'excused')
  await mark('Ada', 'absent')
})

test('a table goes out, and in again with what was entered on paper', async () => {
  const {page} = grace
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByTestId('register-csv').click()])
  const table = await readFile(await file.path(), 'utf8')
  assert.match(table, /Ada Lovelace/)
  assert.match(table, /excused/)
  await page.getByTestId('import-open').click()
  await page.getByTestId('import-table').fill('name,state,reason\nAda Lovelace,late,She signed the list.\nNobody At All,present,\n')
  await page.getByTestId('import-look').click()
  await page.getByTestId('import-preview').waitFor()
  await page.getByTestId('import-unread').filter({hasText: 'Nobody At All'}).waitFor()
  await keep(page, 'register-import', {fullPage: true})
  await page.getByTestId('import-apply').click()
  await page.getByTestId('flash').waitFor()
  await mark('Ada', 'late')
  await row('Ada').getByText('She signed the list.').first().waitFor()
})

test('a student has their own record, with the sums, and nobody else’s', async () => {
  await ada.goto('/attendance')
  await ada.page.getByTestId('record').getByText('She signed the list.').waitFor()
  await ada.page.getByTestId('own-total').waitFor()
  const words = await ada.page.locator('main').textContent()
  for (const of of ['Søren', 'fever', 'doctor']) assert.ok(!words.includes(of), `Ada reads of ${of}`)
  const taken = await ada.context.request.get(`/api/v1/registers/${register.split('/').at(-1)}.csv`)
  assert.equal(taken.status(), 403)
  ada.excuse(/status of 403/)
  await ada.goto(register)
  assert.equal(await ada.page.getByTestId('marks').count(), 0)
})

test('no page complained', () => {
  assert.deepEqual([grace, ada, soren].flatMap((one) => one.faults), [])
})
