// The voter's side of blind signatures against the test vectors of RFC 9474,
// appendix A.1 (RSABSSA-SHA384-PSS-Randomized).

import assert from 'node:assert/strict'
import {readFile} from 'node:fs/promises'
import {test} from 'node:test'
import {blind, bytes, decode, encode, encodePSS, finalize, number, prepare, read} from '../static/js/ballot.js'

const vector = JSON.parse(await readFile(new URL('./rfc9474.json', import.meta.url), 'utf8'))
const big = (hex) => BigInt(hex.startsWith('0x') ? hex : `0x${hex}`)
const raw = (hex) => Uint8Array.from(Buffer.from(hex.replace(/^0x/, ''), 'hex'))
const n = big(vector.n), e = big(vector.e)
const size = raw(vector.n).length
const key = {n: encode(raw(vector.n)), e: encode(raw('010001'))}

function inverse(a, m) {
  let [r, s, x, y] = [m, a, 0n, 1n]
  while (s) {
    const q = r / s
    ;[r, s, x, y] = [s, r - q * s, y, x - q * y]
  }
  return (x % m + m) % m
}

test('blinding gives what the RFC gives', async () => {
  const made = await blind({n, e, size}, raw(vector.input_msg), raw(vector.salt), inverse(big(vector.inv), n))
  assert.equal(made.blinded, encode(raw(vector.blinded_msg)))
  assert.equal(made.inverse, encode(bytes(big(vector.inv), size)))
})

test('finalizing gives what the RFC gives', async () => {
  const ballot = {serial: encode(raw(vector.input_msg)), inverse: encode(bytes(big(vector.inv), size))}
  assert.equal(await finalize(key, ballot, encode(raw(vector.blind_sig))), encode(raw(vector.sig)))
  const spoilt = raw(vector.blind_sig)
  spoilt[7] ^= 1
  await assert.rejects(finalize(key, ballot, encode(spoilt)), /no good/)
})

test('two ballots have nothing in common', async () => {
  const [a, b] = [await prepare(key), await prepare(key)]
  for (const field of ['serial', 'blinded', 'inverse']) assert.notEqual(a[field], b[field])
  assert.equal(decode(a.serial).length, 64)
  assert.ok(number(decode(a.blinded)) < n)
})

test('a key that is none is refused', () => {
  for (const bad of [{n: encode(raw('ff')), e: key.e}, {n: key.n, e: encode(raw('02'))}, {n: encode(bytes(n - 1n, size)), e: key.e}]) assert.throws(() => read(bad), /no good/)
})

test('the encoding has the length and the end that RFC 8017 asks for', async () => {
  const encoded = await encodePSS(raw('00'), 2047, new Uint8Array(48))
  assert.equal(encoded.length, 256)
  assert.equal(encoded.at(-1), 0xbc)
  assert.ok(encoded[0] < 0x80)
})
