// The gradients of layers some of whose channels have weights of their own: what learns is these, from those channels of the
// input alone, which is all of it that is kept.

import type { Builder } from '../ir/build.ts'
import type { Node, Value } from '../ir/graph.ts'
import type { Attrs } from '../ir/op.ts'
import { gather } from '../ops/gather/op.ts'
import { convInputGradient, convWeightGradient } from '../ops/gradients/window.ts'
import { indexAdd } from '../ops/partial/index_add.ts'
import type { Partial } from '../ops/partial/part.ts'
import type { Window } from '../ops/window.ts'
import { type Grad, outer } from './shape_rules.ts'
import { termsOf } from './terms.ts'

/** `x[..., channels]`. */
export function channelsOf(build: Builder, x: Value, channels: readonly number[]): Value {
  const indices = build.const('channels', { dtype: 'i32', shape: [channels.length] }, Int32Array.from(channels))
  return build.one(gather, [x, indices], { axis: x.type.shape.length - 1, batchDims: 0 })
}

/** `through` gives the gradient of the sums from that of the result. */
export function partialGrad<A extends Attrs & Window>(
  through: (build: Builder, node: Node, g: Value) => Value,
  depthwise: boolean,
): Grad<Partial<A>> {
  return (build, node, [dy], wanted) => {
    const [x, w, b, part, own] = node.inputs as Value[]
    const { stride, dilation, pad, channels } = node.attrs
    const g = through(build, node as unknown as Node, dy!)
    const sums = depthwise ? channelsOf(build, g, channels) : g
    const window = { stride, dilation, pad, depthwise }
    const groups = depthwise ? { all: x.type.shape[3], own: channels.length } : { all: 1, own: 1 }
    const ofInput = (from: Value, weights: Value, like: Value, n: number) =>
      build.one(convInputGradient, [from, weights], { ...window, groups: n, shape: like.type.shape })
    const { sum, shaped } = termsOf(build)
    return [
      wanted[0]
        ? build.one(indexAdd, [ofInput(g, w, x, groups.all), ofInput(sums, own, part, groups.own)], { channels })
        : undefined,
      undefined,
      wanted[2] ? shaped(sum(g, outer(g)), b.type.shape) : undefined,
      undefined,
      wanted[4]
        ? build.one(convWeightGradient, [part, sums], { ...window, groups: groups.own, shape: own.type.shape })
        : undefined,
    ]
  }
}
