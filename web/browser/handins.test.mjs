// Hand-ins: set by an instructor, handed in after the experiment in browsers of their
// own, through a lost network, graded, and given back together.

import assert from 'node:assert/strict'
import {createHash} from 'node:crypto'
import {readFile} from 'node:fs/promises'
import {after, before, test} from 'node:test'
import {Demo, eventually} from './lodge.mjs'
import {Someone, keep, launch, phone} from './people.mjs'

let demo, browser, grace, ada, soren
let teach, own // paths of the hand-in, for the instructor and for a student

before(async () => {
  demo = await Demo.start()
  browser = await launch()
  const arrive = async (name, options) => {
    const one = await Someone.arrive(browser, demo.url, {name, ...options})
    await one.context.request.get(`/login/dev?login_hint=${name}`)
    return one
  }
  grace = await arrive('grace')
  ada = await arrive('ada')
  soren = await arrive('soren', {size: phone})
})

after(async () => {
  await browser?.close()
  await demo?.stop()
})

const work = (name) => grace.page.getByTestId('work').filter({hasText: name})
const readings = {name: 'readings.csv', mimeType: 'text/csv', buffer: Buffer.from('t,angle\n0,3.1\n1,2.9\n')}

test('an instructor sets something to be handed in after the experiment', async () => {
  const {page} = grace
  await grace.goto('/teach/handins')
  const form = page.getByTestId('handin-compose')
  await form.getByTestId('to').selectOption('experiment:pend00')
  await page.getByTestId('handin-title').fill('Damping')
  await page.getByTestId('handin-instructions').fill('Your readings as CSV, and what you make of them.')
  await page.getByTestId('handin-after').check()
  await page.getByTestId('handin-points').fill('ten')
  // What is wrong is said, and what was typed stays.
  grace.excuse(/status of 422/)
  await page.getByTestId('handin-open').click()
  await page.getByTestId('problem').waitFor()
  assert.equal(await page.getByTestId('handin-title').inputValue(), 'Damping')
  assert.ok(await page.getByTestId('handin-after').isChecked())
  await page.getByTestId('handin-points').fill('10')
  await page.getByTestId('handin-open').click()
  await page.getByTestId('handin-counts').waitFor()
  teach = new URL(page.url()).pathname
  own = teach.replace('/teach', '')
})

test('it comes to a student as their experiment ends, on the page they are on', async () => {
  const {page} = ada
  const booking = await ada.api('POST', '/api/v1/bookings', {group: 'everyone', slot: 'pend00-everyone', seconds: 300})
  await ada.goto(`/launch/${booking.id}`)
  await ada.live()
  assert.equal((await ada.context.request.get(own)).status(), 404, 'it is there before the end')
  await ada.api('DELETE', `/api/v1/bookings/${booking.id}`)
  await page.getByTestId('asked').getByTestId('handin-link').click()
  await page.getByRole('heading', {name: 'Damping'}).waitFor()
  assert.equal((await soren.context.request.get(own)).status(), 404, 'it is his, who had no experiment')
})

test('text and files are handed in, with a receipt of the time and a hash', async () => {
  const {page} = ada
  await page.getByTestId('handin-text').fill('It falls by a tenth each swing.')
  // What was typed outlives a reload.
  await page.reload()
  assert.equal(await page.getByTestId('handin-text').inputValue(), 'It falls by a tenth each swing.')
  ada.excuse(/status of 422/)
  await page.getByTestId('handin-file').setInputFiles({name: 'run.exe', mimeType: 'application/octet-stream', buffer: Buffer.from('MZ')})
  await page.getByTestId('handin-send').click()
  await page.locator('[data-form-error]').filter({hasText: 'run.exe'}).waitFor()
  await page.getByTestId('handin-file').setInputFiles([readings])
  await page.getByTestId('handin-send').click()
  await page.getByTestId('handin-receipt').filter({hasText: 'version 1'}).waitFor()
  const sha256 = (data) => createHash('sha256').update(data).digest('hex')
  const lines = `${sha256('It falls by a tenth each swing.')}  text.txt\n${sha256(readings.buffer)}  readings.csv\n`
  await page.locator('code').filter({hasText: sha256(lines)}).waitFor()
  await keep(page, 'handin-receipt', {fullPage: true})
})

test('off-line what was typed is kept, and goes when the network is back: once', async () => {
  const {page} = ada
  ada.excuse(/ERR_INTERNET_DISCONNECTED|ERR_CONNECTION|WebSocket|Failed to load/)
  await page.getByTestId('handin-text').fill('By a tenth, and less when it is cold.')
  await ada.context.setOffline(true)
  await page.getByTestId('handin-send').click()
  await page.locator('[data-form-error]').filter({hasText: 'The connection was lost'}).waitFor()
  assert.equal(await page.getByTestId('handin-text').inputValue(), 'By a tenth, and less when it is cold.')
  await ada.context.setOffline(false)
  await page.getByTestId('handin-receipt').filter({hasText: 'version 2'}).waitFor()
  const mine = (await ada.api('GET', `/api/v1${own}`)).mine
  assert.equal(mine.version, 2)
  assert.deepEqual(mine.files.map((f) => f.name), ['readings.csv'], 'what was to be kept')
  assert.equal(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('lodge-handin:')).length), 0, 'drafts left')
})

