// The SDK in the hands of an experiment's page: on another origin than the
// gateway's, under a strict policy, while the network and the relay come and go.

import assert from 'node:assert/strict'
import {execFile} from 'node:child_process'
import {mkdtemp, readFile, rm, symlink, writeFile} from 'node:fs/promises'
import {createRequire} from 'node:module'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {after, before, test} from 'node:test'
import {fileURLToPath} from 'node:url'
import {promisify} from 'node:util'
import {Demo, eventually} from './lodge.mjs'
import {Someone, launch} from './people.mjs'

let demo, browser, ada, grace, linus
let booking // Ada's, under way
let access // the query of an experiment's page with a code of it
let assets // the origin of such pages

before(async () => {
  demo = await Demo.start()
  browser = await launch()
  const people = []
  for (const name of ['ada', 'grace', 'linus']) {
    const one = await Someone.arrive(browser, demo.url, {name})
    await one.context.request.get(`/login/dev?login_hint=${name}`)
    people.push(one)
  }
  ;[ada, grace, linus] = people
  booking = await ada.api('POST', '/api/v1/bookings', {group: 'physics-1', slot: 'pend00-physics-1', seconds: 900})
  const {uis: [ui]} = await ada.api('POST', `/api/v1/bookings/${booking.id}/activity`)
  const address = new URL(ui.url)
  access = address.search
  assets = address.origin
})

after(async () => {
  await browser?.close()
  await demo?.stop()
})

const send = (text, priority = 'info', to = 'experiment:pend00') => grace.api('POST', '/api/v1/messages', {to, text, priority})

/** page opens a page of our own making among the experiments' pages, in a browser of its own. */
async function page(t, body, {search = access, policy} = {}) {
  const one = await Someone.arrive(browser, demo.url, {name: t.name})
  t.after(() => one.leave())
  // What the test answers in the server's place has no address that the browser would take for a neighbour's.
  await one.context.grantPermissions(['local-network-access'])
  const headers = {'Content-Type': 'text/html; charset=utf-8'}
  if (policy) headers['Content-Security-Policy'] = policy
  await one.context.route(`${assets}/assets/bench/**`, (route) => route.fulfill({
    headers, body: `<!doctype html><html lang="en"><meta charset="utf-8"><title>Bench</title><link rel="icon" href="data:,"><main><h1>Bench</h1>${body}</main></html>`,
  }))
  one.open = () => one.page.goto(`${assets}/assets/bench/${search}`)
  return one
}

/** begin makes the page's Lodge, whose events gather in `heard`. */
const begin = (one, positions) => one.page.evaluate(async (positions) => {
  const {Lodge} = await import('/sdk/lodge.js')
  const lodge = globalThis.lodge = new Lodge()
  globalThis.heard = []
  const messages = lodge.messages()
  if (positions) messages.positions = positions
  messages.on('message', ({detail}) => heard.push(detail))
}, positions)

const texts = (one) => one.page.evaluate(() => heard.filter(({type}) => type === 'lodge.notice').map(({data}) => data.text))
const caughtUp = (one) => one.page.waitForFunction(() => lodge.messages().caughtUp)

test('each message comes exactly once over a connection that is cut again and again', async (t) => {
  const one = await page(t, '')
  const resumed = []
  const earlier = []
  await one.context.routeWebSocket(/\/api\/v1\/messages\/ws/, (socket) => {
    resumed.push(new URL(socket.url()).searchParams.get('resume'))
    const server = socket.connectToServer()
    for (const frame of earlier) socket.send(frame) // once more, as delivery at least once may
    let notices = 0
    server.onMessage((frame) => {
      if (JSON.parse(frame).type === 'lodge.notice') {
        earlier.push(frame)
        if (++notices > 3) {
          server.close()
          return socket.close({code: 1001, reason: 'cut'}) // with a frame that never arrives
        }
      }
      socket.send(frame)
    })
  })
  await one.open()
  await begin(one)
  await caughtUp(one)
  const sent = []
  for (let n = 0; n < 10; n++) {
    sent.push(`exactly once ${n}`)
    await send(sent[n])
  }
  await one.page.waitForFunction((last) => heard.some(({data}) => data?.text === last), sent.at(-1))
  assert.deepEqual((await texts(one)).filter((text) => text.startsWith('exactly once')), sent)
  const ids = await one.page.evaluate(() => heard.filter(({lodgepos}) => lodgepos).map(({source, id}) => `${source} ${id}`))
  assert.equal(new Set(ids).size, ids.length)
  assert.ok(resumed.length > 1, 'it was never cut')
  assert.equal(resumed[0], null)
  for (const resume of resumed.slice(1)) assert.match(resume, /~/)
})

