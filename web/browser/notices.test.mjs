// Notices from both ends: later ones, important ones, safety, replies.

import assert from 'node:assert/strict'
import {readFile} from 'node:fs/promises'
import {createRequire} from 'node:module'
import {after, before, test} from 'node:test'
import {Demo, eventually} from './lodge.mjs'
import {Someone, launch} from './people.mjs'

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
let demo, browser, ada, grace

before(async () => {
  demo = await Demo.start()
  browser = await launch()
  // axe is put into the page by script, which its policy rightly forbids.
  ada = await Someone.arrive(browser, demo.url, {name: 'Ada', bypassCSP: true})
  grace = await Someone.arrive(browser, demo.url, {name: 'Grace', bypassCSP: true})
  // What fades in is judged as it looks once it is there.
  for (const one of [ada, grace]) await one.page.emulateMedia({reducedMotion: 'reduce'})
  for (const [one, name] of [[ada, 'ada'], [grace, 'grace']]) await one.context.request.get(`/login/dev?login_hint=${name}`)
})

after(async () => {
  await browser?.close()
  await demo?.stop()
})

async function accessible(page) {
  await page.evaluate(axe)
  const {violations} = await page.evaluate(() => globalThis.axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']}))
  assert.deepEqual(violations.map(({id, nodes}) => `${id}: ${nodes[0].html}`), [])
}

test('whom a message reaches is searched for, and counted before it is sent', async () => {
  const {page} = grace
  await grace.goto('/teach')
  const reach = page.getByTestId('reach')
  assert.match(await reach.textContent(), /^Reaches \d+ people\.$/)
  const options = page.getByTestId('to').locator('option')
  const all = await options.count()
  await page.getByTestId('to-search').fill('lovelace')
  assert.equal(await options.count(), 1)
  assert.equal(await reach.textContent(), 'Reaches 1 person.')
  await accessible(page)
  await page.getByTestId('to-search').fill('')
  assert.equal(await options.count(), all)
  await page.getByTestId('to-search').fill('nobody of that name')
  assert.equal(await reach.textContent(), 'Nobody matches.')
})

test('of more people than a page lists any is found and reached, without scripts too', async () => {
  // Guests are people with a booking that was made for them.
  const day = Date.now() + 5 * 24 * 3600000
  await Promise.all(Array.from({length: 6}, async (_, lane) => {
    for (let i = lane; i < 102; i += 6) {
      await grace.api('POST', '/api/v1/bookings', {
        group: 'physics-1', slot: 'pend01-physics-1', seconds: 300, start: new Date(day + i * 600000).toISOString(),
        on_behalf: {name: `Guest Number${i}`, surname: `Number${String(i).padStart(3, '0')}`},
      })
    }
  }))
  const {page} = grace
  await grace.goto('/teach')
  const options = page.getByTestId('to').locator('option')
  assert.equal(await options.filter({hasText: 'Søren Ó Briain'}).count(), 0, 'all are listed')
  await page.getByTestId('to-search').fill('o briain')
  await page.getByTestId('reach').filter({hasText: 'Reaches 1 person.'}).waitFor()
  assert.deepEqual(await options.allTextContents(), ['Søren Ó Briain (1 person)'])
  await accessible(page)
  await page.getByTestId('notice-text').fill('Found among many.')
  await page.getByTestId('notice-send').click()
  await page.getByTestId('sent').filter({hasText: 'Found among many.'}).filter({hasText: 'Søren'}).waitFor()

  const plain = await Someone.arrive(browser, demo.url, {name: 'Grace', javaScriptEnabled: false})
  await plain.context.request.get('/login/dev?login_hint=grace')
  await plain.goto('/teach')
  const form = plain.page.getByTestId('notice-form')
  await form.getByTestId('notice-title').fill('From a plain page')
  await form.getByTestId('notice-text').fill('Half a thought')
  await form.getByTestId('to-search').fill('soren')
  await form.getByTestId('to-narrow').click()
  assert.equal(await form.getByTestId('to').locator('option:checked').textContent(), 'Søren Ó Briain (1 person)')
  assert.equal(await form.getByTestId('notice-text').inputValue(), 'Half a thought')
  await form.getByTestId('notice-send').click()
  await plain.page.getByTestId('sent').filter({hasText: 'Half a thought'}).filter({hasText: 'Søren'}).waitFor()
  assert.deepEqual(plain.faults, [])
  await plain.leave()
})

test('a message is put by, changed and taken back', async () => {
  const {page} = grace
  await grace.goto('/teach')
  await page.getByTestId('notice-text').fill('Tomorrow we begin at nine.')
  await page.getByTestId('notice-later').click()
  assert.equal(await page.getByTestId('notice-zone').inputValue(), 'Europe/Dublin')
  const tomorrow = new Date(Date.now() + 24 * 3600000).toISOString().slice(0, 11)
  await page.getByTestId('notice-at').fill(tomorrow + '09:00')
  await page.getByTestId('notice-send').click()
  await page.getByTestId('scheduled').getByText('Tomorrow we begin at nine.').waitFor()
  await accessible(page)
  await page.getByTestId('scheduled-change').click()
  await page.getByTestId('notice-text').fill('Tomorrow we begin at ten.')
  await accessible(page)
  await page.getByTestId('scheduled-save').click()
  await page.getByTestId('scheduled').getByText('Tomorrow we begin at ten.').waitFor()
  await page.getByTestId('scheduled-cancel').locator('summary').click()
  await page.getByTestId('scheduled-cancel-confirm').click()
  await page.getByTestId('flash').waitFor()
  assert.equal(await page.getByTestId('scheduled').count(), 0)
})

test('what is important waits on every page until it is acknowledged, without taking the focus', async () => {
  const {page} = ada
  await ada.goto('/book')
  await ada.live()
  await page.locator('.doors a').first().focus()
  const focused = () => page.evaluate(() => document.activeElement.outerHTML)
  const before = await focused()
  const send = (text, priority) => grace.api('POST', '/api/v1/messages', {to: 'all', text, priority})
  const {id} = await send('Read the new rules.', 'important')
  await send('Leave the building.', 'safety')
  const cards = page.getByTestId('waiting')
  await cards.nth(1).waitFor()
  assert.match(await cards.first().innerText(), /Leave the building/)
  assert.equal(await focused(), before)
  await accessible(page)
  await ada.goto('/book')
  await cards.nth(1).waitFor()
  for (let left = 2; left > 0; left--) await cards.nth(left - 1).getByTestId('waiting-acknowledge').click()
  const acknowledged = async () => (await grace.api('GET', `/api/v1/messages/${id}/receipts`)).people.find((p) => p.name === 'Ada Lovelace').state === 'acknowledged'
  await eventually('the receipt', acknowledged)
  await eventually('nothing waits', async () => (await ada.api('GET', '/api/v1/messages/waiting')).messages.length === 0)
  await ada.goto('/book')
  await ada.live()
  assert.equal(await cards.count(), 0)
})

test('what is to be answered and confirmed is counted on every page, as it comes and goes', async () => {
  const {page} = ada
  await ada.goto('/book')
  await ada.live()
  const [surveys, registers] = [page.getByTestId('to-answer'), page.getByTestId('to-confirm')]
  assert.ok(await surveys.isHidden() && await registers.isHidden(), 'something waits already')
  await page.evaluate(() => { window.same = true })
  const questions = [{id: 'q1', kind: 'single', text: 'Did it obey?', options: ['Yes', 'No']}]
  const first = await grace.api('POST', '/api/v1/surveys', {to: 'all', title: 'How was it?', questions})
  await surveys.filter({hasText: /^Surveys to answer: 1$/}).waitFor()
  await page.locator('#announce').filter({hasText: '1 survey waits for your answer.'}).waitFor()
  const second = await grace.api('POST', '/api/v1/surveys', {to: 'group:physics-1', title: 'And the group?', questions})
  await surveys.filter({hasText: /^Surveys to answer: 2$/}).waitFor()
  const register = await grace.api('POST', '/api/v1/registers', {title: 'This hour', group: 'physics-1'})
  await registers.filter({hasText: /^To confirm: 1$/}).waitFor()
  await accessible(page)
  await grace.api('POST', `/api/v1/surveys/${second.id}/close`)
  await surveys.filter({hasText: /^Surveys to answer: 1$/}).waitFor()
  assert.ok(await page.evaluate(() => window.same), 'the page was loaded again')
  // Who asked is not asked.
  await grace.goto('/book')
  assert.ok(await grace.page.getByTestId('to-answer').isHidden(), 'Grace is to answer her own survey')

  await ada.goto(`/surveys/${first.id}`)
  await page.getByLabel('Yes').check()
  await page.getByTestId('survey-submit').click()
  await page.getByTestId('survey-done').waitFor()
  await surveys.waitFor({state: 'hidden'})
  await ada.goto('/attendance')
  await page.getByTestId('confirm').click()
  await page.getByTestId('confirmed').waitFor()
  assert.ok(await registers.isHidden(), 'she confirmed, and is still asked to')
  for (const [kind, id] of [['surveys', first.id], ['registers', register.id]]) await grace.api('POST', `/api/v1/${kind}/${id}/close`)
})

test('a student replies and the instructor reads it', async () => {
  await ada.goto('/messages')
  await ada.live()
  await grace.api('POST', '/api/v1/messages', {to: 'group:physics-1', title: 'Reports', text: 'Who needs more time?', replies: true})
  const notice = ada.page.getByTestId('message').filter({hasText: 'Who needs more time?'})
  await notice.getByTestId('reply-open').click()
  await notice.getByTestId('reply-text').fill('I do, please.')
  await accessible(ada.page)
  await notice.getByTestId('reply-send').click()
  await ada.page.getByTestId('flash').waitFor()
  await grace.goto('/teach')
  await grace.page.getByTestId('reply').filter({hasText: 'I do, please.'}).filter({hasText: 'Reports'}).waitFor()
  await accessible(grace.page)
  assert.deepEqual([...ada.faults, ...grace.faults], [])
})
