/** What the path of a call names: a function by id, or a trigger by app name and path. */
export type Target =
  | { readonly kind: 'fn'; readonly fn: string }
  | {
      readonly kind: 'trigger'
      readonly app: string
      /** What follows the app, decoded: what a source without parameters is compared with. */
      readonly source: string
      /** The same as it was sent, percent-encoded: what {@link SourceTable} matches. */
      readonly path: string
    }

/** Characters of a function's id and of an app's name that a target may hold: what is longer names nothing. */
export const MAX_ID = 64
export const MAX_APP_NAME = 255

/** Characters of a guessed key. */
const MAX_GUESS = 512

const INVOKE = '/invoke/'
const TRIGGER = '/t/'

/** Path and query of a request target, also of one that names its host (RFC 9112 §3.2.2); `undefined` of another form. */
export function originForm(target: string): string | undefined {
  if (target.startsWith('/')) return target
  const rest = /^https?:\/\/[^/?#]+(.*)$/i.exec(target)?.[1]
  return rest === undefined || rest.startsWith('/') ? rest : `/${rest}`
}

/** Whether a request target is a call, as opposed to management. Cheap: the hot path asks it first. */
export const isCall = (target: string): boolean => target.startsWith(INVOKE) || target.startsWith(TRIGGER)

/**
 * What a request target (path and query) calls, or `undefined` when it is no call, cannot be decoded or names what is
 * too long to be there. The query is no part of it; `/t/app` alone means the path `/`.
 */
export function parseTarget(target: string): Target | undefined {
  const path = pathOf(target)
  if (path.startsWith(INVOKE)) {
    const fn = path.slice(INVOKE.length)
    return fn !== '' && fn.length <= MAX_ID && !fn.includes('/') ? { kind: 'fn', fn } : undefined
  }
  if (!path.startsWith(TRIGGER)) return undefined
  const [name, rest] = splitTrigger(path)
  const [app, source] = [decode(name), decode(`/${rest}`)]
  if (!app || app.length > MAX_APP_NAME || source === undefined) return undefined
  return { kind: 'trigger', app, source, path: `/${rest}` }
}

/** Why a call's target cannot name anything, for the detail of an error; `undefined` when it may. Cheap, keeps nothing. */
export function faultOfTarget(target: string): string | undefined {
  if (target.length <= MAX_ID) return undefined
  const path = pathOf(target)
  if (path.startsWith(INVOKE)) {
    const { length } = path.slice(INVOKE.length)
    return length > MAX_ID ? `a function's id has at most ${MAX_ID} characters, got ${length}` : undefined
  }
  if (!path.startsWith(TRIGGER)) return undefined
  const [name] = splitTrigger(path)
  const { length } = name.includes('%') ? (decode(name) ?? name) : name
  return length > MAX_APP_NAME
    ? `an app's name has at most ${MAX_APP_NAME} characters, got ${length}`
    : undefined
}

/** The app's name and what follows it, both as they were sent. The app ends at the first slash, also at an encoded one. */
function splitTrigger(path: string): readonly [name: string, rest: string] {
  const [, name = '', rest = ''] = /^(.*?)(?:(?:\/|%2f)(.*))?$/is.exec(path.slice(TRIGGER.length)) ?? []
  return [name, rest]
}

function pathOf(target: string): string {
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}

/**
 * The key of placement for a call whose function is not known yet: the path cut to three segments,
 * so that a path's parameters do not split a function into many.
 */
export const guessKey = (target: string): string => pathOf(target).split('/', 4).join('/').slice(0, MAX_GUESS)

/** A source that a path belongs to, and what the path holds where the source has parameters. */
export interface SourceMatch {
  readonly source: string
  /** By name, decoded. Values may hold any character. */
  readonly params: Readonly<Record<string, string>>
}

/**
 * The source that a path, percent-encoded as it was sent, belongs to. For many paths of one app, keep a
 * {@link SourceTable}.
 */
export const matchSource = (sources: Iterable<string>, path: string): SourceMatch | undefined =>
  new SourceTable(sources).match(path)

/** What a path is looked up in, segment by segment. */
interface Branch {
  readonly fixed: Map<string, Branch>
  any?: Branch
  rest?: Branch
  /** The source that ends here. */
  pattern?: Pattern
}

interface Pattern {
  readonly source: string
  readonly names: readonly string[]
}

/** Values found on the way to a branch, the last one first. */
interface Values {
  readonly value: string
  readonly before: Values | undefined
}

interface Step {
  readonly branch: Branch
  /** Segments that are used up. */
  readonly used: number
  readonly values: Values | undefined
  /** The branch takes the rest of the path. */
  readonly takesRest?: true
}

/**
 * The sources of one app's triggers, made ready once (decision 008). In a source, a segment `:name` stands for one
 * segment that is not empty, and `*name` at the end for all that is left, which is told with the slash before it:
 * `/files/*rest` takes `/files/a/b` as `/a/b` and `/files/` as `/`, but not `/files`. These are the rules of the
 * router that functions of 2017 were matched by (julienschmidt/httprouter).
 *
 * A source without parameters wins; it is compared with the decoded path. Else segments decide from left to right:
 * a fixed one before `:name` before `*name`. A path is split before it is decoded, so an encoded slash ends no segment.
 * No value holds a segment `.` or `..`, however encoded: standard clients resolve those, so who sends them wants to climb.
 */
export class SourceTable {
  readonly #exact = new Set<string>()
  readonly #root: Branch = { fixed: new Map() }
  #hasPatterns = false

  constructor(sources: Iterable<string>) {
    for (const source of sources) {
      if (shapeOf(source) === undefined) this.#exact.add(source)
      else this.#addPattern(source)
    }
  }

  match(path: string): SourceMatch | undefined {
    const source = decode(path)
    if (source === undefined) return undefined
    if (this.#exact.has(source)) return { source, params: NO_PARAMS }
    return this.#hasPatterns ? this.#walk(path.split('/').map(decode) as string[]) : undefined
  }

  #addPattern(source: string): void {
    this.#hasPatterns = true
    const names: string[] = []
    let branch = this.#root
    for (const segment of segmentsOf(source)) {
      if (isParam(segment)) names.push(segment.slice(1))
      branch = childOf(branch, segment)
    }
    // Of two that take the same paths, which no store holds, the same one in any order.
    if (!branch.pattern || source < branch.pattern.source) branch.pattern = { source, names }
  }

  /** Depth first, with a stack of its own: how deep sources are is up to users. */
  #walk(segments: readonly string[]): SourceMatch | undefined {
    const steps: Step[] = [{ branch: this.#root, used: 1, values: undefined }]
    for (let step = steps.pop(); step; step = steps.pop()) {
      const { branch, used, values, takesRest } = step
      if (takesRest) {
        const value = `/${segments.slice(used).join('/')}`
        if (!climbs(value)) return matchOf(branch, { value, before: values })
      } else if (used < segments.length) {
        const segment = segments[used] as string
        const { fixed, any, rest } = branch
        // The last one pushed is tried first.
        if (rest) steps.push({ branch: rest, used, values, takesRest: true })
        if (any && segment !== '' && !climbs(segment))
          steps.push({ branch: any, used: used + 1, values: { value: segment, before: values } })
        const next = fixed.get(segment)
        if (next) steps.push({ branch: next, used: used + 1, values })
      } else if (branch.pattern) return matchOf(branch, values)
    }
    return undefined
  }
}

export const NO_PARAMS: SourceMatch['params'] = Object.freeze({})

const climbs = (value: string): boolean => /(^|\/)\.\.?(\/|$)/.test(value)

function matchOf({ pattern }: Branch, values: Values | undefined): SourceMatch {
  const { source, names } = pattern as Pattern
  const found: [string, string][] = []
  let last = values
  for (const name of names.toReversed()) {
    found.unshift([name, last?.value as string])
    last = last?.before
  }
  return { source, params: Object.fromEntries(found) }
}

function childOf(branch: Branch, segment: string): Branch {
  const known = segment[0] === ':' ? branch.any : segment[0] === '*' ? branch.rest : branch.fixed.get(segment)
  if (known) return known
  const child: Branch = { fixed: new Map() }
  if (segment[0] === ':') branch.any = child
  else if (segment[0] === '*') branch.rest = child
  else branch.fixed.set(segment, child)
  return child
}

/**
 * The rule that a source with parameters breaks, as what follows "must", or `undefined` when it breaks none.
 * Names are told apart in any case: functions may read them from variables and headers.
 */
export function faultOfSource(source: string): string | undefined {
  const segments = segmentsOf(source)
  const names = segments.filter(isParam).map((segment) => segment.slice(1))
  if (!names.every((name) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)))
    return 'name a segment that begins with ":" or "*" with letters, digits and "_", no digit first'
  if (new Set(names.map((name) => name.toLowerCase())).size < names.length)
    return 'name its parameters differently, in any case'
  if (segments.slice(0, -1).some((segment) => segment[0] === '*'))
    return 'have a segment that begins with "*" at its end only'
  return undefined
}

/**
 * A source with its parameters' names left out: equal for sources that take the same paths. `undefined` for one
 * without parameters, as one is that breaks their rules: such a one, stored before there were rules, is a plain path.
 */
export function shapeOf(source: string): string | undefined {
  const segments = segmentsOf(source)
  if (!segments.some(isParam) || faultOfSource(source) !== undefined) return undefined
  return segments.map((segment) => (isParam(segment) ? `/${segment[0]}` : `/${segment}`)).join('')
}

/** Of a source, which begins with a slash. */
const segmentsOf = (source: string): string[] => source.split('/').slice(1)

const isParam = (segment: string): boolean => segment[0] === ':' || segment[0] === '*'

function decode(text: string): string | undefined {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