test('a page that kept its positions goes on where it was', async (t) => {
  const one = await page(t, '')
  await one.open()
  await begin(one)
  await caughtUp(one)
  await send('before the reload')
  await one.page.waitForFunction(() => heard.some(({data}) => data?.text === 'before the reload'))
  const positions = await one.page.evaluate(() => lodge.messages().positions)
  await one.open()
  await begin(one, positions)
  await caughtUp(one)
  assert.deepEqual(await texts(one), [])
  await send('after the reload')
  await one.page.waitForFunction(() => heard.some(({data}) => data?.text === 'after the reload'))
  assert.deepEqual(await texts(one), ['after the reload'])
})

test('a stream that the relay closes is asked for anew, and goes on', async (t) => {
  const one = await page(t, '')
  const live = []
  await one.context.routeWebSocket(/\/session\//, (socket) => {
    live.push(socket)
    socket.connectToServer()
  })
  await one.open()
  await begin(one)
  await one.page.evaluate(() => {
    globalThis.n = 0
    globalThis.news = []
    lodge.stream('data').on('message', () => n++)
    for (const kind of ['lost', 'closed']) lodge.stream('data').on(kind, ({detail}) => news.push(detail))
  })
  await one.page.waitForFunction(() => n > 0)
  await live[0].close({code: 1001, reason: 'going away'})
  await one.page.waitForFunction(() => news.length === 1 && lodge.stream('data').state === 'open')
  const before = await one.page.evaluate(() => n)
  await one.page.waitForFunction((before) => n > before, before)
  assert.deepEqual(await one.page.evaluate(() => news), [{code: 1001, reason: 'going away'}])
  const [first, second] = live.map((socket) => new URL(socket.url()))
  assert.equal(first.pathname, second.pathname)
  assert.notEqual(first.search, second.search, 'a one-use address was used twice')

  // Off-line closes with the reason; when the experiment is back, so is the stream.
  one.excuse(/status of 409/)
  await linus.api('PUT', '/api/v1/admin/experiments/pend00/state', {online: false, reason: 'New bearings.'})
  await one.page.waitForFunction(() => lodge.stream('data').closed?.code === 4409)
  assert.match(await one.page.evaluate(() => lodge.stream('data').closed.reason), /New bearings\./)
  await linus.api('PUT', '/api/v1/admin/experiments/pend00/state', {online: true})
  await one.page.waitForFunction(() => lodge.stream('data').state === 'open')

  // What cannot be mended is not tried again.
  await live.at(-1).close({code: 4401, reason: ''})
  await one.page.waitForFunction(() => lodge.stream('data').state === 'closed')
  assert.deepEqual(await one.page.evaluate(() => lodge.stream('data').closed), {code: 4401, reason: 'The time is over.'})
  assert.deepEqual(one.faults, [])
})

test('an extension moves the time left, and nothing connects again', async (t) => {
  const one = await page(t, '<lodge-time-left extend>–</lodge-time-left>')
  const opened = []
  one.page.on('websocket', (socket) => opened.push(socket.url()))
  await one.open()
  await begin(one)
  await one.page.evaluate(async () => {
    await import('/sdk/components.js')
    lodge.stream('data')
  })
  await one.page.waitForFunction(() => lodge.messages().caughtUp && lodge.stream('data').state === 'open')
  const count = opened.length
  const [was, time] = await one.page.evaluate(async () => {
    const was = lodge.left()
    globalThis.times = []
    lodge.on('time', ({detail}) => times.push(detail.end))
    return [was, (await lodge.extend(300)).end]
  })
  const left = await one.page.evaluate(() => lodge.left())
  assert.ok(left > was + 200_000 && left <= was + 300_000, `${left} ms left, before ${was}`)
  assert.ok((await one.page.evaluate(() => times)).includes(time))
  const shown = () => one.page.locator('lodge-time-left').evaluate((element) => element.textContent.split(':').reduce((sum, part) => sum * 60 + Number(part), 0) * 1000)
  await eventually('the later end in the element', async () => await shown() > was + 200_000)
  assert.equal(await one.page.evaluate(() => lodge.stream('data').state), 'open')
  assert.equal(opened.length, count, `opened again: ${opened}`)

  // The address of the page is from before the extension; loaded again it knows.
  const old = Number(new URLSearchParams(access).get('exp')) * 1000
  await one.open()
  await begin(one)
  await one.page.evaluate(() => import('/sdk/components.js'))
  await eventually('the later end after a reload', async () => await shown() > old - Date.now() + 200_000)
  assert.deepEqual(one.faults, [])
})

