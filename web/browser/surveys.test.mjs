// Surveys: written by one person and answered by others, each in a browser of their
// own; kept through a reload and a lost network; with names, without, and by ballot.

import assert from 'node:assert/strict'
import {readFile} from 'node:fs/promises'
import {createRequire} from 'node:module'
import {after, before, test} from 'node:test'
import {Demo, eventually} from './lodge.mjs'
import {Someone, desk, keep, launch, phone} from './people.mjs'

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']
const questions = [{id: 'q1', kind: 'single', text: 'Did it obey?', options: ['Yes', 'No'], required: true}, {id: 'q2', kind: 'text', text: 'What else?'}]

let demo, browser
const people = []

before(async () => {
  demo = await Demo.start()
  browser = await launch()
})

after(async () => {
  await browser?.close()
  await demo?.stop()
})

async function arrive(name, options = {}) {
  const one = await Someone.arrive(browser, demo.url, {name, ...options})
  await one.context.request.get(`/login/dev?login_hint=${name}`)
  people.push(one)
  return one
}

const ask = (grace, more = {}) => grace.api('POST', '/api/v1/surveys', {to: 'all', title: 'How was it?', questions, ...more})

test('an instructor opens a template in two clicks and sees results as they come', async () => {
  const [grace, ada] = [await arrive('grace'), await arrive('ada')]
  await grace.goto('/teach')
  await grace.page.getByTestId('surveys-page').click()
  const form = grace.page.getByTestId('ask-now')
  await form.getByTestId('to').selectOption('all')
  await form.getByTestId('open-lodge-number').click()
  const answered = grace.page.getByTestId('answered')
  await answered.waitFor()
  await grace.live()
  await grace.page.evaluate(() => { window.same = true })

  await ada.goto('/')
  await ada.page.getByTestId('survey-link').click()
  await ada.page.locator('[data-mode=identified]').first().waitFor()
  await ada.page.getByLabel('Your result').fill('9.79')
  await ada.page.getByTestId('survey-submit').click()
  await ada.page.getByTestId('survey-done').waitFor()
  await eventually('one answer on the instructor’s page', async () => await answered.textContent() === '1')
  await eventually('its bar', async () => /9.79/.test(await grace.page.getByTestId('bar').first().textContent()))
  // She changes it: still one.
  await ada.page.getByLabel('Your result').fill('9.81')
  await ada.page.getByTestId('survey-submit').click()
  await eventually('the bar of the change', async () => /9.81/.test(await grace.page.getByTestId('bar').first().textContent()))
  assert.equal(await answered.textContent(), '1')
  assert.ok(await grace.page.evaluate(() => window.same), 'the page was loaded again')
  await grace.page.getByTestId('wall').first().click()
  await grace.page.getByTestId('wall-page').waitFor()
  await keep(grace.page, 'surveys-wall')
  await grace.page.getByTestId('wall-back').click()
  // Released, Ada sees the bars.
  await grace.page.getByTestId('release').locator('summary').click()
  await grace.page.getByTestId('release-confirm').click()
  await grace.page.getByTestId('flash').waitFor()
  await ada.page.reload()
  await ada.page.getByTestId('released').getByTestId('bar').first().waitFor()
})

