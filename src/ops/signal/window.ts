// Audio times a window, element by element along the last axis, shifted right and saturated: TensorFlow Lite Micro's
// SignalWindow on int16.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count } from '../../loops/ir.ts'
import { numbers } from '../accumulate.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { parameters } from '../parameters.ts'
import { expectDtype } from '../quant.ts'
import { custom, expectWhole, vectorOf } from './custom.ts'

/** `shift`: fractional bits of the window. */
export type Window = Attrs & { readonly shift: number }

/** i16[..., n] times the window i16[n], shifted right by `shift` bits and saturated. TFLite custom SignalWindow. */
export const window: Op<Window> = {
  name: 'window',
  spelled: { tflite: [custom('SignalWindow', () => window, { shift: 'i32' })] },
  infer: ([x]) => [{ dtype: 'i16', shape: x!.shape }],

  check(node) {
    const where = layer(node)
    expectInputs(node, 2)
    const [x, w] = node.inputs.map((v) => v!.type)
    expectDtype(x, ['i16'], 'input', where)
    const n = vectorOf(w, 'i16', 'window', where)
    if (x.shape.at(-1) !== n) throw new ModelError(where, `input is [${x.shape}], the window has ${n} elements`)
    expectWhole(node.attrs.shift, 0, 31, 'shift', where)
    expectOutputs(node, window.infer([x], node.attrs))
  },

  eval({ attrs: { shift } }, [x, w]) {
    const [audio, weights] = [numbers(x), numbers(w)]
    const clamp = (v: number) => Math.max(-32768, Math.min(32767, v))
    return [Int16Array.from(audio, (v, i) => clamp((v * weights[i % weights.length]) >> shift))]
  },

  lower(node) {
    const [x, w] = node.inputs.map((v) => v!)
    const y = node.outputs[0]
    const n = w.type.shape[0]
    const rows = count(x.type.shape) / n
    const X = L.buffer('x', 'i16', [rows, n])
    const W = L.buffer('w', 'i16', [n])
    const Y = L.buffer('y', 'i16', [rows, n], 'write')
    const p = parameters('q', 'i32', { shift: node.attrs.shift })
    const body = L.loops(['r', 'i'], [rows, n], (r, i) => {
      const product = L.op('mul', L.load(X, r, i), L.load(W, i))
      return L.store(Y, [r, i], L.clamp(L.op('shr', product, p.of.shift), -32768, 32767))
    })
    return {
      kernel: L.kernel('window', [X, W, ...p.bufs, Y], ...p.head, body),
      args: [{ value: x }, { value: w }, ...p.args, { value: y }],
    }
  },

  cost: (node) => costOf(node, count(node.outputs[0].type.shape)),
  inPlace: () => [0],
}
