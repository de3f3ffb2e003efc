// The SDK's acknowledging, against a server that wants notices acknowledged in
// their order and does not mind the same one twice.
import assert from 'node:assert/strict'
import {test} from 'node:test'
import {Lodge, Refused} from '../sdk/lodge.js'

const streams = JSON.stringify([{for: 'data', url: 'https://lab.example.org/session/pend00-data', token: 'code'}])

/** serve answers acknowledgements of notices in this order. */
function serve(t, order) {
  const done = new Set()
  t.mock.method(globalThis, 'fetch', async (url, {method, headers}) => {
    const id = /^https:\/\/lab\.example\.org\/api\/v1\/messages\/(.+)\/acknowledge$/.exec(url)?.[1]
    assert.deepEqual([method, headers.Authorization], ['POST', 'code'])
    if (id === 'broken') return new Response('{"detail":"Try again."}', {status: 503})
    if (order.slice(0, order.indexOf(id)).some((earlier) => !done.has(earlier))) {
      return new Response('{"detail":"An earlier message waits."}', {status: 409})
    }
    done.add(id)
    return new Response(null, {status: 204})
  })
  return {done, lodge: new Lodge({search: '?' + new URLSearchParams({streams, exp: '1'})})}
}

test('a notice that waits behind earlier ones is acknowledged after them', async (t) => {
  const {lodge, done} = serve(t, ['a', 'b', 'c'])
  await lodge.acknowledge('c') // said and kept, not refused
  await lodge.acknowledge('b')
  assert.deepEqual([...done], [])
  await lodge.acknowledge('a')
  assert.deepEqual([...done], ['a', 'b', 'c'])
})

test('acknowledging twice is fine', async (t) => {
  const {lodge, done} = serve(t, ['a', 'b'])
  await lodge.acknowledge('b')
  await lodge.acknowledge('b')
  await lodge.acknowledge('a')
  await lodge.acknowledge('a')
  assert.deepEqual([...done], ['a', 'b'])
})

test('what fails for another reason is the caller\'s to try again', async (t) => {
  const {lodge} = serve(t, [])
  await assert.rejects(lodge.acknowledge('broken'), (e) => e instanceof Refused && e.code === 503)
})