test('a survey is written, kept, moved about, and put to a class', async () => {
  const grace = await arrive('grace')
  const {page} = grace
  await grace.goto('/teach/surveys')
  await page.getByTestId('new-survey').click()
  await page.getByTestId('survey-title').fill('The pendulum')
  await page.getByTestId('q-text-0').fill('What is g?')
  await page.getByTestId('q-kind-0').selectOption('number')
  await page.getByText('Section and right answer').first().click()
  await page.getByTestId('q-correct-0').fill('9.81 ± 0.05')
  await page.getByTestId('add-question').click()
  await page.getByTestId('q-text-1').fill('Which swung?')
  assert.equal(await page.getByTestId('q-text-0').inputValue(), 'What is g?')
  // What cannot be opened says how to mend it, and keeps what was typed.
  grace.excuse(/status of 422/)
  await page.getByTestId('survey-open').click()
  await page.getByTestId('problem').filter({hasText: '2 to 50 options'}).waitFor()
  assert.equal(await page.getByTestId('q-text-1').inputValue(), 'Which swung?')
  await page.getByTestId('q-options-1').fill('Bob\nRod')
  await page.getByTestId('up-1').click()
  await eventually('the questions in another order', async () => await page.getByTestId('q-text-0').inputValue() === 'Which swung?')
  await page.getByTestId('survey-save').click()
  await page.getByTestId('flash').waitFor()
  await page.reload()
  assert.equal(await page.getByTestId('q-correct-1').inputValue(), '9.81 ± 0.05')
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByTestId('survey-export').click()])
  const exported = JSON.parse(await readFile(await file.path(), 'utf8'))
  assert.equal(exported.lodge_survey, 'v1')
  assert.deepEqual(exported.questions.map((q) => q.kind), ['single', 'number'])
  // It comes back from the file.
  await grace.goto('/teach/surveys')
  await page.getByText('From a file…').click()
  await page.getByTestId('survey-file').setInputFiles({name: 'survey.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(exported))})
  await page.getByTestId('survey-import').click()
  await page.getByTestId('flash').waitFor()
  assert.equal(await page.getByTestId('survey-title').inputValue(), 'The pendulum')
  await page.getByTestId('to').selectOption('group:physics-1')
  await page.getByTestId('survey-open').click()
  await page.getByTestId('results').waitFor()
})

test('what is typed outlives a reload and a lost network', async () => {
  const [grace, ada] = [await arrive('grace'), await arrive('ada')]
  const survey = await ask(grace)
  ada.excuse(/ERR_INTERNET_DISCONNECTED|ERR_CONNECTION|WebSocket|Failed to load/)
  const {page} = ada
  await ada.goto(`/surveys/${survey.id}`)
  await page.getByLabel('No').check()
  await page.getByRole('textbox').fill('half a thought')
  await page.reload()
  assert.ok(await page.getByLabel('No').isChecked())
  assert.equal(await page.getByRole('textbox').inputValue(), 'half a thought')
  await page.getByRole('textbox').fill('a whole thought')
  await ada.context.setOffline(true)
  await page.getByTestId('survey-submit').click()
  await page.locator('[data-form-error]').filter({hasText: 'kept in this browser'}).waitFor()
  assert.equal(await page.getByRole('textbox').inputValue(), 'a whole thought')
  await ada.context.setOffline(false) // and it goes by itself
  await page.getByTestId('survey-done').waitFor()
  await eventually('the answer', async () => (await grace.api('GET', `/api/v1/surveys/${survey.id}/answers`)).lines[0]?.answers.q2.text === 'a whole thought')
  assert.equal(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('lodge-survey:')).length), 0, 'drafts left')
})

