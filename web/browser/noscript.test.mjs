// Everything a student needs works as plain links and forms, in a browser that
// runs no script.

import assert from 'node:assert/strict'
import {after, before, test} from 'node:test'
import {Demo} from './lodge.mjs'
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

test('a student without JavaScript', async () => {
  const ada = await Someone.arrive(browser, demo.url, {name: 'ada', javaScriptEnabled: false})
  const grace = await Someone.arrive(browser, demo.url, {name: 'grace'})
  const {page} = ada
  await ada.signIn('Ada Lovelace')
  await grace.context.request.get('/login/dev?login_hint=grace')

  // She books.
  await page.getByTestId('book-everyone').click()
  const slot = page.getByTestId('slot').filter({hasText: 'Pendulum 0'})
  await slot.getByTestId('length').selectOption({label: '5 minutes'})
  await slot.getByTestId('book').click()
  await page.getByTestId('flash').filter({hasText: 'Booked'}).waitFor()
  const reference = await page.getByTestId('reference').textContent()
  const booking = page.url()
  assert.match(await page.getByTestId('booking-time').textContent(), /\d\d:\d\d UTC to .*\d\d:\d\d UTC/)

  // She extends: the end moves.
  const times = page.getByTestId('booking-time').locator('time')
  const end = async () => Date.parse(await times.last().getAttribute('datetime'))
  const was = await end()
  await page.locator('#extend-by').selectOption({label: '5 more minutes'})
  await page.getByTestId('extend').click()
  await page.getByTestId('flash').filter({hasText: 'Extended'}).waitFor()
  assert.equal(await end() - was, 300000)

  // Her notices are on the launch page.
  await grace.api('POST', '/api/v1/messages', {to: 'all', text: 'A word to everyone.'})
  await page.getByTestId('launch').click()
  await page.getByTestId('message').filter({hasText: 'A word to everyone.'}).waitFor()

  // What she sends wrongly comes back as she typed it, with what to do.
  const visitor = await Someone.arrive(browser, demo.url, {name: 'a visitor', javaScriptEnabled: false})
  visitor.excuse(/status of (404|422)/)
  await visitor.goto('/lookup')
  const look = async (surname, code) => {
    await visitor.page.getByTestId('lookup-surname').fill(surname)
    await visitor.page.getByTestId('lookup-reference').fill(code)
    await visitor.page.getByTestId('lookup-submit').click()
  }
  await look('Byron', reference)
  await visitor.page.getByTestId('problem').waitFor()
  assert.equal(await visitor.page.getByTestId('lookup-surname').inputValue(), 'Byron')
  await look('lovelace', reference.toLowerCase())
  await visitor.page.getByRole('heading', {name: 'Pendulum 0'}).waitFor()
  assert.equal(visitor.page.url(), booking.replace(/\?.*/, ''))

  // She answers a survey and changes her answer.
  await grace.api('POST', '/api/v1/surveys', {
    to: 'experiment:pend00', title: 'How was it?',
    questions: [
      {id: 'q1', kind: 'single', text: 'Did it obey?', options: ['Yes', 'No'], required: true},
      {id: 'q2', kind: 'multiple', text: 'What did you see?', options: ['Angle', 'Picture']},
      {id: 'q3', kind: 'scale', text: 'How hard was it?', max: 5},
      {id: 'q4', kind: 'text', text: 'What else?'},
    ],
  })
  await ada.goto('/')
  assert.equal(await page.getByTestId('to-answer').textContent(), 'Surveys to answer: 1')
  await page.getByTestId('survey-link').click()
  await page.getByLabel('Yes').check()
  await page.getByLabel('Picture').check()
  await page.getByLabel('4').check({force: true})
  await page.getByRole('textbox').fill('More time.')
  await page.getByTestId('survey-submit').click()
  await page.getByTestId('survey-done').waitFor()
  assert.ok(await page.getByTestId('to-answer').isHidden())
  await page.getByLabel('No').check()
  await page.getByTestId('survey-submit').click()
  await page.getByTestId('survey-done').waitFor()
  assert.ok(await page.getByLabel('No').isChecked())
  assert.ok(await page.getByLabel('Picture').isChecked())
  await keep(page, 'noscript-survey', {fullPage: true})

  // She confirms that she is there.
  await grace.api('POST', '/api/v1/registers', {title: 'This hour', group: 'physics-1'})
  await ada.goto('/attendance')
  assert.equal(await page.getByTestId('to-confirm').textContent(), 'To confirm: 1')
  await page.getByTestId('confirm').click()
  await page.getByTestId('confirmed').waitFor()

  // She cancels, and the visitor who looked the booking up sees that too.
  await page.goto(booking)
  await page.getByTestId('cancel').locator('summary').click()
  await page.getByTestId('cancel-confirm').click()
  await page.getByTestId('flash').filter({hasText: 'Cancelled'}).waitFor()
  await visitor.page.reload()
  await visitor.page.getByTestId('state').filter({hasText: 'cancelled'}).waitFor()

  // And signs out.
  await page.getByTestId('logout').click()
  await page.getByRole('heading', {name: 'Come in.'}).waitFor()
  assert.deepEqual([ada, grace, visitor].flatMap((one) => one.faults), [])
})