test('the example goes on after an extension and a reload', async (t) => {
  const one = await Someone.arrive(browser, demo.url, {name: t.name})
  t.after(() => one.leave())
  await one.page.goto(`${assets}/assets/pendulum/${access}`)
  const clock = one.page.getByTestId('ui-time-left')
  const shown = async () => (await clock.textContent()).split(':').reduce((sum, part) => sum * 60 + Number(part), 0)
  const button = clock.getByRole('button')
  await button.waitFor()
  const was = await shown()
  await button.click()
  await eventually('a later end', async () => await shown() > was + 30)
  const later = await shown()
  await one.page.reload()
  await eventually('the later end after a reload', async () => await shown() > later - 60)
  await eventually('readings after a reload', async () => Number(await one.page.getByTestId('data-fps').textContent()) > 0)
  assert.deepEqual(one.faults, [])
})

test('the elements take no key from whoever drives', async (t) => {
  const policy = `default-src 'none'; img-src data:; script-src ${demo.url}; connect-src ${demo.url} ${demo.url.replace('http', 'ws')}`
  const one = await page(t, `<textarea aria-label="Commands"></textarea><lodge-time-left extend></lodge-time-left><lodge-messages></lodge-messages>
    <script type="module" src="${demo.url}/sdk/components.js"></script>`, {policy})
  await one.page.addInitScript(() => {
    globalThis.wants = []
    const {addEventListener} = EventTarget.prototype
    EventTarget.prototype.addEventListener = function (type, ...rest) {
      if (/^(key|focus|blur|beforeinput)/.test(type)) wants.push(type)
      return addEventListener.call(this, type, ...rest)
    }
    const {focus} = HTMLElement.prototype
    HTMLElement.prototype.focus = function () {
      wants.push('focus()')
      focus.call(this)
    }
  })
  await one.open()
  const commands = one.page.getByRole('textbox')
  await commands.click()
  await one.page.locator('lodge-messages [role=log][aria-live=polite]').waitFor({state: 'attached'})
  let typed = ''
  const type = async (text) => {
    typed += text
    await one.page.keyboard.type(text)
  }
  const message = (text) => one.page.getByTestId('ui-message').filter({hasText: text})
  for (const priority of ['info', 'important', 'safety']) {
    const sending = send(`While typing: ${priority}.`, priority)
    await type(`kick ${priority} brake\n`)
    await sending
    await message(`While typing: ${priority}.`).waitFor()
    await type('drive 0.5\n')
  }
  const survey = await grace.api('POST', '/api/v1/surveys', {
    to: 'experiment:pend00', title: 'How is it?', questions: [{id: 'q1', kind: 'single', text: 'Well?', options: ['Yes', 'No']}],
  })
  await type('while a survey comes\n')
  await message('How is it?').getByRole('link').waitFor()
  await type('and after it')
  assert.equal(await commands.inputValue(), typed)
  assert.equal(await one.page.evaluate(() => document.activeElement.tagName), 'TEXTAREA')
  assert.deepEqual(await one.page.evaluate(() => wants), [])
  assert.equal(await message('How is it?').getByRole('link').getAttribute('href'), `${demo.url}/surveys/${survey.id}`)

  one.excuse(/status of 409/) // it is acknowledged before the important one, and so told of after it
  // Safety interrupts, the rest waits its turn; acknowledging leaves the focus where it is.
  const alarm = one.page.locator('lodge-messages [aria-live=assertive]')
  assert.equal(await alarm.getByTestId('ui-message').count(), 1)
  assert.match(await alarm.innerText(), /While typing: safety\./)
  const got = message('While typing: safety.').getByRole('button')
  await got.focus()
  await one.page.keyboard.press('Enter')
  await got.filter({hasText: 'Acknowledged'}).waitFor()
  assert.equal(await one.page.evaluate(() => document.activeElement.shadowRoot.activeElement.textContent), 'Acknowledged')
  await grace.api('POST', `/api/v1/surveys/${survey.id}/close`)
  await message('How is it?').waitFor({state: 'detached'})

  // Light or dark as the page is, still for who wants it still.
  const look = () => message('While typing: info.').evaluate((item) => [getComputedStyle(item.getRootNode().host).color, getComputedStyle(item).animationName])
  await one.page.emulateMedia({colorScheme: 'light', reducedMotion: 'reduce'})
  await one.page.evaluate(() => { document.documentElement.style.colorScheme = 'light dark' })
  const light = await look()
  await one.page.emulateMedia({colorScheme: 'dark', reducedMotion: 'reduce'})
  assert.notEqual((await look())[0], light[0])
  assert.equal(light[1], 'none')
  assert.deepEqual(one.faults, [])
})

