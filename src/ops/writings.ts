// How operators whose readings in .onnx are several nodes of ours are written there: images turn from [N, H, W, C] to
// ONNX's [N, C, H, W] and back, clamps that were fused stand on their own. Reading that back gives the same bits.
// Source: the ONNX standard, operator set 20.

import type { Node, TensorType, Value } from '../ir/graph.ts'
import type { Attrs, OnnxAttr, OnnxRecord, Op } from '../ir/op.ts'
import { count } from '../loops/ir.ts'
import { type Arg, argmax, argmin } from './arg/op.ts'
import { add, type Binary, div, mul, sub } from './binary/op.ts'
import { clamp } from './clamp/op.ts'
import { conv2d } from './conv2d/op.ts'
import { depthwiseConv2d } from './depthwise/op.ts'
import { expand } from './expand/op.ts'
import { fullyConnected } from './fully_connected/op.ts'
import { gather } from './gather/op.ts'
import { logSoftmax } from './log_softmax/op.ts'
import { matmul } from './matmul/op.ts'
import { averagePool2d, maxPool2d, type Pool } from './pool/op.ts'
import type { Clamp } from './quant.ts'
import { concat } from './shape/concat.ts'
import { pad } from './shape/pad.ts'
import { reshape } from './shape/reshape.ts'
import { transpose } from './shape/transpose.ts'
import { slice } from './slice/op.ts'
import { softmax } from './softmax/op.ts'

/** Writes one node as several: each `add` computes a value of its own, `last` the node's output. */
class Parts {
  readonly records: OnnxRecord[] = []
  private readonly node: Node

  constructor(node: Node) {
    this.node = node
  }

  add(name: string, inputs: OnnxRecord['inputs'], attrs: OnnxRecord['attrs'] = {}): Value {
    const out: Value = {
      name: `${this.node.outputs[0].name}/${name.toLowerCase()}`,
      type: this.node.outputs[0].type,
      storage: 'temp',
    }
    this.records.push({ name, inputs, attrs, outputs: [out] })
    return out
  }

  last(name: string, inputs: OnnxRecord['inputs'], attrs: OnnxRecord['attrs'] = {}): readonly OnnxRecord[] {
    return [...this.records, { name, inputs, attrs }]
  }

  longs(what: string, values: readonly number[]): Value {
    return this.constant(what, { dtype: 'i64', shape: [values.length] }, BigInt64Array.from(values, BigInt))
  }

  float(what: string, value: number): Value {
    return this.constant(what, { dtype: 'f32', shape: [] }, Float32Array.of(value))
  }

  /** The node's output: `v`, turned by `perm`, within the limits of `clamp`. */
  finish(v: Value, limits: Clamp, turn?: readonly number[]): readonly OnnxRecord[] {
    const { min, max } = limits
    if (min === undefined && max === undefined) {
      if (turn) return this.last('Transpose', [v], { perm: turn })
      const made = this.records.pop()!
      return [...this.records, { ...made, outputs: this.node.outputs }]
    }
    const turned = turn ? this.add('Transpose', [v], { perm: turn }) : v
    return this.last('Clip', [
      turned,
      min === undefined ? undefined : this.float('min', min),
      max === undefined ? undefined : this.float('max', max),
    ])
  }

  private constant(what: string, type: TensorType, data: Value['data']): Value {
    return { name: `${this.node.outputs[0].name}/${what}`, type, storage: 'const', data }
  }
}

type Writing = (node: Node) => readonly OnnxRecord[] | undefined

const FIRST = [0, 3, 1, 2]
const LAST = [0, 2, 3, 1]

function writing<A extends Attrs>(
  op: Op<A>,
  write: (parts: Parts, node: Node<A>) => readonly OnnxRecord[] | undefined,
): [string, Writing] {
  return [op.name, (node) => write(new Parts(node), node as unknown as Node<A>)]
}

const isFloat = (node: { readonly inputs: Node['inputs'] }) => node.inputs.every((v) => !v || v.type.dtype === 'f32')

function pooling(name: string) {
  return (parts: Parts, node: Node<Pool>) => {
    const { kernel, stride, pad: pads, dilation, counted, clamp: limits } = node.attrs
    if (!isFloat(node) || (counted && counted.some((p, i) => p !== pads[i]))) return undefined
    const image = parts.add('Transpose', [node.inputs[0]], { perm: FIRST })
    const attrs: Record<string, OnnxAttr> = { kernel_shape: kernel, strides: stride, pads }
    if (dilation) attrs.dilations = dilation
    if (counted) attrs.count_include_pad = 1
    return parts.finish(parts.add(name, [image], attrs), limits, LAST)
  }
}

/** With limits, which ONNX has not: those without are in the operators' own spellings. */
function limited(name: string) {
  return (parts: Parts, node: Node<Binary>) =>
    isFloat(node) && !node.attrs.scaling ? parts.finish(parts.add(name, node.inputs), node.attrs.clamp) : undefined
}

/** Positions are i64 in ONNX. */
function position(name: string) {
  return (parts: Parts, node: Node<Arg>) => {
    const { axis, keepDims, last, dtype } = node.attrs
    const attrs = { axis, keepdims: Number(keepDims), select_last_index: Number(last) }
    if (dtype === 'i64') return parts.last(name, node.inputs, attrs)
    return parts.last('Cast', [parts.add(name, node.inputs, attrs)], { to: 6 })
  }
}

