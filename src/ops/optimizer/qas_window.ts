// The weights of an int8 convolution or fully connected layer learn in place, each from its own gradient as soon as that is
// summed: the gradient of the weights is never kept.

import { bug } from '../../errors.ts'
import type { Node, Value } from '../../ir/graph.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import type { Elem, Expr } from '../../loops/ir.ts'
import { mapStmt } from '../../loops/walk.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { convWeightGradient, imagesOf, type WindowGradient } from '../gradients/window.ts'
import { partBuffer, type QasSgd, qasSgd, storedUpdate } from './qas.ts'

export type QasSgdWindow = Attrs & WindowGradient & QasSgd

/** The same as two nodes: the gradient, and the update by it. */
function apart(node: Node<QasSgdWindow>): { gradient: Node<WindowGradient>; update: Node<QasSgd> } {
  const [param, x, g, rate, step] = node.inputs
  const whole: Value = { name: 'gradient', type: { dtype: 'f32', shape: node.attrs.shape }, storage: 'temp' }
  return {
    gradient: { ...node, op: convWeightGradient, inputs: [x, g], outputs: [whole] },
    update: { ...node, op: qasSgd, inputs: [param, whole, rate, step], outputs: [] },
  }
}

/**
 * `qasSgd` by the gradient that `convWeightGradient` computes, the same bits. Inputs: param (i8), x and the gradient of the
 * layer's sums (f32), rate (f32, one element) and the number of the step (i32, one element).
 */
export const qasSgdWindow: Op<QasSgdWindow> = {
  name: 'qas_sgd_window',
  spelled: {},
  infer: () => [],

  check(node) {
    expectInputs(node, 5)
    expectOutputs(node, [])
    const { gradient, update } = apart(node)
    convWeightGradient.check(gradient)
    qasSgd.check(update)
  },

  /** Changes the data of the param. */
  eval(node, [param, x, g, rate, step]) {
    const { gradient, update } = apart(node)
    return qasSgd.eval(update, [param, ...convWeightGradient.eval(gradient, [x, g]), rate, step])
  },

  lower(node) {
    const { gradient, update } = apart(node)
    const { shape, scale, axis } = node.attrs
    const { kernel, args } = convWeightGradient.lower(gradient)
    const D = kernel.bufs.at(-1) ?? bug('a gradient is written nowhere')
    const param = node.inputs[0]!
    const u = storedUpdate(update)
    const image = (d: number) => (shape.length === 4 || d === 0 ? d : 3)
    const along = image(axis)
    const part = node.attrs.part && { ...node.attrs.part, axis: image(node.attrs.part.axis) }
    const whole = L.buffer('p', param.type.dtype as Elem, imagesOf(shape), 'write')
    const {
      buf: P,
      arg,
      at,
    } = part
      ? partBuffer(param, imagesOf(shape), imagesOf(param.type.shape), part)
      : { buf: whole, arg: { value: param }, at: (i: readonly Expr[]) => i }
    const body = mapStmt(
      kernel.body,
      (e) => e,
      (s) =>
        s.s === 'store' && s.buf === D.name
          ? L.block(...u.element(P, at(s.at), scale.length === 1 ? L.int(0) : s.at[along], s.value))
          : s,
    )
    return {
      kernel: L.kernel(
        `qas_sgd_window_${part ? 'part_' : ''}${node.attrs.rounding}`,
        [...kernel.bufs.slice(0, -1), ...u.bufs, P],
        ...u.head,
        body,
      ),
      args: [...args.slice(0, -1), ...u.args, arg],
    }
  },

  cost: (node) => costOf(node, convWeightGradient.cost(apart(node).gradient).macs),
  writesState: true,
}
