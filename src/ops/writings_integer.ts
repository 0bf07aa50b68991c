// How nodes on tensors with scales are written in .onnx: the tensors are plain integers there, and scales and zero points
// operands of the operators. Written are sums scaled in float32 (QLinearConv and its family) or not at all (ConvInteger),
// what lies between integers and float32, and operators that move elements. The roundings of .tflite's integer arithmetic
// have no operator of ONNX. Source: the ONNX standard; com.microsoft's operators: ONNX Runtime.

import { inputsOf, type Node, sameQuant, type Value } from '../ir/graph.ts'
import type { OnnxRecord } from '../ir/op.ts'
import { count } from '../loops/ir.ts'
import type { Accumulating } from './accumulate.ts'
import { add, type Binary, mul } from './binary/op.ts'
import { clamp } from './clamp/op.ts'
import { conv2d } from './conv2d/op.ts'
import { depthwiseConv2d } from './depthwise/op.ts'
import { expand } from './expand/op.ts'
import type { Scaling } from './float_scale.ts'
import { fullyConnected } from './fully_connected/op.ts'
import { gather } from './gather/op.ts'
import { matmul } from './matmul/op.ts'
import { maxPool2d } from './pool/op.ts'
import { dequantize, pairIsIdentity, quantize } from './quantize/op.ts'
import { retype } from './quantize/retype.ts'
import { concat } from './shape/concat.ts'
import { pad } from './shape/pad.ts'
import { reshape } from './shape/reshape.ts'
import { transpose } from './shape/transpose.ts'
import { slice } from './slice/op.ts'
import type { Window } from './window.ts'
import { FIRST, LAST, ONNX_WRITINGS, type Parts, type Writing, writing } from './writings.ts'

const MICROSOFT = 'com.microsoft'

/** Scale and zero point of a tensor as operands. */
function scaleOf(parts: Parts, v: Value, what: string): [Value, Value] {
  const { scale, zero } = v.type.quant!
  return [parts.numbers(`${what}_scale`, 'f32', scale), parts.numbers(`${what}_zero`, v.type.dtype, zero)]
}

function operandOf(parts: Parts, v: Value, what: string, written = v): [Value, Value, Value] {
  return [written, ...scaleOf(parts, v, what)]
}

function zeroOf(parts: Parts, v: Value, what: string): Value {
  return scaleOf(parts, v, what)[1]
}

/** Scaled in float32, the output in `y`'s units; or the int32 sum itself; undefined for other arithmetic. */
function integerSum(
  parts: Parts,
  node: Pick<Node, 'inputs' | 'outputs'> & { readonly attrs: { readonly scaling?: Scaling } },
  names: { readonly scaled: string; readonly sum: string; readonly domain?: string },
  [x, w]: readonly [Value, Value],
  attrs: OnnxRecord['attrs'] = {},
): Value | undefined {
  const [X, W, bias] = node.inputs as [Value, Value, Value | undefined]
  const [y] = node.outputs
  if (X.type.dtype !== 'i8' || W.type.dtype !== 'i8') return undefined
  if (node.attrs.scaling === 'none')
    return bias ? undefined : parts.add(names.sum, [x, w, zeroOf(parts, X, 'x'), zeroOf(parts, W, 'w')], attrs)
  if (node.attrs.scaling !== 'float') return undefined
  const operands = [...operandOf(parts, X, 'x', x), ...operandOf(parts, W, 'w', w)]
  const to = scaleOf(parts, y, 'y')
  const inputs = names.domain ? [...operands, bias, ...to] : [...operands, ...to, bias]
  return parts.add(names.scaled, inputs, attrs, names.domain)
}

function convolution(parts: Parts, node: Node<Accumulating & Window>, group: number, perm: readonly number[]) {
  const { stride, dilation, pad: pads } = node.attrs
  const image = parts.add('Transpose', [node.inputs[0]], { perm: FIRST })
  const weight = parts.add('Transpose', [node.inputs[1]], { perm })
  const attrs = { strides: stride, dilations: dilation, pads, group }
  const y = integerSum(parts, node, { scaled: 'QLinearConv', sum: 'ConvInteger' }, [image, weight], attrs)
  return y && parts.finish(y, node.attrs.clamp, LAST)
}

