// refused.js: says beside a form why it was not taken, with all that is in it left as
// it is. Who has to sign in first does so in another tab.

import {announce} from './connect.js'
import {t} from './words.js'

/** refuse shows why a form was not taken; signIn says that signing in mends it. */
export function refuse(place, why, signIn) {
  place.textContent = why
  if (signIn) {
    const link = Object.assign(document.createElement('a'), {href: '/signed-in', target: '_blank', rel: 'noopener', textContent: t('Sign in (opens another tab)')})
    link.dataset.testid = 'sign-in-elsewhere'
    place.append(' ', link)
  }
  place.hidden = false
  announce(place.textContent)
}
