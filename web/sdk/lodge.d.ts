/** Types of lodge.js. */

export const version: string

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

/** Why a link is not open for the moment; it tries again by itself. */
export interface Lost {
  /** a websocket close code (1001, 1006, 1013, 4408, …), an HTTP status (429, 503), or 0: nobody answered */
  code: number
  reason: string
}

export interface LinkEvents {
  /** text as string, binary as ArrayBuffer */
  message: string | ArrayBuffer
  state: State
  /** the link was lost and is made again after a pause */
  lost: Lost
  /** it will not come back, but for open(); of 409 and 4409 (off-line) Lodge sees to that */
  closed: Closed
}

/** The type of an `on` that knows each event's detail. */
declare class Emitter<Events> extends EventTarget {
  on<K extends keyof Events & string>(type: K, listener: (event: CustomEvent<Events[K]>) => void): this
}

/** A websocket that comes back until it is told why it may not. */
export class Link<Events = LinkEvents> extends Emitter<Events> {
  constructor(address: (tries: number) => Promise<string | URL>)
  readonly state: State
  readonly closed?: Closed
  /** begin, also again after closed */
  open(): this
  /** end it from this side */
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

/** One of those who share a booking. */
export interface Partner {
  person: string
  name: string
  owner: boolean
  /** for control */
  asks: boolean
  /** has a stream of the booking open; in answers of control() alone */
  here?: boolean
}

export interface ControlChange {
  booking: string
  change: 'joined' | 'left' | 'taken' | 'given' | 'asked'
  /** the person who has control */
  control: string
  /** the owner first */
  people: Partner[]
}

/** Who shares the booking, and which of them has control: only they can send to the experiment. */
export interface Control {
  booking: string
  /** the person whose page this is */
  you: string
  control: string
  since?: string
  people: Partner[]
}

/** People who came or left, as they are now. */
export interface PresenceChange {
  people: {person: string; name: string; messages: boolean; experiments: string[]}[]
}

export interface MessagesEvents {
  /** every event, whatever its type, once */
  message: LodgeEvent
  state: State
  lost: Lost
  closed: Closed
  'lodge.notice': LodgeEvent<Notice>
  /** a notice about safety that has just come; show it at once, but leave the focus where it is */
  safety: LodgeEvent<Notice>
  'lodge.booking': LodgeEvent<BookingChange>
  'lodge.experiment': LodgeEvent<ExperimentChange>
  /** a lab partner came or went, or control changed hands */
  'lodge.control': LodgeEvent<ControlChange>
  /** lab partners who opened the experiment or left it */
  'lodge.presence': LodgeEvent<PresenceChange>
  'lodge.handin': LodgeEvent<{handin: string; title: string; change: 'opened' | 'received' | 'graded' | 'closed'}>
  /** what can be booked has changed */
  'lodge.catalogue': LodgeEvent<Record<string, never>>
  'lodge.survey': LodgeEvent<{survey: string; title: string; change: 'opened' | 'answered' | 'closed' | 'released'}>
  'lodge.register': LodgeEvent<{register: string; title: string; change: 'opened' | 'closed' | 'marked'}>
  'lodge.receipt': LodgeEvent<{message: string; topic: string; position: string; delivered: number; read: number}>
  'lodge.session': LodgeEvent<{session: string; change: 'began' | 'ended'}>
  'lodge.gap': LodgeEvent<{topic: string; since: string; position: string}>
  'lodge.caught-up': LodgeEvent<{positions: Record<string, string>}>
  /** the server restarts: the connection ends now and is made again after this time */
  'lodge.reconnect': LodgeEvent<{after_ms: number}>
}

export class Messages extends Link<MessagesEvents> {
  /** by topic; replace before open() to go on from elsewhere */
  positions: Record<string, string>
  /** whether this connection has brought all that was missed */
  readonly caughtUp: boolean
  /** tell the sender that everything up to this event has been read */
  read(event: Pick<LodgeEvent, 'lodgetopic' | 'lodgepos'>): void
}

export interface Stream {
  for: string
  /** of the relay: POST to it, with the token, for a websocket's address */
  url: string
  /** absent where it is Lodge's */
  token?: string
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
  streams: Stream[]
}

export interface LodgeEvents {
  /** how much time is left was learnt: at the beginning, after an extension, after the end */
  time: Remaining
}

export class Lodge extends Emitter<LodgeEvents> {
  /** the one with a code that was made first, which the components use */
  static current?: Lodge
  /**
   * @param options.search instead of the page's own query and fragment: `streams=[…]&exp=…`
   * @param options.token,options.origin a code and the gateway's origin, where no streams tell; remaining() then learns the streams
   */
  constructor(options?: {search?: string; token?: string; origin?: string})
  readonly streams: Stream[]
  /** the gateway's origin, taken from the first stream */
  readonly origin?: string
  readonly token?: string
  /** end of the booking in milliseconds since 1970; 0 once access was ended */
  readonly end: number
  /** the relay topic that is for `name`, opened at the first call; throws if there is none */
  stream(name: string): Link
  /** the message socket, opened at the first call */
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
  /** make the booking longer; nothing connects again */
  extend(seconds: number): Promise<Remaining>
  /** who shares the booking; with an action, after that was done. Rejects with the reason, such as that somebody else has control. */
  control(): Promise<Control>
  control(action: 'take' | 'ask'): Promise<Control>
  control(action: 'give', to: string): Promise<Control>
}

/** JSON over fetch; rejects with Refused unless answered with success. */
export function call<T = unknown>(url: string | URL, init?: Omit<RequestInit, 'body'> & {token?: string; body?: unknown}): Promise<T>