test('a survey that comes to the launch page leaves the keys with the experiment', async (t) => {
  await ada.goto(`/launch/${booking.id}`)
  await ada.live()
  const drive = ada.page.frameLocator('[data-testid=experiment-ui]').getByTestId('drive')
  await eventually('controls', () => drive.isEnabled())
  await drive.focus()
  const survey = await grace.api('POST', '/api/v1/surveys', {
    to: 'experiment:pend00', title: 'Still there?', questions: [{id: 'q1', kind: 'single', text: 'Well?', options: ['Yes', 'No']}],
  })
  t.after(() => grace.api('POST', `/api/v1/surveys/${survey.id}/close`))
  for (let n = 0; n < 5; n++) await ada.page.keyboard.press('ArrowRight')
  await ada.page.getByTestId('survey-form').waitFor()
  for (let n = 0; n < 5; n++) await ada.page.keyboard.press('ArrowRight')
  assert.equal(await drive.inputValue(), '0.5')
  assert.deepEqual(ada.faults, [])
})

test('a page on another origin loads what has the published hash, and nothing else', async (t) => {
  const one = await page(t, '')
  await one.open()
  const {files, version} = await (await ada.context.request.get('/sdk/integrity.json')).json()
  const load = (name, integrity) => one.page.evaluate(([src, integrity]) => new Promise((done) => {
    const script = Object.assign(document.createElement('script'), {type: 'module', crossOrigin: 'anonymous', src, integrity})
    script.onload = () => done('loaded')
    script.onerror = () => done('refused')
    document.body.append(script)
  }), [`${demo.url}/sdk/${name}`, integrity])
  for (const {name, integrity} of files) assert.equal(await load(name, integrity), 'loaded', name)
  assert.equal(await one.page.evaluate(async (address) => (await import(address)).version, `${demo.url}/sdk/lodge-${version}.js`), version)
  one.excuse(/integrity/)
  assert.equal(await load('lodge.js', files.find(({name}) => name.startsWith('components')).integrity), 'refused')
  assert.deepEqual(one.faults, [])
})

test('lab partners see each other come, and pass control on open connections', async (t) => {
  const soren = await Someone.arrive(browser, demo.url, {name: 'soren'})
  t.after(() => soren.leave())
  await soren.context.request.get('/login/dev?login_hint=soren')
  const {code} = await ada.api('POST', `/api/v1/bookings/${booking.id}/share`)
  await soren.api('POST', '/api/v1/bookings/join', {code})
  const {uis: [ui]} = await soren.api('POST', `/api/v1/bookings/${booking.id}/activity`)
  const hers = await page(t, '')
  await hers.open()
  await begin(hers)
  await caughtUp(hers)
  const his = await page(t, '', {search: new URL(ui.url).search})
  await his.open()
  await begin(his)
  await caughtUp(his)
  const control = (one, ...action) => one.page.evaluate((action) => lodge.control(...action), action)
  const {you: adas} = await control(hers)
  const {you: sorens, control: first} = await control(his)
  assert.equal(first, adas)
  await his.page.evaluate(() => lodge.stream('data'))
  await hers.page.waitForFunction((person) => heard.some(({type, data}) => type === 'lodge.presence' && data.people.some((one) => one.person === person && one.experiments.length)), sorens)
  assert.equal((await control(hers)).people.find(({person}) => person === sorens).here, true)

  const changed = (one, change, holder) => one.page.waitForFunction(([change, holder]) => heard.some(({type, data}) => type === 'lodge.control' && data.change === change && data.control === holder), [change, holder])
  await control(his, 'ask')
  await changed(hers, 'asked', adas)
  await control(hers, 'give', sorens)
  await changed(his, 'given', sorens)
  assert.equal((await control(his)).control, sorens)
  assert.equal(await his.page.evaluate(() => lodge.stream('data').state), 'open')
  await control(his, 'give', adas)
  await changed(hers, 'given', adas)
  assert.deepEqual([...hers.faults, ...his.faults], [])
})

