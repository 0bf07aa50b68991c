// How the nodes of a training step go by channels: what of each input and output belongs to some of the channels of a wide tensor,
// and the attributes of the node on these alone. A rule for each operator; nodes of others are not cut.

import type { Node, Value } from '../ir/graph.ts'
import type { Attrs, Op } from '../ir/op.ts'
import { count } from '../loops/ir.ts'
import { type Conv2d, conv2d } from '../ops/conv2d/op.ts'
import { depthwiseConv2d } from '../ops/depthwise/op.ts'
import { convInputGradient, type WindowGradient } from '../ops/gradients/window.ts'
import { type QasSgd, qasSgd } from '../ops/optimizer/qas.ts'
import { type QasSgdWindow, qasSgdWindow } from '../ops/optimizer/qas_window.ts'
import { indexCopy } from '../ops/partial/index_copy.ts'
import { maskGradient } from '../ops/qas/mask_gradient.ts'
import { maskedConv2d, maskedDepthwiseConv2d } from '../ops/qas/masked.ts'
import { type Reduce, sum } from '../ops/reduce/op.ts'
import { reshape } from '../ops/shape/reshape.ts'

/** A node on some channels. */
export interface Cut {
  /** The axis of each input along which it has the channels; undefined for what is read whole. */
  readonly inputs: readonly (number | undefined)[]
  /** The same of outputs; a `mask` has a bit for each element of output 0, a `sum` runs over the channels. */
  readonly outputs: readonly (number | 'mask' | 'sum')[]
  attrs(from: number, to: number): Attrs
}

/** How `node` goes by the channels of the values `wide`; undefined where it does not. */
type Rule<A extends Attrs = Attrs> = (node: Node<A>, wide: ReadonlySet<Value>) => Cut | undefined

const last = (v: Value) => v.type.shape.length - 1

/** `shape` with `extent` along `axis`. */
export function resized(shape: readonly number[], axis: number, extent: number): number[] {
  return shape.map((d, i) => (i === axis ? extent : d))
}

/** `scale` for slices `from` to `to` - 1 of `axis`. */
function scalesOf(
  a: { readonly scale: readonly number[]; readonly axis: number },
  axis: number,
  from: number,
  to: number,
) {
  return a.scale.length === 1 || a.axis !== axis ? a.scale : a.scale.slice(from, to)
}

/** Of what makes wide tensors from others. */
const widening: Rule<Conv2d> = ({ attrs, inputs, outputs }, wide) => {
  if (attrs.groups !== 1 || wide.has(inputs[0]!) || !wide.has(outputs[0])) return undefined
  return {
    inputs: [undefined, 0, 0].slice(0, inputs.length),
    outputs: outputs.map((_, i) => (i ? 'mask' : 3)),
    attrs: () => attrs,
  }
}

/** Of weights put together, by their output channels. */
const together: Rule = ({ attrs }) => ({ inputs: [0, 0], outputs: [0], attrs: () => attrs })

const alongside: Rule = ({ attrs, inputs, outputs }) => {
  if (last(inputs[0]!) !== 3 || inputs[0]!.type.shape[3] !== outputs[0].type.shape[3]) return undefined
  return {
    inputs: [3, 3, 0].slice(0, inputs.length),
    outputs: outputs.map((_, i) => (i ? 'mask' : 3)),
    attrs: () => attrs,
  }
}

const inputGradient: Rule<WindowGradient> = ({ attrs, inputs, outputs: [dx] }, wide) => {
  const [g, w] = inputs as [Value, Value]
  const { groups, depthwise, shape } = attrs
  if (inputs.length !== 2 || shape.length !== 4) return undefined
  const narrowed = (from: number, to: number) => resized(shape, 3, to - from)
  if (depthwise)
    return shape[3] === g.type.shape[3]
      ? {
          inputs: [3, 3],
          outputs: [3],
          attrs: (from, to) => ({ ...attrs, groups: to - from, shape: narrowed(from, to) }),
        }
      : undefined
  if (groups !== 1 || wide.has(g) === wide.has(dx)) return undefined
  if (wide.has(g)) return { inputs: [3, 0], outputs: ['sum'], attrs: () => attrs }
  return { inputs: [undefined, last(w)], outputs: [3], attrs: (from, to) => ({ ...attrs, shape: narrowed(from, to) }) }
}

const windowUpdate: Rule<QasSgdWindow> = ({ attrs, inputs }, wide) => {
  const [, x, g] = inputs as [Value, Value, Value]
  const { groups, depthwise, shape } = attrs
  if (attrs.part || shape.length !== 4 || (groups !== 1 && !depthwise)) return undefined
  const on = [x, g].map((v) => wide.has(v))
  if (depthwise ? on.includes(false) || shape[3] !== groups : on[0] === on[1]) return undefined
  const axis = depthwise || on[0] ? 3 : 0
  return {
    inputs: [undefined, on[0] ? 3 : undefined, on[1] ? 3 : undefined, undefined, undefined],
    outputs: [],
    attrs: (from, to) => ({
      ...attrs,
      ...(depthwise && { groups: to - from }),
      shape: resized(shape, axis, to - from),
      scale: scalesOf(attrs, axis, from, to),
      part: { axis, from },
    }),
  }
}

/** Of the elements of a vector. */
const vectorUpdate: Rule<QasSgd> = ({ attrs, inputs }) =>
  attrs.part || inputs[0]!.type.shape.length !== 1
    ? undefined
    : {
        inputs: [undefined, 0, undefined, undefined],
        outputs: [],
        attrs: (from, to) => ({ ...attrs, scale: scalesOf(attrs, 0, from, to), part: { axis: 0, from } }),
      }

const throughMask: Rule = ({ attrs, inputs: [g, , factor], outputs }) => ({
  inputs: [last(g!), 0, count(factor!.type.shape) === 1 ? undefined : 0],
  outputs: [last(outputs[0])],
  attrs: () => attrs,
})

const sumOverPixels: Rule<Reduce> = ({ attrs, inputs: [x], outputs: [y] }) =>
  attrs.keepDims && attrs.axes.every((a) => a >= 0 && a < last(x!))
    ? { inputs: [last(x!)], outputs: [last(y)], attrs: () => attrs }
    : undefined

const asVector: Rule = ({ inputs: [x], outputs: [y] }) => {
  const [from, to] = [x!, y].map((v) => v.type.shape)
  if (count(from) !== from.at(-1) || count(to) !== to.at(-1)) return undefined
  return { inputs: [last(x!)], outputs: [last(y)], attrs: (a, b) => ({ shape: resized(to, last(y), b - a) }) }
}

const rule = <A extends Attrs>(op: Op<A>, of: Rule<A>): [object, Rule] => [op, of as unknown as Rule]

const RULES: ReadonlyMap<object, Rule> = new Map<object, Rule>([
  rule(conv2d, widening),
  rule(maskedConv2d, widening),
  rule(indexCopy as unknown as Op, together),
  rule(depthwiseConv2d as unknown as Op, alongside),
  rule(maskedDepthwiseConv2d as unknown as Op, alongside),
  rule(convInputGradient, inputGradient),
  rule(maskGradient, throughMask),
  rule(sum, sumOverPixels),
  rule(reshape as unknown as Op, asVector),
  rule(qasSgd, vectorUpdate),
  rule(qasSgdWindow, windowUpdate),
])

/** How `node`, which reads or computes values of `wide`, goes by their channels; undefined where it cannot. */
export function cutOf(node: Node, wide: ReadonlySet<Value>): Cut | undefined {
  return RULES.get(node.op)?.(node, wide)
}