/** By the name of the operator. */
export const ONNX_WRITINGS: ReadonlyMap<string, Writing> = new Map([
  writing(conv2d, (parts, node) => {
    const [x, w, b] = node.inputs
    const { stride, dilation, pad: pads, clamp: limits, groups } = node.attrs
    if (!isFloat(node)) return undefined
    const image = parts.add('Transpose', [x], { perm: FIRST })
    const weight = parts.add('Transpose', [w], { perm: FIRST })
    const attrs = { strides: stride, dilations: dilation, pads, group: groups }
    return parts.finish(parts.add('Conv', [image, weight, b], attrs), limits, LAST)
  }),
  writing(depthwiseConv2d, (parts, node) => {
    const [x, w, b] = node.inputs
    const { stride, dilation, pad: pads, clamp: limits } = node.attrs
    if (!isFloat(node)) return undefined
    const image = parts.add('Transpose', [x], { perm: FIRST })
    const weight = parts.add('Transpose', [w], { perm: [3, 0, 1, 2] })
    const attrs = { strides: stride, dilations: dilation, pads, group: x!.type.shape[3] }
    return parts.finish(parts.add('Conv', [image, weight, b], attrs), limits, LAST)
  }),
  writing(fullyConnected, (parts, node) => {
    const [x, w, b] = node.inputs
    if (!isFloat(node) || w!.storage !== 'const' || (b && b.storage !== 'const')) return undefined
    const [N, K] = w!.type.shape
    const { shape } = node.outputs[0].type
    const flat = x!.type.shape.length === 2 && x!.type.shape[1] === K
    const rows = flat
      ? x
      : parts.add('Reshape', [x, parts.longs('rows', [count(x!.type.shape) / K, K])], { allowzero: 1 })
    const y = parts.add('Gemm', [rows, w, b], { transB: 1 })
    const plain = shape.length === 2 && shape[1] === N
    const shaped = plain ? y : parts.add('Reshape', [y, parts.longs('shape', shape)], { allowzero: 1 })
    return parts.finish(shaped, node.attrs.clamp)
  }),
  writing(matmul, (parts, node) => {
    const { transA, transB } = node.attrs
    if (!isFloat(node)) return undefined
    const [a, b] = node.inputs.map((v, i) => {
      if (!(i === 0 ? transA : transB)) return v
      const rank = v!.type.shape.length
      const perm = v!.type.shape.map((_, d) => (d < rank - 2 ? d : 2 * rank - 3 - d))
      return parts.add('Transpose', [v], { perm })
    })
    return parts.last('MatMul', [a, b])
  }),
  writing(add, limited('Add')),
  writing(sub, limited('Sub')),
  writing(mul, limited('Mul')),
  writing(div, limited('Div')),
  writing(argmax, position('ArgMax')),
  writing(argmin, position('ArgMin')),
  writing(gather, (parts, node) =>
    node.attrs.batchDims === 0 ? parts.last('Gather', node.inputs, { axis: node.attrs.axis }) : undefined,
  ),
  writing(expand, (parts, node) => parts.last('Expand', [node.inputs[0], parts.longs('shape', node.attrs.shape)])),
  writing(averagePool2d, pooling('AveragePool')),
  writing(maxPool2d, pooling('MaxPool')),
  writing(clamp, (parts, node) => {
    const limits = node.attrs as Clamp
    if (!isFloat(node)) return undefined
    if (limits.min === 0 && limits.max === undefined) return parts.last('Relu', [node.inputs[0]])
    return parts.finish(parts.add('Identity', [node.inputs[0]]), limits)
  }),
  writing(softmax, (parts, node) => {
    if (!isFloat(node)) return undefined
    const { beta } = node.attrs
    return beta === 1 ? parts.last('Softmax', [node.inputs[0]], { axis: -1 }) : undefined
  }),
  writing(logSoftmax, (parts, node) =>
    isFloat(node) ? parts.last('LogSoftmax', [node.inputs[0]], { axis: -1 }) : undefined,
  ),
  writing(reshape, (parts, node) =>
    parts.last('Reshape', [node.inputs[0], parts.longs('shape', node.outputs[0].type.shape)], { allowzero: 1 }),
  ),
  writing(transpose, (parts, node) => parts.last('Transpose', [node.inputs[0]], { perm: node.attrs.perm })),
  writing(concat, (parts, node) => parts.last('Concat', node.inputs, { axis: node.attrs.axis })),
  writing(pad, (parts, node) => {
    const { low, high, value } = node.attrs
    if (!isFloat(node)) return undefined
    return parts.last('Pad', [node.inputs[0], parts.longs('pads', [...low, ...high]), parts.float('value', value)])
  }),
  writing(slice, (parts, node) => {
    const { begin, size, step } = node.attrs
    if (step.some((s) => s < 1)) return undefined
    const end = begin.map((b, d) => b + (size[d] - 1) * step[d] + 1)
    const axes = begin.map((_, d) => d)
    const lists = { begin, end, axes, step }
    return parts.last('Slice', [node.inputs[0], ...Object.entries(lists).map(([k, v]) => parts.longs(k, v))])
  }),
])
