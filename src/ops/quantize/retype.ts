// The same stored elements with another quantisation, or none: how integers of a file that keeps scales apart from
// tensors meet operators that read them from the type. No element changes.

import { layer } from '../../ir/build.ts'
import type { Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count } from '../../loops/ir.ts'
import { costOf, expectInputs, expectOutputs, outputElem } from '../check.ts'
import { shaped } from '../elementwise.ts'
import { expectDtype } from '../quant.ts'

/** What the elements mean is in the output's type. */
export type Retype = Record<string, never>

/**
 * The same stored elements with the quantisation of the output's type, or none. i8, u8, i16, i32. No file has it:
 * ONNX's quantised operators are read with it.
 */
export const retype: Op<Retype> = {
  name: 'retype',
  spelled: {},
  infer: ([x]) => [shaped(x!)],

  check(node) {
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    expectDtype(x, ['i8', 'u8', 'i16', 'i32'], 'input', layer(node))
    expectOutputs(node, [shaped(x)])
  },

  eval: (_, [x]) => [x!.slice()],

  lower(node) {
    const [x, y] = [node.inputs[0]!, node.outputs[0]]
    const n = count(y.type.shape)
    const X = L.buffer('x', outputElem(node), [n])
    const Y = L.buffer('y', outputElem(node), [n], 'write')
    return {
      kernel: L.kernel(
        'copy',
        [X, Y],
        L.parallel('i', n, (i) => L.store(Y, [i], L.load(X, i))),
      ),
      args: [{ value: x }, { value: y }],
    }
  },

  cost: (node) => costOf(node, 0),
  inPlace: () => [0],
  permute: ({ attrs }, perm) => ({ attrs, perm }),
}
