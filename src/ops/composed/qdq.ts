// QDQ files: DequantizeLinear, an operator on float32, QuantizeLinear stand for one operator on integers, and are read as
// that one, as ONNX Runtime does: sums of integers are exact, those of the float32 numbers they stand for are not. The
// operators between that only choose or move elements become the same on int8 where no scale changes, bits unchanged.

import type { Builder } from '../../ir/build.ts'
import { type DType, quantOf, sameQuant, type Value } from '../../ir/graph.ts'
import type { OnnxNode, OnnxSpelling } from '../../ir/op.ts'
import { clamp } from '../clamp/op.ts'
import { inner } from '../conv2d/onnx.ts'
import { axisOf, numberAttr, stringAttr } from '../onnx.ts'
import { onnxQuantizeLinear } from '../quantize/onnx.ts'
import { pairIsIdentity } from '../quantize/op.ts'
import { int8Form, int8Quant, plainForm } from '../quantize/stored.ts'
import { reading } from '../tflite.ts'
import { qlinear } from './qlinear.ts'

/** Which node of the file a value came from. */
const ORIGINS = new WeakMap<Value, { readonly spelling: OnnxSpelling; readonly node: OnnxNode }>()

/** Notes what `values` came from, for operators that are read later. */
export function remember(spelling: OnnxSpelling, node: OnnxNode, values: readonly Value[]): void {
  if (values.length === 1) ORIGINS.set(values[0], { spelling, node })
}

const MOVES: ReadonlySet<string> = new Set(
  (
    'Concat DepthToSpace Expand Flatten Gather Identity MaxPool Reshape Slice SpaceToDepth Squeeze Tile Transpose ' +
    'Unsqueeze'
  ).split(' '),
)

/** Whether each element of the node's output is one of its inputs'. */
function moves({ name }: OnnxSpelling, node: OnnxNode): boolean {
  return MOVES.has(name) || (name === 'Resize' && stringAttr(node, 'mode', 'nearest') === 'nearest')
}

type Operand = readonly [x: Value, scale: Value, zero: Value | undefined]

function numbers(v: Value | undefined): number[] {
  return v ? (v.storage === 'const' ? Array.from(v.data as ArrayLike<number>, Number) : []) : [0]
}

/** Scales whose products with one another float32 holds. */
const usual = (scale: number) => scale > 2 ** -50 && scale < 2 ** 50

/** What `v` was dequantised from: with one scale, or with several along `axis` and a zero point that int8 weights can have. */
function dequantised(v: Value | undefined, axis?: number): Operand | undefined {
  const origin = v && ORIGINS.get(v)
  if (origin?.spelling.name !== 'DequantizeLinear' || numberAttr(origin.node, 'block_size', 0) !== 0) return undefined
  const [x, scale, zero] = origin.node.inputs
  if (!x || scale?.type.dtype !== 'f32' || !['i8', 'u8', 'i32'].includes(x.type.dtype)) return undefined
  const [scales, zeros] = [numbers(scale), numbers(zero)]
  if (zeros.length === 0 || zeros.some((z) => z !== zeros[0])) return undefined
  if (scales.length === 0 || !scales.every(usual)) return undefined
  const whole = zero && { ...zero, type: { ...zero.type, shape: [] }, data: zero.data?.slice(0, 1) }
  if (scales.length === 1) return [x, scale, whole]
  const rank = x.type.shape.length
  const along = axisOf(numberAttr(origin.node, 'axis', 1), rank, reading('dequantize', origin.node))
  const symmetric = zeros[0] === (x.type.dtype === 'u8' ? 128 : 0)
  return along === axis && symmetric ? [x, scale, whole] : undefined
}

const isByte = (o: Operand | undefined): o is Operand => o !== undefined && o[0].type.dtype !== 'i32'

/** The int32 bias whose scale is the product of those of input and weight; null where there is one of another kind. */
function biasOf(v: Value | undefined, a: Operand, b: Operand): Value | undefined | null {
  if (!v) return undefined
  const bias = dequantised(v, 0)
  if (bias?.[0].type.dtype !== 'i32' || numbers(bias[2])[0] !== 0) return null
  const [sa, sb, sc] = [numbers(a[1])[0], numbers(b[1]), numbers(bias[1])]
  const fits = sb.every((s, i) => Math.abs(sc[sc.length === 1 ? 0 : i] / Math.fround(sa * s) - 1) < 1e-6)
  return fits && (sc.length === 1 || sc.length === sb.length) ? bias[0] : null
}