test('by ballot: a draft, one answer, no name', async () => {
  const [grace, ada] = [await arrive('grace'), await arrive('ada')]
  const survey = await ask(grace, {mode: 'unlinkable', title: 'Honestly'})
  const {page} = ada
  const sent = []
  page.on('request', (request) => { if (request.url().endsWith('/api/v1/ballots')) sent.push(request) })
  await ada.goto(`/surveys/${survey.id}`)
  await page.locator('p[data-mode=unlinkable]').waitFor()
  await page.getByRole('textbox').fill('kept here')
  await page.reload()
  assert.equal(await page.getByRole('textbox').inputValue(), 'kept here')
  // What is missing is said before a ballot is taken.
  await page.getByLabel('Yes').check()
  ada.excuse(/ERR_INTERNET_DISCONNECTED|WebSocket|Failed to load/)
  await ada.context.setOffline(true)
  await page.getByTestId('survey-submit').click()
  await page.locator('[data-form-error]').filter({hasText: 'kept in this browser'}).waitFor()
  await ada.context.setOffline(false)
  await page.getByTestId('survey-done').filter({hasText: 'nobody can tell'}).waitFor()
  const headers = await sent.at(-1).allHeaders()
  assert.equal(headers.cookie, undefined, 'a cookie went along')
  assert.equal(headers.referer, undefined, 'a referrer went along')
  await page.reload()
  await page.getByTestId('survey-done').waitFor() // and nothing more to send
  assert.equal(await page.getByTestId('survey-submit').count(), 0)
  // In another browser she has none.
  const elsewhere = await arrive('ada')
  await elsewhere.goto(`/surveys/${survey.id}`)
  await elsewhere.page.getByTestId('survey-elsewhere').waitFor()

  await grace.goto(`/teach/surveys/${survey.id}`)
  await grace.page.getByTestId('held').waitFor()
  assert.equal(await grace.page.getByTestId('answered').textContent(), '1')
  for (const name of ['soren', 'linus', 'root']) {
    const one = await arrive(name)
    await one.goto(`/surveys/${survey.id}`)
    await one.page.getByLabel('No').check()
    await one.page.getByTestId('survey-submit').click()
    await one.page.getByTestId('survey-done').waitFor()
  }
  await grace.goto(`/surveys/${survey.id}`)
  await grace.page.getByLabel('No').check()
  await grace.page.getByTestId('survey-submit').click()
  await grace.page.getByTestId('survey-done').waitFor()
  await grace.goto(`/teach/surveys/${survey.id}`)
  await grace.page.getByTestId('close-survey').locator('summary').click()
  await grace.page.getByTestId('close-confirm').click()
  await eventually('the bars', async () => (await grace.page.getByTestId('bar-count').allTextContents()).join() === '1,4')
})

test('at the end of her experiment, on the page and after she left it', async () => {
  const [grace, ada] = [await arrive('grace'), await arrive('ada')]
  const survey = await ask(grace, {to: 'experiment:pend00', after: true, title: 'Afterwards'})
  const booking = await ada.api('POST', '/api/v1/bookings', {group: 'everyone', slot: 'pend00-everyone', seconds: 300})
  await ada.goto(`/launch/${booking.id}`)
  await ada.live()
  assert.equal((await ada.api('GET', '/api/v1/surveys')).surveys.filter((one) => one.id === survey.id).length, 0, 'asked too early')
  await ada.api('DELETE', `/api/v1/bookings/${booking.id}`)
  await ada.page.getByTestId('survey-form').getByText('Did it obey?').waitFor()
  await ada.goto('/') // she left
  await ada.page.getByRole('listitem').filter({hasText: 'Afterwards'}).getByTestId('survey-link').click()
  await ada.page.getByLabel('Yes').check()
  await ada.page.getByTestId('survey-submit').click()
  await ada.page.getByTestId('survey-done').waitFor()
})

test('without JavaScript', async () => {
  const [grace, ada] = [await arrive('grace', {javaScriptEnabled: false}), await arrive('ada', {javaScriptEnabled: false})]
  // An instructor writes and opens one.
  await grace.goto('/teach/surveys')
  await grace.page.getByTestId('new-survey').click()
  await grace.page.getByTestId('survey-title').fill('Plain')
  await grace.page.getByTestId('q-text-0').fill('Which?')
  await grace.page.getByTestId('q-options-0').fill('This\nThat')
  await grace.page.getByTestId('add-question').click()
  await grace.page.getByTestId('q-kind-1').selectOption('number')
  await grace.page.getByTestId('q-text-1').fill('How many?')
  await grace.page.getByTestId('to').selectOption('all')
  await grace.page.getByTestId('survey-open').click()
  await grace.page.getByTestId('results').waitFor()
  const path = new URL(grace.page.url()).pathname.replace('/teach', '')
  await ada.goto(path)
  await ada.page.getByLabel('That').check()
  await ada.page.getByLabel('How many?').fill('3.5')
  await ada.page.getByTestId('survey-submit').click()
  await ada.page.getByTestId('survey-done').waitFor()
  assert.equal(await ada.page.getByLabel('How many?').inputValue(), '3.5')
  await grace.page.reload()
  assert.equal(await grace.page.getByTestId('answered').textContent(), '1')
  // Pseudonymous too; by ballot it says what it needs, and has nothing to press.
  const hidden = await ask(grace, {mode: 'pseudonymous'})
  await ada.goto(`/surveys/${hidden.id}`)
  await ada.page.getByLabel('Yes').check()
  await ada.page.getByTestId('survey-submit').click()
  await ada.page.getByTestId('survey-done').waitFor()
  const secret = await ask(grace, {mode: 'unlinkable'})
  await ada.goto(`/surveys/${secret.id}`)
  await ada.page.getByText('This survey needs JavaScript').waitFor()
  assert.ok(await ada.page.getByTestId('survey-submit').isHidden())
  await keep(ada.page, 'noscript-ballot')
})

