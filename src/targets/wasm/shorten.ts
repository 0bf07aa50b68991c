// Elementwise results (products of two tensors, a tensor's change of scale) in four lanes, requantised in floats wherever
// the value before is bounded by the types of what is loaded and its multiplier is known off-line.

import * as L from '../../loops/build.ts'
import { shortened } from '../armv7em/shorten.ts'
import { lanes } from '../recipes.ts'
import type { Recipe } from '../target.ts'
import { formOf, requantized } from './requantize.ts'

/** Four requantisations in floats. */
export const shorten: Recipe = {
  name: '4 lanes in floats',
  apply(call) {
    const short = shortened(call, (x, channel, output, registers) => {
      if (output.low < -128 || output.high > 127) return undefined
      const form = formOf([channel], output)
      const numbers = form?.channels[0]
      if (!form || !numbers) return undefined
      const [gain, offset, negative] = registers('i32', [form.gain, numbers.offset, numbers.negative])
      const [scale, magic] = registers('f32', [numbers.scale, numbers.magic])
      const sum = L.op('add', L.op('mul', x, gain), offset)
      const value = requantized(sum, { scale, magic, ...(form.signed && { negative }) })
      return L.clamp(value, output.low, output.high)
    })
    return short && lanes.apply(short)
  },
}
