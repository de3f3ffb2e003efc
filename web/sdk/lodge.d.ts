/** Types of lodge.js. */

export type State = 'connecting' | 'open' | 'waiting' | 'closed'

/** Why a link will not come back: an HTTP status or a websocket close code, and words to show. */
export interface Closed {
  /** 401, 403, 404, 409, 4401 (over), 4403 (cancelled or revoked), 4409 (off-line) */
  code: number
  reason: string
}

export class Refused extends Error {
  readonly code: number
  /** whether the same request will be refused again */
  readonly final: boolean
}

export interface LinkEvents {
  /** text as string, binary as ArrayBuffer */
  message: string | ArrayBuffer
  state: State
  closed: Closed
}

/** A websocket that comes back until it is told why it may not. */
export class Link<Events = LinkEvents> extends EventTarget {
  constructor(address: (tries: number) => Promise<string | URL>)
  readonly state: State
  readonly closed?: Closed
  on<K extends keyof Events & string>(type: K, listener: (event: CustomEvent<Events[K]>) => void): this
  open(): this
  close(): void
  /** false when the link is not open; plain objects are sent as JSON */
  send(data: string | ArrayBuffer | Blob | Record<string, unknown>): boolean
}

/** A CloudEvents 1.0 event of Lodge. */
export interface LodgeEvent<Data = unknown> {
  specversion: '1.0'
  id: string
  type: string
  source: string
  subject?: string
  time: string
  /** the topic, and the position in it; absent on events that are not stored */
  lodgetopic?: string
  lodgepos?: string
  data: Data
}

export interface Notice {
  title?: string
  text: string
  priority: 'info' | 'important' | 'safety'
  from: string
  /** the sender's id; absent for a service */
  by?: string
  to: string
  /** `to` in words */
  to_name?: string
  /** when it stops being shown */
  expires?: string
  /** whether its readers may reply */
  replies?: boolean
  /** of a reply: the notice it is to, and what that was about */
  in_reply_to?: string
  about?: string
}

/** A notice that was not acknowledged yet. */
export interface Waiting {
  id: string
  topic: string
  position: string
  type: 'lodge.notice'
  time: string
  data: Notice
}

export interface BookingChange {
  booking: string
  change: 'booked' | 'extended' | 'cancelled'
  start: string
  end: string
  reason?: string
}

export interface ExperimentChange {
  experiment: string
  online: boolean
  reason?: string
}

export interface MessagesEvents {
  /** every event, whatever its type, once */
  message: LodgeEvent
  state: State
  closed: Closed
  'lodge.notice': LodgeEvent<Notice>
  /** a notice about safety that has just come; show it at once, but leave the focus where it is */
  safety: LodgeEvent<Notice>
  'lodge.booking': LodgeEvent<BookingChange>
  'lodge.experiment': LodgeEvent<ExperimentChange>
  'lodge.survey': LodgeEvent<{survey: string; title: string; change: 'opened' | 'answered' | 'closed' | 'released'}>
  'lodge.register': LodgeEvent<{register: string; title: string; change: 'opened' | 'closed' | 'marked'}>
  'lodge.receipt': LodgeEvent<{message: string; sent: number; delivered: number; read: number}>
  'lodge.session': LodgeEvent<{session: string; change: 'began' | 'ended'}>
  'lodge.gap': LodgeEvent<{topic: string; since: string; position: string}>
  'lodge.caught-up': LodgeEvent<{positions: Record<string, string>}>
  /** the server restarts: the connection ends now and is made again after this time */
  'lodge.reconnect': LodgeEvent<{after_ms: number}>
}

export class Messages extends Link<MessagesEvents> {
  positions: Record<string, string>
  readonly caughtUp: boolean
  /** tell the sender that everything up to this event has been read */
  read(event: Pick<LodgeEvent, 'lodgetopic' | 'lodgepos'>): void
}

export interface Stream {
  for: string
  url: string
  token: string
  connection_type?: string
  scopes?: string[]
  topic?: string
}

export interface Remaining {
  booking: string
  experiment: string
  title: string
  now: string
  end: string
  state: 'active' | 'pending' | 'expired' | 'revoked'
  reason?: string
  /** minutes that an extension may ask for now */
  extend: number[]
}

export class Lodge {
  /** the one made first, which the components use */
  static current?: Lodge
  constructor(options?: {search?: string})
  readonly streams: Stream[]
  /** the gateway's origin, taken from the first stream */
  readonly origin?: string
  readonly token?: string
  /** end of the booking in milliseconds since 1970; 0 once access was ended */
  readonly end: number
  stream(name: string): Link
  messages(): Messages
  /** important and safety notices that were not acknowledged yet, safety first */
  waiting(): Promise<Waiting[]>
  /**
   * tell the sender that such a notice was read; one that waits behind an earlier one of its topic is told of once that
   * was acknowledged; again changes nothing
   */
  acknowledge(id: string): Promise<void>
  /** milliseconds that are left, by the server's clock */
  left(): number
  remaining(): Promise<Remaining>
  extend(seconds: number): Promise<Remaining>
}

/** <lodge-messages>; set `lodge` to use another than Lodge.current. */
export class LodgeMessages extends HTMLElement {
  lodge?: Lodge
}

/** <lodge-time-left>; set `lodge` to use another than Lodge.current. */
export class LodgeTimeLeft extends HTMLElement {
  lodge?: Lodge
}

/** JSON over fetch; rejects with Refused unless answered with success. */
export function call<T = unknown>(url: string | URL, init?: RequestInit & {token?: string; body?: unknown}): Promise<T>
