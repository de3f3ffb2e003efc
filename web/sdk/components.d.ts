/** Types of components.js. */

import type {Lodge} from './lodge.js'

/** what the components say, by language; add to it before they are in the page */
export const words: Record<string, Record<'messages' | 'done' | 'read' | 'survey' | 'more' | 'left', string>>

/** <lodge-messages>; set `lodge` to use another than Lodge.current. */
export class LodgeMessages extends HTMLElement {
  lodge?: Lodge
}

/** <lodge-time-left>, with the attribute `extend` a button too; set `lodge` to use another than Lodge.current. */
export class LodgeTimeLeft extends HTMLElement {
  lodge?: Lodge
}

declare global {
  interface HTMLElementTagNameMap {
    'lodge-messages': LodgeMessages
    'lodge-time-left': LodgeTimeLeft
  }
}
