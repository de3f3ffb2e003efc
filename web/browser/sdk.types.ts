// What the page of an experiment does with the SDK, for the compiler alone: it
// is never run.

import {Lodge, Link, Messages, Refused, call, version} from './sdk/lodge.js'
import {LodgeMessages, LodgeTimeLeft, words} from './sdk/components.js'

const lodge = new Lodge()
const other = new Lodge({token: 'lodge_exp_…', origin: 'https://lodge.example.org'})
const link: Link = lodge.stream('data')
link.on('message', ({detail}) => typeof detail === 'string' ? detail.length : detail.byteLength)
  .on('state', ({detail}) => detail === 'open')
  .on('lost', ({detail: {code, reason}}) => `${code.toFixed()} ${reason.trim()}`)
  .on('closed', ({detail: {code, reason}}) => `${code.toFixed()} ${reason.trim()}`)
const sent: boolean = link.send({cmd: 'kick'}) && link.send('text') && link.send(new ArrayBuffer(1))
link.close()
link.open()

const messages: Messages = lodge.messages()
messages.on('lodge.notice', ({detail: {data, lodgetopic}}) => [data.text, data.title?.length, lodgetopic?.length])
  .on('safety', ({detail}) => messages.read(detail))
  .on('lodge.booking', ({detail: {data}}) => data.change === 'extended')
  .on('lodge.experiment', ({detail: {data}}) => data.online)
  .on('lodge.control', ({detail: {data}}) => data.people[0]?.asks)
  .on('lodge.presence', ({detail: {data}}) => data.people[0]?.experiments.length)
  .on('lodge.reconnect', ({detail: {data}}) => data.after_ms.toFixed())
  .on('message', ({detail}) => detail.type)
messages.positions = {...messages.positions}
// @ts-expect-error there is no such event
messages.on('lodge.nothing', () => {})

lodge.on('time', ({detail}) => detail.extend.map((minutes) => minutes * 60))
async function steps(): Promise<string> {
  const {people, control, you} = await lodge.control('give', 'p1')
  await lodge.control('take')
  // @ts-expect-error to whom?
  await lodge.control('give')
  const {end, streams} = await lodge.extend(300)
  for (const {id, data} of await lodge.waiting()) if (data.priority === 'safety') await lodge.acknowledge(id)
  const answer = await call<{ok: boolean}>('/api', {method: 'POST', token: lodge.token, body: {a: 1}}).catch((e) => e instanceof Refused && e.final)
  return [people[0]?.here, control === you, end, streams[0]?.topic, lodge.left(), version, sent, other.origin, answer].join()
}

words.fr = {...words.en!, messages: 'Messages'}
const element: LodgeTimeLeft = document.createElement('lodge-time-left')
element.lodge = lodge
const list: LodgeMessages = document.querySelector('lodge-messages')!
list.lodge = lodge
export {steps}
