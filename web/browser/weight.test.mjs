// The first view of every page: what it weighs, and how soon a slow phone shows it.

import assert from 'node:assert/strict'
import {after, before, test} from 'node:test'
import {everyone, pages, seed} from './every.mjs'
import {Demo} from './lodge.mjs'
import {launch, phone, Someone} from './people.mjs'

const most = 60_000 // bytes on the wire
const soon = 1000 // ms until the page can be read and used

let demo, browser, at
const signedIn = {} // by person: their cookies

before(async () => {
  demo = await Demo.start()
  browser = await launch()
  const people = await everyone(browser, demo.url)
  at = await seed(demo, people)
  for (const [who, one] of Object.entries(people)) {
    signedIn[who] = await one.context.storageState()
    await one.leave()
  }
})
after(async () => {
  await browser?.close()
  await demo?.stop()
})

/** arrives is somebody with a browser that has nothing of the pages yet. */
const arrives = (who, options) => Someone.arrive(browser, demo.url, {name: who, size: phone, storageState: signedIn[who], ...options})

// Each address once, the page as it comes. In German a page brings its words along;
// what an issuer shows is its own.
const first = [...new Map(pages.filter(([name]) => name !== 'issuer').map((page) => [`${page[1]} ${page[2]}`, page])).values()]

test('weight', {concurrency: 2}, async (t) => {
  await Promise.all(first.map(([name, who, address]) => t.test(name, async (t) => {
    const one = await arrives(who, {locale: 'de-DE'})
    one.excuse(/status of 40[34]/) // of the pages that say so
    const wire = await watch(one)
    await one.goto(address(at))
    if (await one.page.locator('body[data-person]').count()) await one.live()
    await one.page.waitForLoadState('networkidle')
    const total = Object.values(wire).reduce((sum, n) => sum + n, 0)
    t.diagnostic(`${total} bytes in ${Object.keys(wire).length} parts`)
    assert.ok(Object.keys(wire).length > 2 && total > 5000, `nothing was weighed: ${JSON.stringify(wire)}`)
    assert.ok(total <= most, `${total} bytes: ${JSON.stringify(wire, undefined, 1)}`)
    assert.deepEqual(one.faults, [])
    await one.leave()
  })))
})

/** watch adds up what comes over the wire to Lodge's pages, by address: heads and compressed bodies. */
async function watch(one) {
  const client = await one.context.newCDPSession(one.page)
  await client.send('Network.enable')
  const wire = {}
  const names = new Map()
  client.on('Network.requestWillBeSent', ({requestId, request}) => names.set(requestId, new URL(request.url).pathname))
  client.on('Network.loadingFinished', ({requestId, encodedDataLength}) => {
    wire[names.get(requestId)] = (wire[names.get(requestId)] ?? 0) + encodedDataLength
  })
  return wire
}

// A slow phone: a slow 4G line (1.6 Mbit/s, 150 ms there and back) and a processor of
// a quarter of a server's speed, or this one where it is slower than that. A page that is shown can be used: it is links and
// forms. Every page that students see, and the first one of everybody else.
const students = first.filter(([, who]) => ['ada', 'soren', 'visitor'].includes(who)).filter(([name]) => !/^(sdk|conformance)/.test(name))
const others = ['teach', 'rigs', 'admin'].map((name) => pages.find((page) => page[0] === name))

// What a slow phone takes for the chore, in ms: four times as long as a core of a server
// that has nothing else to do.
const phoneTakes = 4 * 54

/** slowdown is what makes a slow phone of the processor, as fast as it is at the moment. */
async function slowdown(page) {
  const took = await page.evaluate(() => {
    const began = performance.now()
    let chore = 1
    for (let n = 0; n < 4e7; n++) chore = (Math.imul(chore, 1664525) + 1013904223) >>> 0
    return performance.now() - began + Number(chore === 0.5) // so that it is not left undone
  })
  return Math.min(4, Math.max(1, phoneTakes / took))
}

test('slow phone', async (t) => {
  for (const [name, who, address] of [...students, ...others]) {
    await t.test(name, async (t) => {
      const shown = [], slowed = []
      // The machine that tests is busy with other things: one visit in time shows that the page can be.
      for (let visit = 0; visit < 8 && !shown.some((at) => at < soon); visit++) {
        const one = await arrives(who)
        const client = await one.context.newCDPSession(one.page)
        await client.send('Network.enable')
        await client.send('Network.emulateNetworkConditions', {
          offline: false, latency: 150, downloadThroughput: 1.6e6 / 8, uploadThroughput: 0.75e6 / 8, connectionType: 'cellular4g',
        })
        slowed.push(await slowdown(one.page))
        await client.send('Emulation.setCPUThrottlingRate', {rate: slowed.at(visit)})
        await one.page.goto(address(at), {waitUntil: 'commit'})
        shown.push(Math.round(await one.page.evaluate(() => new Promise((done) => {
          new PerformanceObserver((list, observer) => {
            const painted = list.getEntriesByName('first-contentful-paint')[0]
            if (!painted) return
            observer.disconnect()
            done(painted.startTime)
          }).observe({type: 'paint', buffered: true})
        }))))
        await one.leave()
      }
      t.diagnostic(`shown after ${shown.join(', ')} ms, at 1/${slowed.map((rate) => rate.toFixed(1)).join(', 1/')}`)
      assert.ok(Math.min(...shown) < soon, `shown after ${shown} ms`)
    })
  }
})
