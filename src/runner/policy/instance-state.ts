/**
 * What a container may be, and what may happen to it: the whole table. A row is a state, a column an event, a cell
 * the state that follows. What has no cell cannot happen: {@link Instance.undergo} throws. News of a container comes
 * from outside, and may come after it was let go: then it changes nothing.
 */
const TABLE: Readonly<Record<InstanceState, Partial<Record<InstanceEvent, InstanceState>>>> = {
  /** It may be given calls. */
  awake: { rest: 'pausing', let: 'ending' },
  pausing: { paused: 'paused', let: 'ending' },
  paused: { wake: 'waking', let: 'ending' },
  waking: { woken: 'awake', let: 'ending' },
  /** It gets no more calls and is being stopped. */
  ending: { paused: 'ending', woken: 'ending', ended: 'ended' },
  /** Nothing of it is left. */
  ended: {},
}

/** Ordered here: `rest`, `wake`, `let`; answered from outside: `paused`, `woken`, `ended`. */
export const INSTANCE_EVENTS = ['rest', 'paused', 'wake', 'woken', 'let', 'ended'] as const
export type InstanceEvent = (typeof INSTANCE_EVENTS)[number]
export const INSTANCE_STATES = ['awake', 'pausing', 'paused', 'waking', 'ending', 'ended'] as const
export type InstanceState = (typeof INSTANCE_STATES)[number]

/** The state that follows, or `undefined` when that cannot happen. */
export const follows = (state: InstanceState, event: InstanceEvent): InstanceState | undefined =>
  TABLE[state][event]
