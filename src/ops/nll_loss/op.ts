// Negative log likelihood: from log probabilities x[N, C, ...] and classes target[N, ...], -x[n, class, ...] * weight[class],
// as it is, summed, or as a weighted mean, in the order of the targets. Targets that are `ignore`, or no class, count
// nothing.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { type Node, sameShape, type TensorType } from '../../ir/graph.ts'
import type { Attrs, OnnxNode, Op } from '../../ir/op.ts'
import { count } from '../../loops/ir.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { numberAttr, stringAttr } from '../onnx.ts'
import { expectDtype } from '../quant.ts'
import { operands, reading } from '../tflite.ts'
import { lower } from './lower.ts'

export type NllLoss = Attrs & { readonly reduction: 'none' | 'sum' | 'mean'; readonly ignore?: number }

/** x as [N, C, positions]. */
export function viewOf(x: TensorType): number[] {
  return [x.shape[0], x.shape[1], count(x.shape.slice(2))]
}

function infer([, target]: readonly (TensorType | undefined)[], { reduction }: NllLoss): TensorType[] {
  return [{ dtype: 'f32', shape: reduction === 'none' ? target!.shape : [] }]
}

/** The attributes of the file formats' losses. */
export function lossAttrs(node: OnnxNode): NllLoss {
  const where = reading('nll_loss', node)
  const reduction = stringAttr(node, 'reduction', 'mean')
  if (reduction !== 'none' && reduction !== 'sum' && reduction !== 'mean')
    throw new ModelError(where, `reduction is ${reduction}, supported are none, sum and mean`)
  const given = typeof node.attrs.ignore_index === 'number'
  return { reduction, ...(given && { ignore: numberAttr(node, 'ignore_index', 0) }) }
}

/**
 * -x[n, target[n, ...], ...] * weight[target], as it is (`reduction: 'none'`), summed, or divided by the sum of the
 * weights (`mean`). x[N, C, ...] f32, target[N, ...] i32 or i64, weight[C] f32 (optional). Targets equal to `ignore`,
 * or outside, give 0. ONNX NegativeLogLikelihoodLoss.
 */
export const nllLoss: Op<NllLoss> = {
  name: 'nll_loss',
  spelled: {
    onnx: [
      {
        name: 'NegativeLogLikelihoodLoss',
        read: (build, node) => build.add(nllLoss, operands(node, 2, 'nll_loss'), lossAttrs(node), node.result),
      },
    ],
  },
  infer,

  check(node) {
    const where = layer(node)
    expectInputs(node, 2, 3)
    const [x, target, weight] = node.inputs.map((v) => v?.type)
    expectDtype(x!, ['f32'], 'input', where)
    expectDtype(target!, ['i32', 'i64'], 'target', where)
    const positions = [...x!.shape.slice(0, 1), ...x!.shape.slice(2)]
    if (x!.shape.length < 2 || !sameShape(target!.shape, positions))
      throw new ModelError(
        where,
        `target is [${target!.shape}], input is [${x!.shape}], expected [N, C, ...] and [N, ...]`,
      )
    if (weight) {
      expectDtype(weight, ['f32'], 'weight', where)
      if (count(weight.shape) !== x!.shape[1])
        throw new ModelError(where, `weight has ${count(weight.shape)} elements, input has ${x!.shape[1]} classes`)
    }
    expectOutputs(node, infer([x, target], node.attrs))
  },

  eval(node: Node<NllLoss>, [x, target, weight]) {
    const f = Math.fround
    const [N, C, S] = viewOf(node.inputs[0]!.type)
    const { reduction, ignore } = node.attrs
    const losses = new Float32Array(N * S)
    let [sum, weights] = [0, 0]
    for (let i = 0; i < N * S; i++) {
      const t = Number(target![i])
      if (t < 0 || t >= C || t === ignore) continue
      const w = weight ? (weight[t] as number) : 1
      losses[i] = -f((x as Float32Array)[(Math.floor(i / S) * C + t) * S + (i % S)] * w)
    }
    for (let i = 0; i < N * S; i++) {
      const t = Number(target![i])
      sum = f(sum + losses[i])
      weights = f(weights + (t < 0 || t >= C || t === ignore ? 0 : weight ? (weight[t] as number) : 1))
    }
    if (reduction === 'none') return [losses]
    return [Float32Array.of(reduction === 'sum' ? sum : f(sum / weights))]
  },

  lower,
  cost: (node) => costOf(node, 0),
}
