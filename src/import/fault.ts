// What readers of model files say where a file is damaged or an operator's reading stumbles over what it holds.

import { ModelError, MoteError } from '../errors.ts'

/** The hint where a file contradicts itself. */
export const DAMAGED = 'the file is damaged: convert the model again'

/** The hint where an operator failed in a way of its own: a fault of mote's, unless the file is damaged. */
export const NOT_UNDERSTOOD = 'if other programs run this model, please report it'

/** Runs an operator's reading: one that stumbles over what the file says has met a model that it does not know. */
export function understood<T>(where: string, details: 'options' | 'attributes', read: () => T): T {
  try {
    return read()
  } catch (e) {
    if (e instanceof MoteError) throw e
    const error = new ModelError(where, `has inputs or ${details} that are not understood (${e})`, NOT_UNDERSTOOD)
    error.cause = e
    throw error
  }
}
