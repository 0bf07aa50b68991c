// Batch normalisation as it is used at inference: x[N, C, ...] * factor + shift for each channel, with factor = scale /
// sqrt(variance + epsilon) and shift = bias - mean * factor, every step in float32. Where all four are constants, a file's
// operator is read as a product and a sum with the same bits.

import { ModelError } from '../../errors.ts'
import { type Builder, layer } from '../../ir/build.ts'
import type { Node, Value } from '../../ir/graph.ts'
import type { Attrs, Call, OnnxNode, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count } from '../../loops/ir.ts'
import { add, mul, sub } from '../binary/op.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { inner } from '../conv2d/onnx.ts'
import { shaped } from '../elementwise.ts'
import { numberAttr } from '../onnx.ts'
import { parameters } from '../parameters.ts'
import { expectDtype } from '../quant.ts'
import { mean } from '../reduce/op.ts'
import { reshape } from '../shape/reshape.ts'
import { operand, reading } from '../tflite.ts'

export type BatchNorm = Attrs & { readonly epsilon: number }

/** The factor and the shift of each channel, from scale, bias, mean and variance. */
function affine(epsilon: number, [scale, bias, mean, variance]: readonly Float32Array[]) {
  const f = Math.fround
  const factor = scale.map((s, c) => f(s / f(Math.sqrt(f(variance[c] + f(epsilon))))))
  return { factor, shift: bias.map((b, c) => f(b - f(mean[c] * factor[c]))) }
}

function view(x: Value): number[] {
  const [N, C, ...rest] = x.type.shape
  return [N, C, count(rest)]
}

function lower(node: Node<BatchNorm>): Call {
  const [x, ...channel] = node.inputs as Value[]
  const shape = view(x)
  const p = parameters('p', 'f32', { epsilon: node.attrs.epsilon })
  const X = L.buffer('x', 'f32', shape)
  const Y = L.buffer('y', 'f32', shape, 'write')
  const bufs = ['scale', 'bias', 'mean', 'variance'].map((name) => L.buffer(name, 'f32', [shape[1]]))
  const body = L.loops(['n', 'c'], shape.slice(0, 2), (n, c) => {
    const [scale, bias, mean, variance] = bufs.map((buf) => L.load(buf, c))
    const [declareFactor, factor] = L.declare('factor', L.op('div', scale, L.op('sqrt', L.add(variance, p.of.epsilon))))
    const [declareShift, shift] = L.declare('offset', L.op('sub', bias, L.mul(mean, factor)))
    return [
      declareFactor,
      declareShift,
      L.parallel('i', shape[2], (i) => L.store(Y, [n, c, i], L.add(L.mul(L.load(X, n, c, i), factor), shift))),
    ]
  })
  return {
    kernel: L.kernel('batch_norm', [X, ...bufs, ...p.bufs, Y], ...p.head, body),
    args: [{ value: x }, ...channel.map((value) => ({ value })), ...p.args, { value: node.outputs[0] }],
  }
}

/** With training_mode: normalised by the batch's own statistics, and the running ones moved towards them by 1 - momentum. */
function ofBatch(
  build: Builder,
  node: OnnxNode,
  x: Value,
  [scale, bias, ...running]: readonly Value[],
  epsilon: number,
): Value[] {
  const C = x.type.shape[1] ?? 1
  const reduced = { axes: x.type.shape.map((_, d) => d).filter((d) => d !== 1), keepDims: true }
  const flat = (v: Value, what: string) => build.one(reshape, [v], { shape: [C] }, inner(node, what))
  const average = build.one(mean, [x], reduced, inner(node, 'mean'))
  const centred = build.one(sub, [x, average], { clamp: {} }, inner(node, 'centred'))
  const squares = build.one(mul, [centred, centred], { clamp: {} }, inner(node, 'squares'))
  const statistics = [average, build.one(mean, [squares], reduced, inner(node, 'variance'))].map((v, i) =>
    flat(v, `batch_${i}`),
  )
  const y = build.one(
    batchNorm,
    [x, scale, bias, ...statistics],
    { epsilon },
    { ...node.result, names: node.result.names?.slice(0, 1) },
  )
  const momentum = Math.fround(numberAttr(node, 'momentum', 0.9))
  const part = (v: Value, share: number, what: string) => {
    const factor = build.const(
      inner(node, `${what}_share`).names[0],
      { dtype: 'f32', shape: [1] },
      Float32Array.of(share),
    )
    return build.one(mul, [v, factor], { clamp: {} }, inner(node, what))
  }
  const moved = running
    .slice(0, node.outputs - 1)
    .map((v, i) =>
      build.one(
        add,
        [part(v, momentum, `kept_${i}`), part(statistics[i], 1 - momentum, `new_${i}`)],
        { clamp: {} },
        { from: node.result.from, names: [node.result.names?.[i + 1] || inner(node, `running_${i}`).names[0]] },
      ),
    )
  return [y, ...moved]
}