test('what is typed outlives the login without JavaScript', async () => {
  const ada = await Someone.arrive(browser, demo.url, {name: 'ada', javaScriptEnabled: false})
  const grace = await Someone.arrive(browser, demo.url, {name: 'grace', javaScriptEnabled: false})
  for (const one of [ada, grace]) {
    one.excuse(/status of 401/)
    await one.context.request.get(`/login/dev?login_hint=${one.name}`)
  }
  const elsewhere = async (one, fullName) => {
    const [tab] = await Promise.all([one.context.waitForEvent('page'), one.page.getByTestId('sign-in-elsewhere').click()])
    await tab.getByTestId('issuer-dev').click()
    await tab.getByRole('button', {name: fullName}).click()
    await tab.getByTestId('signed-in').waitFor()
    await tab.close()
  }

  // Her login ends while she answers a survey.
  const {id} = await grace.api('POST', '/api/v1/surveys', {
    to: 'group:physics-1', title: 'Still there?',
    questions: [{id: 'q1', kind: 'multiple', text: 'What did you see?', options: ['Angle', 'Picture']}, {id: 'q2', kind: 'text', text: 'What else?'}],
  })
  await ada.goto(`/surveys/${id}`)
  for (const seen of ['Angle', 'Picture']) await ada.page.getByLabel(seen).check()
  await ada.page.getByRole('textbox').fill('Two lines,\n  "quoted" & <odd>.')
  await ada.context.clearCookies()
  await ada.page.getByTestId('survey-submit').click()
  await elsewhere(ada, 'Ada Lovelace')
  await ada.page.getByTestId('send-again').click()
  await ada.page.getByTestId('survey-done').waitFor()
  assert.ok(await ada.page.getByLabel('Angle').isChecked() && await ada.page.getByLabel('Picture').isChecked())
  assert.equal(await ada.page.getByRole('textbox').inputValue(), 'Two lines,\n  "quoted" & <odd>.')

  // Who was away goes on with one step, which carries the form along. Nobody waits for
  // an hour here: the page of a login that ended is given the step of one left alone.
  await grace.goto('/teach')
  await grace.page.locator('[name=text]').first().fill('Typed before lunch.')
  await grace.context.clearCookies()
  await grace.page.getByTestId('notice-send').click()
  await elsewhere(grace, 'Grace Hopper')
  await grace.page.getByTestId('held').evaluate((form) => form.setAttribute('action', '/continue?to=%2Fteach%2Fnotices'))
  await grace.page.getByTestId('send-again').click()
  await grace.page.getByTestId('flash').filter({hasText: 'Sent.'}).waitFor()
  await grace.page.getByTestId('sent').filter({hasText: 'Typed before lunch.'}).waitFor()
  assert.deepEqual([ada, grace].flatMap((one) => one.faults), [])
})
