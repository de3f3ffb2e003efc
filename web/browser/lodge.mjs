// lodge.mjs: a `lodge demo` of its own for each test file.

import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtemp, rm} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {createInterface} from 'node:readline'

const running = new Set()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})
// Whoever stops the tests stops what they started.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1))

/** Demo is a running demo; kill() ends it as a crash would and starts it again, with other flags if it is to have some. */
export class Demo {
  static async start() {
    const binary = process.env.LODGE_BINARY
    if (!binary) throw new Error('LODGE_BINARY names no binary; run the tests with "make browser"')
    const demo = new Demo()
    demo.binary = binary
    demo.flags = []
    demo.data = await mkdtemp(join(tmpdir(), 'lodge-browser-'))
    await demo.#run()
    return demo
  }

  async #run() {
    this.output = ''
    const child = this.child = spawn(this.binary, ['demo', '--listen', '127.0.0.1:0', '--data', this.data, ...this.flags], {stdio: ['ignore', 'pipe', 'pipe']})
    running.add(child)
    this.ended = once(child, 'exit').then(() => running.delete(child))
    const ready = new Promise((resolve, reject) => {
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({input: stream}).on('line', (line) => {
          this.output += line + '\n'
          const found = /^lodge: ready at (http:\S+)$/.exec(line)
          if (found) resolve(found[1])
        })
      }
      child.on('error', reject)
      child.on('exit', () => reject(new Error(`the demo ended:\n${this.output}`)))
    })
    this.url = await within(60000, 'lodge: ready at URL', ready)
  }

  /** kill ends it without a word and starts it again on the same data. */
  async kill(...flags) {
    this.flags = flags
    const before = this.url
    this.child.kill('SIGKILL')
    await this.ended
    await this.#run()
    if (this.url !== before) throw new Error(`after the restart the demo is at ${this.url}, before at ${before}`)
  }

  async stop() {
    this.child.kill('SIGTERM')
    await within(20000, 'the end of the demo', this.ended)
    await rm(this.data, {recursive: true, force: true})
  }

  /** reference is that of Søren's booking, from the table the demo prints. */
  async reference() {
    const line = /([23456789BCDFGHJKMNPQRSTVWXZ]{6}) {2,}pend01 until/
    return eventually('the table of references', () => line.exec(this.output)?.[1])
  }
}

/** eventually asks again and again until the answer is truthy, and returns it. */
export async function eventually(what, probe, limit = 60000) {
  const end = Date.now() + limit
  let last
  for (;;) {
    try {
      const answer = await probe()
      if (answer) return answer
      last = answer
    } catch (thrown) {
      last = thrown
    }
    if (Date.now() > end) throw new Error(`${what} did not come about in ${limit / 1000} s; last: ${last}`)
    await new Promise((done) => { setTimeout(done, 50) })
  }
}

async function within(limit, what, promise) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come in ${limit / 1000} s`)), limit)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
