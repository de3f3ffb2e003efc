// connect.js: the page's one message socket and what it says about itself.

import {Messages, call} from '../sdk/lodge.js'
import {t} from './words.js'

const words = {
  connecting: t('Connecting…'),
  open: t('Live'),
  waiting: t('Reconnecting…'),
  closed: t('Not connected'),
}

/** connect returns the page's Messages, not yet open, or nothing for a visitor. */
export function connect() {
  const {person, resume} = document.body.dataset
  if (person === undefined) return undefined
  const socket = new URL('/api/v1/messages/ws', location)
  socket.protocol = socket.protocol.replace('http', 'ws')
  const messages = new Messages(async (tries) => {
    // A handshake that is refused tells a page nothing; this answer does.
    if (tries > 0) await call('/api/v1/me')
    return socket
  })
  // What the page shows was rendered up to here; nothing kept from another page
  // could say that. Without it the server replays its history.
  messages.positions = JSON.parse(resume)
  show(messages)
  return messages
}

function show(messages) {
  const element = document.getElementById('connection')
  const text = document.createElement('span')
  element.replaceChildren(text)
  const set = () => {
    element.dataset.state = messages.state
    text.textContent = words[messages.state]
  }
  messages.on('state', set)
  messages.on('closed', ({detail}) => {
    text.textContent = detail.code === 401 || detail.code === 4401 ? `${t('Signed out.')} ` : `${detail.reason} `
    const again = document.createElement('a')
    again.href = detail.code === 401 || detail.code === 4401 ? '/login' : location.href
    again.textContent = detail.code === 401 || detail.code === 4401 ? t('Sign in again') : t('Load the page again')
    element.append(again)
  })
  set()
}

/** announce tells screen readers, without moving anything. */
export function announce(text, urgent = false) {
  const region = document.getElementById(urgent ? 'alarm' : 'announce')
  region.textContent = ''
  setTimeout(() => { region.textContent = text }, 50)
}
