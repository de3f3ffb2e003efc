// Every page, light and dark, on a desk and on a phone: nothing that axe-core
// objects to, nothing wider than the screen, and a screenshot to look at.

import assert from 'node:assert/strict'
import {readFile, readdir} from 'node:fs/promises'
import {createRequire} from 'node:module'
import {after, before, test} from 'node:test'
import {Demo} from './lodge.mjs'
import {everyone, pages, seed} from './every.mjs'
import {desk, keep, launch, phone} from './people.mjs'

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']

let demo, browser, people, at // addresses of what was seeded

before(async () => {
  demo = await Demo.start()
  browser = await launch()
  // axe is put into the page by script, which its policy rightly forbids.
  people = await everyone(browser, demo.url, {bypassCSP: true, hasTouch: false})
  at = await seed(demo, people)
})

after(async () => {
  await browser?.close()
  await demo?.stop()
})

// What is routed, and what is drawn, is looked at below: a page that comes has to have its case.
test('each page has its case', async () => {
  const source = new URL('../../', import.meta.url)
  const files = (await readdir(new URL('gateway/', source))).filter((name) => name.endsWith('.go') && !name.endsWith('_test.go'))
  const gateway = (await Promise.all(files.map((name) => readFile(new URL(`gateway/${name}`, source), 'utf8')))).join('\n')
  const named = (expression) => expression.split('+').map((part) => {
    const name = part.trim()
    if (name.startsWith('"')) return JSON.parse(name)
    return new RegExp(`\\b${name}\\s*= "([^"]*)"`).exec(gateway)[1]
  }).join('')
  const routes = [...gateway.matchAll(/\br\.(?:With\([^)]*\)\.)?Get\(([^,]+), g\.page\(g\.(\w+)\)\)/g)].map(([, path]) => named(path))
  assert.ok(routes.length > 40, `${routes.length} pages in the routes`)
  // These lead to pages and are none.
  const steps = ['/login/{idp}', '/callback/{idp}', '/signed-out', '/attendance/here/{id}']
  const paths = pages.map(([, , address]) => new URL(address(at), demo.url).pathname)
  const shows = (route) => {
    const pattern = new RegExp(`^${route.replace(/\{\w+\}/g, '[^/]+')}$`)
    return paths.some((path) => pattern.test(path))
  }
  assert.deepEqual(routes.filter((route) => !steps.includes(route) && !shows(route)), [], 'routes without a case')
  assert.deepEqual(steps.filter((route) => !routes.includes(route)), [], 'steps that are no routes')
  const templates = (await readdir(new URL('web/templates/', source))).filter((name) => name.endsWith('.html')).map((name) => name.slice(0, -5).replaceAll('_', '-'))
  const names = pages.map(([name]) => name)
  assert.deepEqual(templates.filter((template) => !names.some((name) => name === template || name.startsWith(`${template}-`))), [], 'templates without a case')
})

// Each person looks at one page after the other, all of them at once.
test('pages', {concurrency: 3}, async (t) => {
  await Promise.all(Object.keys(people).map((who) => t.test(who, async (t) => {
    for (const [name, , address, prepare] of pages.filter((page) => page[1] === who)) {
      await t.test(name, () => look(people[who], name, address(at), prepare))
    }
  })))
})

async function look(one, name, address, prepare) {
  const {page} = one
  await page.setViewportSize(desk)
  await page.goto(address)
  await prepare?.(page)
  if (await page.locator('body[data-person]').count()) await one.live()
  const wrong = []
  for (const scheme of ['light', 'dark']) {
    await page.emulateMedia({colorScheme: scheme})
    for (const size of [desk, phone]) {
      await page.setViewportSize(size)
      const variant = `${name}-${scheme}-${size.width}`
      for (const frame of page.frames()) await painted(frame)
      // A picture of more than the screen comes before a frame of another origin is drawn.
      await keep(page, variant, {fullPage: page.frames().length === 1})
      if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) wrong.push(`${variant}: wider than the screen`)
      for (const frame of page.frames()) wrong.push(...await violations(frame, variant))
    }
  }
  assert.deepEqual(wrong, [])
}

const painted = (frame) => frame.evaluate(() => new Promise((done) => {
  requestAnimationFrame(() => requestAnimationFrame(done))
}))

// Each frame is asked by itself: the experiment's page is of another origin.
async function violations(frame, variant) {
  if (!await frame.evaluate('"axe" in globalThis')) await frame.evaluate(axe)
  const {passes, violations} = await frame.evaluate((values) => globalThis.axe.run(document, {
    runOnly: {type: 'tag', values}, iframes: false, resultTypes: ['violations'],
  }).then((result) => ({
    passes: result.passes.length,
    violations: result.violations.map(({id, nodes}) => `${id}: ${nodes.map((n) => `${n.target.join(' ')}: ${n.failureSummary}`).join('; ')}`),
  })), tags)
  assert.ok(passes > 5, `${variant}: axe looked at next to nothing`)
  return violations.map((what) => `${variant} ${new URL(frame.url()).host}: ${what}`)
}