test('a large file says how much of it has arrived', async () => {
  const {page} = ada
  // A phone's network, for as long as it goes up.
  const network = await ada.context.newCDPSession(page)
  const speed = (uploadThroughput) => network.send('Network.emulateNetworkConditions', {offline: false, latency: 0, downloadThroughput: -1, uploadThroughput})
  await page.evaluate(() => {
    const under = document.querySelector('[data-progress]')
    window.seen = []
    new MutationObserver(() => seen.push(under.querySelector('span').textContent)).observe(under, {subtree: true, childList: true, characterData: true})
  })
  await page.getByTestId('handin-file').setInputFiles({name: 'long.txt', mimeType: 'text/plain', buffer: Buffer.alloc(3_000_000, 'reading ')})
  await speed(1_500_000)
  await page.route('**/work', async (route) => {
    const response = await route.fetch()
    assert.match((await page.evaluate(() => seen)).at(-1) ?? '', /arrived/)
    await route.fulfill({response})
  })
  await page.getByTestId('handin-send').click()
  await page.getByTestId('handin-receipt').filter({hasText: 'version 3'}).waitFor()
  await page.unroute('**/work')
  await speed(-1)
})

test('without JavaScript it works too', async () => {
  const plain = await Someone.arrive(browser, demo.url, {name: 'soren', javaScriptEnabled: false})
  await plain.context.request.get('/login/dev?login_hint=soren')
  const booking = await soren.api('POST', '/api/v1/bookings', {group: 'everyone', slot: 'pend00-everyone', seconds: 300})
  await soren.api('POST', `/api/v1/bookings/${booking.id}/activity`) // he comes to it, so it was his
  await soren.api('DELETE', `/api/v1/bookings/${booking.id}`)
  await plain.goto('/')
  await plain.page.getByTestId('handin-link').filter({hasText: 'Damping'}).click()
  await plain.page.getByTestId('handin-text').fill('See the picture.')
  await plain.page.getByTestId('handin-file').setInputFiles([readings])
  await plain.page.getByTestId('handin-send').click()
  await plain.page.getByTestId('handin-receipt').filter({hasText: 'version 1'}).waitFor()
  await plain.leave()
})

test('the instructor sees what is in, grades it, and gives all back together', async () => {
  const {page} = grace
  await grace.goto(teach)
  await page.getByTestId('handin-counts').filter({hasText: '2 of'}).waitFor()
  await keep(page, 'handin-grading', {fullPage: true})
  for (const [name, points, words] of [['Ada', '9.5', 'Well argued.'], ['Søren', '7', 'Which picture?']]) {
    await work(name).getByTestId('grade-points').fill(points)
    await work(name).getByTestId('grade-words').fill(words)
    await work(name).getByTestId('grade-save').click()
    await page.getByTestId('flash').waitFor()
  }
  await ada.goto(own)
  assert.equal(await ada.page.getByTestId('handin-grade').count(), 0, 'she sees it before the release')
  await ada.live()
  await page.getByTestId('handin-release').locator('summary').click()
  await page.getByTestId('handin-release-confirm').click()
  await page.getByTestId('flash').waitFor()
  await ada.page.getByTestId('handin-grade').filter({hasText: '9.5 of 10'}).waitFor() // by itself
  await ada.page.getByText('Well argued.').waitFor()
  assert.equal(await ada.page.getByText('Which picture?').count(), 0)
  await soren.goto(own)
  await soren.page.getByTestId('handin-grade').filter({hasText: '7 of 10'}).waitFor()
  await keep(soren.page, 'handin-graded', {fullPage: true})
})

test('everything comes as a zip and as a table', async () => {
  const {page} = grace
  const load = async (what) => {
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByTestId(what).click()])
    return readFile(await file.path())
  }
  const table = (await load('handin-csv')).toString()
  assert.match(table, /Lovelace,Ada Lovelace,.*,9\.5,9\.5,Well argued\./)
  const zip = await load('handin-zip')
  assert.equal(zip.subarray(0, 4).toString('latin1'), 'PK\x03\x04')
  for (const name of ['Lovelace-Ada/readings.csv', 'manifest.csv']) assert.ok(zip.includes(name), `the zip lacks ${name}`)
})

test('no page complained', () => {
  assert.deepEqual([grace, ada, soren].flatMap((one) => one.faults), [])
})
