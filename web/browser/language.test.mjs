// Languages, time zones, writing from right to left, and a narrow screen.

import assert from 'node:assert/strict'
import {after, before, test} from 'node:test'
import {everyone, pages, seed} from './every.mjs'
import {Demo} from './lodge.mjs'
import {keep, launch, phone, Someone} from './people.mjs'

let demo, browser
before(async () => {
  demo = await Demo.start()
  browser = await launch()
})
after(async () => {
  await browser?.close()
  await demo?.stop()
})

const arrive = async (who, options) => {
  const one = await Someone.arrive(browser, demo.url, {name: who, ...options})
  if (who !== 'visitor') await one.context.request.get(`/login/dev?login_hint=${who}`)
  return one
}

test('the browser chooses the language, and then the reader', async () => {
  const one = await arrive('ada', {locale: 'de-DE'})
  await one.goto('/')
  await one.page.getByRole('heading', {name: 'Schön, Sie zu sehen, Ada Lovelace'}).waitFor()
  await one.live() // the modules speak German too: their catalogue was found
  assert.equal(await one.page.locator('html').getAttribute('lang'), 'de')
  await one.page.getByRole('button', {name: 'English'}).click()
  await one.page.getByRole('heading', {name: 'Good to see you, Ada Lovelace'}).waitFor()
  await one.goto('/privacy')
  await one.page.getByRole('heading', {name: 'Privacy', exact: true}).waitFor()
  await one.page.getByRole('button', {name: 'Deutsch'}).click()
  await one.page.getByRole('heading', {name: 'Datenschutz', exact: true}).waitFor()
  assert.deepEqual(one.faults, [])
  await one.leave()
})

test('the modules say what the page says', async () => {
  const [ada, grace] = [await arrive('ada', {locale: 'de-DE'}), await arrive('grace')]
  await ada.goto('/')
  await ada.live()
  assert.equal((await ada.page.locator('#connection').innerText()).trim(), 'Live')
  await grace.api('POST', '/api/v1/messages', {to: 'all', text: 'Everybody out, please.', priority: 'important'})
  const message = ada.page.getByTestId('message').filter({hasText: 'Everybody out'})
  await message.waitFor()
  assert.match(await message.innerText(), /an alle/)
  await message.getByRole('button', {name: 'Verstanden'}).waitFor()
  await Promise.all([ada.leave(), grace.leave()])
})

test('the language and the zone hold without scripts', async () => {
  const one = await arrive('visitor', {javaScriptEnabled: false})
  await one.context.addCookies([{name: 'lodge-zone', value: 'Asia/Tokyo', url: demo.url}])
  await one.goto('/lookup')
  assert.match(await one.page.locator('footer').innerText(), /Times are in Asia\/Tokyo\./)
  await one.page.getByRole('button', {name: 'Deutsch'}).click()
  await one.page.getByRole('heading', {name: 'Meine Buchung finden'}).waitFor()
  assert.equal(new URL(one.page.url()).pathname, '/lookup')
  await one.page.getByTestId('lookup-surname').fill('Niemand')
  await one.page.getByTestId('lookup-reference').fill('BBBBBB')
  await one.page.getByTestId('lookup-submit').click()
  assert.match(await one.page.getByTestId('problem').innerText(), /gibt es keine Buchung/)
  assert.equal(await one.page.getByTestId('lookup-surname').inputValue(), 'Niemand')
  await one.leave()
})

test('the reader’s zone comes with the next page', async () => {
  const one = await arrive('visitor', {timezoneId: 'America/New_York'})
  await one.goto('/lookup')
  const shownIn = () => one.page.locator('html').getAttribute('data-shown-in')
  assert.equal(await shownIn(), 'UTC')
  await one.page.reload()
  assert.equal(await shownIn(), 'America/New_York')
  await one.leave()
})

// In German, whose words are the longer ones.
test('every page fits 320 px and reads from right to left', async (t) => {
  const narrow = {width: 320, height: 640}
  const people = await everyone(browser, demo.url, {size: narrow, locale: 'de-DE'})
  const at = await seed(demo, people)
  for (const [name, who, address, prepare] of pages) {
    await t.test(name, async () => {
      const {page} = people[who]
      await page.setViewportSize(narrow)
      await page.goto(address(at))
      await prepare?.(page)
      const wide = () => page.evaluate(() => document.documentElement.scrollWidth > innerWidth)
      assert.equal(await wide(), false, 'wider than 320 px')
      await page.evaluate(() => { document.documentElement.dir = 'rtl' })
      assert.equal(await wide(), false, 'wider than 320 px from right to left')
      await page.setViewportSize(phone)
      await keep(page, `rtl-${name}`, {fullPage: page.frames().length === 1})
    })
  }
})