function elementwise(name: string) {
  return (parts: Parts, node: Node<Binary>) => {
    if (node.attrs.scaling !== 'float') return undefined
    const [a, b] = node.inputs as [Value, Value]
    const operands = [...operandOf(parts, a, 'a'), ...operandOf(parts, b, 'b'), ...scaleOf(parts, node.outputs[0], 'y')]
    return parts.finish(parts.add(name, operands, {}, MICROSOFT), node.attrs.clamp)
  }
}

const scaled = (v: Value | undefined): v is Value => v?.type.quant !== undefined

/** Elements keep their stored values, so that the operator on plain integers does the same. */
const MOVES: readonly [string, Writing][] = [reshape, transpose, concat, slice, gather, expand, pad].map(({ name }) => [
  name,
  (node) => {
    const [y] = node.outputs
    const same = inputsOf(node).every((v) => !scaled(v) || sameQuant(v.type.quant, y.type.quant))
    return same ? ONNX_WRITINGS.get(name)!(node) : undefined
  },
])

/** By the name of the operator. */
export const ONNX_INTEGER_WRITINGS: ReadonlyMap<string, Writing> = new Map([
  ...MOVES,
  writing(retype, (parts, node) => parts.last('Identity', node.inputs)),
  writing(conv2d, (parts, node) => convolution(parts, node, node.attrs.groups, FIRST)),
  writing(depthwiseConv2d, (parts, node) => convolution(parts, node, node.inputs[0]!.type.shape[3], [3, 0, 1, 2])),
  writing(fullyConnected, (parts, node) => {
    const [x, w, bias] = node.inputs as [Value, Value, Value | undefined]
    const [N, K] = w.type.shape
    const { shape } = node.outputs[0].type
    if (w.storage !== 'const') return undefined
    const rows = parts.reshape(x, [count(x.type.shape) / K, K], 'rows')
    const y = bias
      ? integerSum(parts, node, { scaled: 'QGemm', sum: '', domain: MICROSOFT }, [rows, w], { transB: 1 })
      : integerSum(parts, node, { scaled: 'QLinearMatMul', sum: 'MatMulInteger' }, [
          rows,
          parts.add('Transpose', [w], { perm: [1, 0] }),
        ])
    if (!y) return undefined
    const plain = shape.length === 2 && shape[1] === N
    const shaped = plain ? y : parts.add('Reshape', [y, parts.longs('shape', shape)], { allowzero: 1 })
    return parts.finish(shaped, node.attrs.clamp)
  }),
  writing(matmul, (parts, node) => {
    const { transA, transB } = node.attrs
    const operands = node.inputs.map((v, i) => {
      const rank = v!.type.shape.length
      const perm = v!.type.shape.map((_, d) => (d < rank - 2 ? d : 2 * rank - 3 - d))
      return (i === 0 ? transA : transB) ? parts.add('Transpose', [v], { perm }) : v!
    })
    const y = integerSum(parts, node, { scaled: 'QLinearMatMul', sum: 'MatMulInteger' }, [operands[0], operands[1]])
    return y && parts.last('Identity', [y])
  }),
  writing(add, elementwise('QLinearAdd')),
  writing(mul, elementwise('QLinearMul')),
  writing(clamp, (parts, node) => {
    const [x] = node.inputs
    return sameQuant(x!.type.quant, node.outputs[0].type.quant) ? parts.finish(x!, node.attrs) : undefined
  }),
  writing(maxPool2d, (_, node) => {
    const [x] = node.inputs
    return sameQuant(x!.type.quant, node.outputs[0].type.quant) ? ONNX_WRITINGS.get(maxPool2d.name)!(node) : undefined
  }),
  writing(quantize, (parts, node) => {
    const [x] = node.inputs as [Value]
    const [y] = node.outputs
    const to = scaleOf(parts, y, 'y')
    if (!scaled(x)) return node.attrs.ties ? parts.last('QuantizeLinear', [x, ...to]) : undefined
    // Between integers of one scale, quotients are whole numbers: no halves that could be rounded otherwise.
    if (x.type.quant!.scale[0] !== y.type.quant!.scale[0] || !pairIsIdentity(x.type)) return undefined
    return parts.last('QuantizeLinear', [parts.add('DequantizeLinear', operandOf(parts, x, 'x')), ...to])
  }),
  writing(dequantize, (parts, node) => {
    const [x] = node.inputs as [Value]
    return parts.last('DequantizeLinear', operandOf(parts, x, 'x'))
  }),
])
