// ballot.js: the voter's side of RFC 9474, RSABSSA-SHA384-PSS-Randomized. The
// server signs a ballot without seeing it; what comes out is a signature that
// nobody can tie to the request it was made in. Big numbers are BigInt: how long
// they take depends on their size, which says nothing here, since each browser
// works on secrets of its own and nobody else's clock is near them.

const hashSize = 48 // bytes of SHA-384; the salt is as long (section 5)

/** prepare makes a ballot's serial and blinds it for a key {n, e} of a JWK. All but `inverse` may be sent. */
export async function prepare(key) {
  const {n, e, size} = read(key)
  const serial = random(64) // section 4.1: 32 random bytes before the message, and the message
  return {serial: encode(serial), ...await blind({n, e, size}, serial, random(hashSize), unit(n))}
}

/** blind is prepare with given randomness (section 4.2). */
export async function blind({n, e, size}, serial, salt, r) {
  const message = number(await encodePSS(serial, bits(n) - 1, salt))
  if (gcd(message, n) !== 1n) throw new Error('The key of this survey is no good key; tell your instructor.')
  return {
    blinded: encode(bytes(message * power(r, e, n) % n, size)),
    inverse: encode(bytes(invert(r, n), size)),
  }
}

/** finalize takes the blinding off a signature and checks it (section 4.4). */
export async function finalize(key, {serial, inverse}, signature) {
  const {n, size} = read(key)
  const paper = bytes(number(decode(signature)) * number(decode(inverse)) % n, size)
  const check = await crypto.subtle.importKey('jwk', {kty: 'RSA', alg: 'PS384', ext: true, ...key}, {name: 'RSA-PSS', hash: 'SHA-384'}, false, ['verify'])
  if (!await crypto.subtle.verify({name: 'RSA-PSS', saltLength: hashSize}, check, paper, decode(serial))) {
    throw new Error('The server’s signature is no good: nothing was sent. Tell your instructor.')
  }
  return encode(paper)
}

/** read takes a JWK's numbers, and refuses a key that is not what surveys have. */
export function read(key) {
  const n = number(decode(key.n)), e = number(decode(key.e))
  if (bits(n) < 2048 || n % 2n === 0n || e < 3n || e % 2n === 0n) throw new Error('The key of this survey is no good key; tell your instructor.')
  return {n, e, size: Math.ceil(bits(n) / 8)}
}

/** encodePSS is EMSA-PSS-ENCODE of RFC 8017 section 9.1.1. */
export async function encodePSS(message, emBits, salt) {
  const length = Math.ceil(emBits / 8)
  const hash = await digest(join(new Uint8Array(8), await digest(message), salt))
  const block = new Uint8Array(length - hashSize - 1)
  block[block.length - salt.length - 1] = 1
  block.set(salt, block.length - salt.length)
  const mask = await stretch(hash, block.length)
  for (let i = 0; i < block.length; i++) block[i] ^= mask[i]
  block[0] &= 0xff >> (8 * length - emBits)
  return join(block, hash, Uint8Array.of(0xbc))
}

// stretch is MGF1 of RFC 8017 section B.2.1.
async function stretch(seed, length) {
  const parts = []
  for (let i = 0; i * hashSize < length; i++) parts.push(await digest(join(seed, Uint8Array.of(i >>> 24, i >>> 16, i >>> 8, i))))
  return join(...parts).subarray(0, length)
}

const digest = async (data) => new Uint8Array(await crypto.subtle.digest('SHA-384', data))

const random = (size) => crypto.getRandomValues(new Uint8Array(size))

// unit draws a number from 1 to n-1 that has an inverse.
function unit(n) {
  const size = Math.ceil(bits(n) / 8)
  for (;;) {
    const drawn = random(size)
    drawn[0] &= 0xff >> (8 * size - bits(n))
    const r = number(drawn)
    if (r > 0n && r < n && gcd(r, n) === 1n) return r
  }
}

function join(...parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

const bits = (n) => n.toString(2).length

/** number is OS2IP, bytes I2OSP. */
export const number = (data) => data.reduce((n, b) => n << 8n | BigInt(b), 0n)

export function bytes(n, size) {
  const data = new Uint8Array(size)
  for (let i = size; i-- > 0; n >>= 8n) data[i] = Number(n & 0xffn)
  return data
}

function power(base, exponent, n) {
  let result = 1n
  for (base %= n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = result * base % n
    base = base * base % n
  }
  return result
}

function gcd(a, b) {
  while (b) [a, b] = [b, a % b]
  return a
}

function invert(a, n) {
  let [r, s, x, y] = [n, a % n, 0n, 1n]
  while (s) {
    const q = r / s
    ;[r, s, x, y] = [s, r - q * s, y, x - q * y]
  }
  return (x % n + n) % n
}

/** encode and decode are base64url without padding. */
export const encode = (data) => btoa(String.fromCharCode(...data)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')

export const decode = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0))