test('nothing for axe to object to, in light and dark, on a desk and on a phone', async () => {
  const [grace, ada] = [await arrive('grace', {bypassCSP: true}), await arrive('ada', {bypassCSP: true})]
  const likert = {kind: 'scale', text: 'It was clear.', max: 5, labels: ['No', 'Rather not', 'So so', 'Rather', 'Yes']}
  const all = [...questions, {...likert, section: 'In general'}, {kind: 'scale', text: 'How hard?', max: 5, labels: ['easy', 'hard']},
    {kind: 'multiple', text: 'What did you use?', options: ['Drive', 'Camera']}, {kind: 'number', text: 'What is g?', lowest: 0, highest: 20, correct: {value: 9.81}, tolerance: 0.05}, {kind: 'short', text: 'Its unit?'}]
  const open = await ask(grace, {questions: all, intro: 'Two minutes.'})
  const secret = await ask(grace, {questions: all, mode: 'unlinkable'})
  await ada.api('POST', `/api/v1/surveys/${open.id}/answers`, {answers: {q1: {options: [0]}, q2: {text: 'More drive.'}, q3: {number: 4}, q6: {value: 9.8}}})
  await grace.api('POST', `/api/v1/surveys/${open.id}/release`)
  const draft = await grace.api('POST', '/api/v1/surveys/drafts', {from: open.id, to: 'all'})
  await grace.api('POST', '/api/v1/surveys/drafts', {from: 'lodge-exit', to: 'all', opens: new Date(Date.now() + 3600000).toISOString()})
  const wrong = []
  for (const [who, name, path] of [
    [grace, 'surveys', '/teach/surveys'], [grace, 'survey-edit', `/teach/surveys/drafts/${draft.id}`], [grace, 'survey-results', `/teach/surveys/${open.id}`],
    [grace, 'survey-wall', `/teach/surveys/${open.id}/wall`], [ada, 'survey-released', `/surveys/${open.id}`], [ada, 'survey-ballot', `/surveys/${secret.id}`],
  ]) {
    const {page} = who
    await page.setViewportSize(desk)
    await who.goto(path)
    await who.live()
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({colorScheme})
      for (const size of [desk, phone]) {
        await page.setViewportSize(size)
        const variant = `${name}-${colorScheme}-${size.width}`
        await keep(page, variant, {fullPage: true})
        if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) wrong.push(`${variant}: wider than the screen`)
        if (!await page.evaluate('"axe" in globalThis')) await page.evaluate(axe)
        const {passes, violations} = await page.evaluate((values) => globalThis.axe.run(document, {runOnly: {type: 'tag', values}, resultTypes: ['violations']}), tags)
        assert.ok(passes.length > 5, `${variant}: axe looked at next to nothing`)
        for (const {id, nodes} of violations) wrong.push(`${variant} ${id}: ${nodes.map((node) => `${node.target.join(' ')}: ${node.failureSummary}`).join('; ')}`)
      }
    }
  }
  assert.deepEqual(wrong, [])
})

test('no page complained', () => {
  assert.deepEqual(people.flatMap((one) => one.faults), [])
})
