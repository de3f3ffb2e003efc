// people.mjs: Debian's Chromium, and the people who sit in front of it.

import assert from 'node:assert/strict'
import {existsSync} from 'node:fs'
import {mkdir} from 'node:fs/promises'
import {createRequire} from 'node:module'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {chromium} from 'playwright-core'

const executablePath = '/usr/bin/chromium'
const artifacts = process.env.LODGE_ARTIFACTS ?? join(dirname(fileURLToPath(import.meta.url)), '../../.artifacts')

export const desk = {width: 1280, height: 860}
export const phone = {width: 390, height: 844}

/** launch starts the browser that all contexts of a test file share. */
export async function launch() {
  if (!existsSync(executablePath)) {
    throw new Error(`${executablePath} is not there; install it with: apt-get install chromium (or make test)`)
  }
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
    ],
  })
}

/**
 * Someone is one person's browser. What its console calls an error, and every
 * violation of the content security policy, is kept in `faults`.
 */
export class Someone {
  static async arrive(browser, url, {name = 'a visitor', size = desk, ...options} = {}) {
    const one = new Someone()
    one.name = name
    one.url = url
    one.faults = []
    one.excused = []
    one.context = await browser.newContext({
      baseURL: url, viewport: size, locale: 'en-GB', timezoneId: 'Europe/Dublin', acceptDownloads: true,
      ...size === phone && {isMobile: true, hasTouch: true, deviceScaleFactor: 2}, ...options,
    })
    one.context.setDefaultTimeout(60000)
    one.context.on('console', (message) => {
      if (message.type() === 'error' || /content security policy/i.test(message.text())) one.#fault(message.text(), message.location().url)
    })
    one.context.on('weberror', (error) => one.#fault(error.error().stack ?? String(error.error())))
    one.page = await one.context.newPage()
    return one
  }

  #fault(text, at = '') {
    if (!this.excused.some((pattern) => pattern.test(text))) this.faults.push(`${this.name}: ${text} ${at}`)
  }

  /** excuse lets what is meant to go wrong go wrong. */
  excuse(pattern) {
    this.excused.push(pattern)
  }

  goto(path) {
    return this.page.goto(path)
  }

  /** signIn goes through the issuer's page, as a person does. */
  async signIn(fullName) {
    await this.goto('/login')
    await this.page.getByTestId('issuer-dev').click()
    await this.page.getByRole('button', {name: fullName}).click()
    await this.page.getByRole('heading', {name: `Good to see you, ${fullName}`}).waitFor()
  }

  /** live waits until the page's message socket is open. */
  live(page = this.page) {
    return page.locator('#connection[data-state=open]').waitFor()
  }

  /** api calls the API with this person's cookies. */
  async api(method, path, data) {
    const response = await this.context.request.fetch(path, {method, data, headers: {Accept: 'application/json'}})
    const text = await response.text()
    assert.ok(response.ok(), `${method} ${path}: ${response.status()} ${text}`)
    return text && JSON.parse(text)
  }

  async leave() {
    await this.context.close()
  }
}

const decoder = createRequire(import.meta.url).resolve('jsqr')

/** scanned is what a camera reads from a QR code on a page; undefined if it reads none. */
export async function scanned(code) {
  const picture = await code.screenshot()
  const camera = await code.page().context().browser().newPage()
  try {
    await camera.addScriptTag({path: decoder})
    return await camera.evaluate(async (source) => {
      const image = await createImageBitmap(await (await fetch(source)).blob())
      const {width, height} = image
      const canvas = new OffscreenCanvas(width, height).getContext('2d')
      canvas.drawImage(image, 0, 0)
      return globalThis.jsQR(canvas.getImageData(0, 0, width, height).data, width, height)?.data
    }, `data:image/png;base64,${picture.toString('base64')}`)
  } finally {
    await camera.close()
  }
}

/** keep saves a screenshot among the artifacts. */
export async function keep(page, name, options = {}) {
  await mkdir(artifacts, {recursive: true})
  return page.screenshot({path: join(artifacts, `${name}.png`), animations: 'disabled', ...options})
}