test('the conformance page shows every event and brings them about', async (t) => {
  const one = await Someone.arrive(browser, demo.url, {name: t.name})
  t.after(() => one.leave())
  const {page} = one
  await one.goto('/sdk/')
  await page.getByTestId('conformance').click()
  await page.getByTestId('access').waitFor()
  assert.equal(new URL(page.url()).origin, assets)
  await page.goto(`${assets}/sdk/conformance.html#${access.slice(1)}`)
  await page.reload() // only the fragment was another
  const link = (name) => page.locator(`[data-testid=link][data-name=${name}]`)
  const state = (name, is) => link(name).getByTestId('link-state').filter({hasText: is}).waitFor()
  const attempt = (name, what) => link(name).getByTestId('try').selectOption(what)
  const counted = (kind) => eventually(kind, async () => Number(await page.getByTestId(`count-${kind}`).textContent()) > 0)
  for (const name of ['messages', 'data', 'video']) await state(name, 'open')
  await send('To the conformance page.', 'safety')
  await page.getByTestId('events').getByText('To the conformance page.').first().waitFor()
  for (const kind of ['state', 'time', 'stream message', 'lodge.caught-up', 'lodge.notice', 'safety', 'lodge.booking']) await counted(kind)
  await page.getByTestId('send').click()
  await page.getByTestId('events').getByText('sent', {exact: true}).waitFor()
  await attempt('data', '4403')
  await state('data', 'closed')
  await link('data').getByTestId('link-said').filter({hasText: '4403 Access was ended.'}).waitFor()
  await attempt('data', 'open')
  await state('data', 'open')
  await attempt('data', '4408')
  await link('data').getByTestId('link-said').filter({hasText: '4408'}).waitFor()
  await state('data', 'open')
  await page.getByTestId('cut').click()
  for (const name of ['messages', 'data', 'video']) await link(name).getByTestId('link-said').filter({hasText: /1006|cut/}).waitFor()
  for (const name of ['messages', 'data', 'video']) await state(name, 'open')
  await page.getByTestId('people').getByText('Ada Lovelace, this page, owner, in control').waitFor()

  // With a code alone.
  const [{token}] = JSON.parse(new URLSearchParams(access).get('streams'))
  await page.goto('about:blank')
  await page.goto(`${assets}/sdk/conformance.html`)
  await page.getByTestId('access').fill(token)
  await page.getByTestId('gateway').fill(demo.url)
  await page.getByTestId('connect').click()
  for (const name of ['messages', 'data', 'video']) await state(name, 'open')
  await page.getByTestId('ui-message').filter({hasText: 'To the conformance page.'}).waitFor()
  await page.getByTestId('time-left').filter({hasText: /\d+:\d\d/}).waitFor()
  assert.deepEqual(one.faults, [])
})

test('the types are those of the module', async (t) => {
  const here = dirname(fileURLToPath(import.meta.url))
  const dir = await mkdtemp(join(tmpdir(), 'lodge-types-'))
  t.after(() => rm(dir, {recursive: true, force: true}))
  await symlink(join(here, '../sdk'), join(dir, 'sdk'))
  await writeFile(join(dir, 'page.ts'), await readFile(join(here, 'sdk.types.ts'), 'utf8'))
  const tsc = createRequire(import.meta.url).resolve('typescript/lib/tsc.js')
  const run = promisify(execFile)(process.execPath, [
    tsc, '--noEmit', '--strict', '--target', 'es2022', '--module', 'es2022', '--moduleResolution', 'bundler', '--preserveSymlinks', '--lib', 'es2022,dom,dom.iterable', join(dir, 'page.ts'),
  ])
  await run.catch((failed) => assert.fail(failed.stdout || failed))
})

test('why it ended can be read', async (t) => {
  const one = await page(t, '')
  await one.open()
  await begin(one)
  one.excuse(/status of 40[13]/)
  await one.page.evaluate(() => {
    globalThis.why = []
    for (const name of ['data', 'video']) lodge.stream(name).on('closed', ({detail}) => why.push(detail))
  })
  await one.page.waitForFunction(() => ['data', 'video'].every((name) => lodge.stream(name).state === 'open'))
  await caughtUp(one)
  await grace.api('DELETE', `/api/v1/bookings/${booking.id}`, {reason: 'The lab closes early.'})
  await one.page.waitForFunction(() => why.length === 2)
  for (const {code, reason} of await one.page.evaluate(() => why)) {
    assert.equal(code, 4403)
    assert.match(reason, /The lab closes early\./)
  }
  await one.page.waitForFunction(() => lodge.left() === 0)
  await send('You can still be reached.', 'info', `booking:${booking.id}`)
  await one.page.waitForFunction(() => heard.some(({data}) => data?.text === 'You can still be reached.'))
  assert.deepEqual(one.faults, [])
})
