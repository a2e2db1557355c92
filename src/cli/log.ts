import pino, { type LoggerOptions } from 'pino'
import { SluiceError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { readEnvironment } from '../host/config.ts'
import { type Io, paint, printable } from './io.ts'

const LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const

/** Levels by name, times for people, nothing about the process. */
const FORMAT: LoggerOptions = {
  base: null,
  timestamp: pino.stdTimeFunctions.isoTime,
  formatters: { level: (level) => ({ level }) },
}

/** A log on stderr: lines for people on a terminal, JSON for programs otherwise. Its level is `FN_LOG_LEVEL`. */
export function openLog(io: Io, level: string = readEnvironment(io.env).logLevel): Logger {
  if (!LEVELS.some((known) => known === level)) {
    throw new SluiceError('invalid', `log level ${level} is unknown`, {
      detail: `use one of ${LEVELS.join(', ')}`,
    })
  }
  const options = { ...FORMAT, level }
  return pino(options, {
    write: (line: string) => void io.stderr.write(io.isTTY.stderr ? forPeople(io, line) : line),
  })
}

/** The same as JSON lines at the end of a file, everything but `debug`. */
export function openLogFile(path: string): Logger {
  return pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: path, sync: true }),
  )
}

interface Line {
  readonly level: string
  readonly time: string
  readonly msg: string
  readonly user_log?: boolean
  readonly app_name?: string
  readonly fn_name?: string
  readonly [field: string]: unknown
}

/** `12:00:01 app/fn 01CALL │ what it printed` for a function's own line, the message and its fields for ours. */
function forPeople(io: Io, json: string): string {
  const { level, time, msg, user_log, ...fields } = JSON.parse(json) as Line
  const at = paint(io, 'stderr', 'dim', time.slice(11, 19))
  if (user_log) {
    const { app_name, fn_name, call_id } = fields
    const call = call_id === undefined ? '' : ` ${paint(io, 'stderr', 'dim', String(call_id))}`
    return `${at} ${app_name}/${fn_name}${call} │ ${printable(msg)}\n`
  }
  const label = level === 'info' ? '' : `${paint(io, 'stderr', level === 'error' ? 'red' : 'yellow', level)} `
  const rest = Object.entries(fields).filter(([, value]) => value !== undefined && value !== '')
  const shown = rest.map(([key, value]) => `${key}=${printable(String(value))}`).join(' ')
  return `${at} ${label}${printable(msg)} ${paint(io, 'stderr', 'dim', shown)}\n`
}