/** The node on integers that computes `v`, quantised by `scale` and `zero`. */
function integerNode(v: Value, scale: Value, zero: Value | undefined): { name: string; node: OnnxNode } | undefined {
  const { spelling, node } = ORIGINS.get(v) ?? {}
  if (!spelling || !node) return undefined
  const [p, q, r] = node.inputs
  const to = [scale, zero]
  switch (spelling.name) {
    case 'Conv': {
      const [a, b] = [dequantised(p), dequantised(q, 0)]
      if (!isByte(a) || !isByte(b)) return undefined
      const bias = biasOf(r, a, b)
      return bias === null ? undefined : { name: 'QLinearConv', node: { ...node, inputs: [...a, ...b, ...to, bias] } }
    }
    case 'MatMul': {
      const [a, b] = [dequantised(p), dequantised(q, q && q.type.shape.length - 1)]
      return isByte(a) && isByte(b)
        ? { name: 'QLinearMatMul', node: { ...node, inputs: [...a, ...b, ...to] } }
        : undefined
    }
    case 'Gemm': {
      const [a, b] = [dequantised(p), dequantised(q, numberAttr(node, 'transB', 0) ? 0 : 1)]
      const plain = numberAttr(node, 'alpha', 1) === 1 && numberAttr(node, 'beta', 1) === 1
      if (!isByte(a) || !isByte(b) || !plain || numberAttr(node, 'transA', 0) || b[0].storage !== 'const')
        return undefined
      const bias = biasOf(r, a, b)
      return bias === null ? undefined : { name: 'QGemm', node: { ...node, inputs: [...a, ...b, bias, ...to] } }
    }
    case 'Add':
    case 'Mul': {
      const [a, b] = [dequantised(p), dequantised(q)]
      return isByte(a) && isByte(b)
        ? { name: `QLinear${spelling.name}`, node: { ...node, inputs: [...a, ...b, ...to] } }
        : undefined
    }
    default:
      return undefined
  }
}

/** The limits of a Relu or Clip, where they are constant and whole steps away from halves. */
function limits(name: string, node: OnnxNode, scale: number): { min?: number; max?: number } | undefined {
  if (name === 'Relu') return { min: 0 }
  const of = (i: number, attr: string) => {
    const v = node.inputs[i]
    return v ? numbers(v)[0] : (node.attrs[attr] as number | undefined)
  }
  const [min, max] = [of(1, 'min'), of(2, 'max')]
  if (node.inputs.slice(1).some((v) => v && v.storage !== 'const')) return undefined
  const half = (x: number | undefined) => x !== undefined && Math.abs(Math.fround(x / scale) % 1) === 0.5
  if (half(min) || half(max) || (min !== undefined && max !== undefined && min > max)) return undefined
  return { ...(min !== undefined && { min }), ...(max !== undefined && { max }) }
}

/** How far back operators that move elements are followed. */
const DEEPEST = 16

/** Values in int8 form as `node`, a QuantizeLinear, quantises them, computed on integers. */
class Forms {
  private readonly build: Builder
  private readonly node: OnnxNode
  private readonly dtype: DType
  private readonly scale: Value
  private readonly s: number
  private readonly z: number
  private readonly known = new Map<Value, Value | undefined>()

  constructor(build: Builder, node: OnnxNode, dtype: DType, scale: Value, s: number, z: number) {
    this.build = build
    this.node = node
    this.dtype = dtype
    this.scale = scale
    this.s = s
    this.z = z
  }

  /** Undefined where integers cannot compute it, or not the same bits where only elements move. */
  of(v: Value, depth = 0): Value | undefined {
    if (!this.known.has(v)) this.known.set(v, depth > DEEPEST ? undefined : this.make(v, depth))
    return this.known.get(v)
  }

  private make(v: Value, depth: number): Value | undefined {
    const { build, node, dtype, scale, s, z } = this
    const quant = int8Quant(dtype, s, z)
    const named = { ...node, result: inner(node, depth === 0 ? 'integer' : `integer_${depth}`) }
    const stored = dequantised(v)
    if (isByte(stored)) {
      const [x, sx, zx] = stored
      const same = x.type.dtype === dtype && sameQuant(quantOf(numbers(sx)[0], numbers(zx)[0]), quantOf(s, z))
      return same && pairIsIdentity({ ...x.type, quant }) ? int8Form(build, named, x, s, z, 'int8') : undefined
    }
    const origin = ORIGINS.get(v)
    if (!origin) return undefined
    const { spelling, node: from } = origin
    if (spelling.name === 'Relu' || spelling.name === 'Clip') {
      const range = limits(spelling.name, from, s)
      const x = range && this.of(from.inputs[0]!, depth + 1)
      return x && build.one(clamp, [x], range, { ...named.result, quant })
    }
    if (moves(spelling, from)) {
      const moved = from.inputs.map((x, i) =>
        x && (i === 0 || spelling.name === 'Concat') ? this.of(x, depth + 1) : x,
      )
      if (moved.some((x, i) => !x && from.inputs[i])) return undefined
      return spelling.read(build, { ...from, inputs: moved, result: named.result })[0]
    }
    const integer = integerNode(v, scale, node.inputs[2])
    const reads = integer && qlinear.find((r) => r.name === integer.name)
    const plain = integer && reads?.read(build, { ...integer.node, result: named.result })[0]
    return plain && int8Form(build, named, plain, s, z, 'int8')
  }
}

export const onnxQuantize: OnnxSpelling = {
  name: 'QuantizeLinear',
  read(build, node) {
    const [x, scale, zero] = node.inputs
    const dtype = zero?.type.dtype ?? 'u8'
    const bytes = (dtype === 'u8' || dtype === 'i8') && numberAttr(node, 'output_dtype', 0) === 0
    const [s, z] = [numbers(scale), numbers(zero)]
    const usable = x && scale?.type.dtype === 'f32' && bytes && s.length === 1 && z.length === 1 && usual(s[0])
    const form = usable ? new Forms(build, node, dtype, scale, s[0], z[0]).of(x) : undefined
    return form ? [plainForm(build, node, form, dtype)] : onnxQuantizeLinear.read(build, node)
  },
}
