import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { CallObserver, CallWatch } from './call-record.ts'

/** Writes down the calls that failed, and why. What a caller did not get to hear is here. */
export function callLog(log: Logger): CallObserver {
  const watch: CallWatch = {
    end({ id, resolved, error }) {
      if (!error) return
      const fields = { call_id: id, fn_id: resolved?.definition.fn.id, code: error.code }
      if (error.code === 'internal')
        log.error({ ...fields, error: messageOf(error.cause), cause: String(error.cause) }, 'call failed')
      else log.info({ ...fields, detail: error.detail }, `call failed: ${error.message}`)
    },
  }
  return { begin: () => watch }
}