/**
 * (x - mean) / sqrt(variance + epsilon) * scale + bias for each channel, as one product and one sum. Inputs x[N, C,
 * ...], scale, bias, mean and variance of C elements each, all f32. ONNX BatchNormalization at inference.
 */
export const batchNorm: Op<BatchNorm> = {
  name: 'batch_norm',

  spelled: {
    onnx: [
      {
        name: 'BatchNormalization',
        read(build, node) {
          const where = reading('batch_norm', node)
          const x = operand(node, 0, 'input', where)
          const epsilon = numberAttr(node, 'epsilon', 1e-5)
          const given = ['scale', 'bias', 'mean', 'variance'].map((what, i) => operand(node, i + 1, what, where))
          if (numberAttr(node, 'training_mode', 0) !== 0) return ofBatch(build, node, x, given, epsilon)
          if (node.outputs > 1)
            throw new ModelError(where, `has ${node.outputs} outputs, without training_mode there is 1`)
          const C = x.type.shape[1] ?? 1
          const constant = given.every((v) => v.storage === 'const' && v.type.dtype === 'f32' && v.data?.length === C)
          if (!constant || x.type.dtype !== 'f32') return build.add(batchNorm, [x, ...given], { epsilon }, node.result)
          const { factor, shift } = affine(
            epsilon,
            given.map((v) => v.data as Float32Array),
          )
          const type = { dtype: 'f32', shape: [C, ...x.type.shape.slice(2).map(() => 1)] } as const
          const name = node.result.names?.[0] ?? node.result.from ?? 'batch_norm'
          const scaled = build.one(
            mul,
            [x, build.const(`${name}/factor`, type, factor)],
            { clamp: {} },
            {
              from: node.result.from,
              names: [`${name}/scaled`],
            },
          )
          return build.add(add, [scaled, build.const(`${name}/shift`, type, shift)], { clamp: {} }, node.result)
        },
      },
    ],
  },

  infer: ([x]) => [shaped(x!)],

  check(node) {
    const where = layer(node)
    expectInputs(node, 5)
    const [x, ...channel] = (node.inputs as Value[]).map((v) => v.type)
    if (x.shape.length < 2) throw new ModelError(where, `input is [${x.shape}], expected 2 dimensions or more`)
    expectDtype(x, ['f32'], 'input', where)
    channel.forEach((t, i) => {
      expectDtype(t, ['f32'], `input ${i + 1}`, where)
      if (count(t.shape) !== x.shape[1])
        throw new ModelError(where, `input ${i + 1} has ${count(t.shape)} elements, input 0 has ${x.shape[1]} channels`)
    })
    expectOutputs(node, [shaped(x)])
  },

  eval(node, [x, ...channel]) {
    const [, C, rest] = view(node.inputs[0]!)
    const { factor, shift } = affine(node.attrs.epsilon, channel as Float32Array[])
    const of = (i: number) => Math.floor(i / rest) % C
    return [(x as Float32Array).map((v, i) => Math.fround(Math.fround(v * factor[of(i)]) + shift[of(i)]))]
  },

  lower,
  cost: (node) => costOf(node, count(node.outputs[0].type.shape)),
  inPlace: () => [0],
}
