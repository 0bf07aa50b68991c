// TinyTL (Cai et al. 2020): beside each block of a frozen net a lite residual module on half the resolution: average pool, group
// convolution 5 x 5, group normalisation, ReLU, convolution 1 x 1, group normalisation whose scale starts at 0, bilinear up, added to
// the block. Convolutions of the module have standardised weights (Qiao et al. 2019). The net's own batch norm stays folded.

import { InputError } from '../errors.ts'
import type { Builder } from '../ir/build.ts'
import type { Graph, Node, Value } from '../ir/graph.ts'
import { add } from '../ops/binary/op.ts'
import { clamp } from '../ops/clamp/op.ts'
import { conv2d } from '../ops/conv2d/op.ts'
import { depthwiseConv2d } from '../ops/depthwise/op.ts'
import { matmul } from '../ops/matmul/op.ts'
import { averagePool2d } from '../ops/pool/op.ts'
import { mean } from '../ops/reduce/op.ts'
import { rsqrt, square } from '../ops/unary/op.ts'
import { type Extended, type Inserting, insert } from './insert.ts'
import { termsOf } from './terms.ts'

/** Channels of a group of the normalisation, and groups of the first convolution. */
const GROUP = 8
const GROUPS = 2
const EPSILON = 1e-5

/** A block of a net: what it reads, and the node that computes its output. */
interface Block {
  readonly input: Value
  readonly end: Node
  readonly stride: number
}

const isPixelwise = (node: Node | undefined): node is Node =>
  node?.op.name === conv2d.name && node.inputs[1]!.type.shape.slice(1, 3).every((d) => d === 1)

/** Inverted bottlenecks (the expansion, where there is one, to the projection or the residual sum), and depthwise separable pairs. */
export function blocksOf({ nodes }: Graph): Block[] {
  const producer = (v: Value) => nodes.find((n) => n.outputs.includes(v))
  const readers = (v: Value) => nodes.filter((n) => n.inputs.includes(v))
  return nodes.flatMap((node): Block[] => {
    if (node.op.name !== depthwiseConv2d.name || node.outputs[0].type.dtype !== 'f32') return []
    const [project, ...others] = readers(node.outputs[0])
    if (others.length > 0 || !isPixelwise(project)) return []
    const { min, max } = project.attrs.clamp as { min?: number; max?: number }
    const expand = min === undefined && max === undefined ? producer(node.inputs[0]!) : undefined
    const input = isPixelwise(expand) ? expand.inputs[0]! : node.inputs[0]!
    const [sum, ...more] = readers(project.outputs[0])
    const residual = more.length === 0 && sum?.op.name === add.name && sum.inputs.includes(input)
    const [stride] = node.attrs.stride as readonly number[]
    return [{ input, end: residual ? sum : project, stride }]
  })
}

/** The weights less their mean, by their standard deviation, of each output. */
function standardised(build: Builder, w: Value): Value {
  const t = termsOf(build)
  const over = { axes: [1, 2, 3], keepDims: true }
  const centred = t.sub(w, build.one(mean, [w], over))
  const variance = build.one(mean, [build.one(square, [centred], {})], over)
  return t.mul(centred, build.one(rsqrt, [t.add(variance, EPSILON)], {}))
}

function groupNorm({ build, filled }: Inserting, x: Value, name: string, scale: number): Value {
  const t = termsOf(build)
  const [N, H, W, C] = x.type.shape
  let size = Math.min(GROUP, C)
  while (C % size !== 0) size--
  const over = { axes: [1, 3], keepDims: true }
  const groups = t.shaped(x, [N, H * W, C / size, size])
  const centred = t.sub(groups, build.one(mean, [groups], over))
  const variance = build.one(mean, [build.one(square, [centred], {})], over)
  const unit = t.shaped(t.mul(centred, build.one(rsqrt, [t.add(variance, EPSILON)], {})), [N, H, W, C])
  return t.add(t.mul(unit, filled(`${name}/scale`, [C], scale)), filled(`${name}/shift`, [C], 0))
}

/** Bilinear interpolation of `from` places to `to`, centres of pixels at halves, as a matrix [to, from]. */
function interpolation(from: number, to: number): Float32Array {
  const m = new Float32Array(to * from)
  for (let i = 0; i < to; i++) {
    const at = Math.min(from - 1, Math.max(0, ((i + 0.5) * from) / to - 0.5))
    const low = Math.floor(at)
    m[i * from + low] += 1 - (at - low)
    m[i * from + Math.min(from - 1, low + 1)] += at - low
  }
  return m
}

/** As two products with constant matrices, which have gradients. */
function upsampled(build: Builder, x: Value, H: number, W: number): Value {
  const { shaped } = termsOf(build)
  const [N, h, w, C] = x.type.shape
  const along = (from: number, to: number) =>
    build.const('interpolation', { dtype: 'f32', shape: [to, from] }, interpolation(from, to))
  const plain = { transA: false, transB: false }
  const rows = h === H ? x : build.one(matmul, [along(h, H), shaped(x, [N, h, w * C])], plain)
  const columns = w === W ? rows : build.one(matmul, [along(w, W), shaped(rows, [N * H, w, C])], plain)
  return shaped(columns, [N, H, W, C])
}

function lite(ins: Inserting, x: Value, [, H, W, O]: readonly number[], stride: number, name: string): Value {
  const { build, random } = ins
  const C = x.type.shape[3]
  const half = x.type.shape.slice(1, 3).every((d) => d >= 2)
  const small = { kernel: [2, 2], stride: [2, 2], pad: [0, 0, 0, 0], clamp: {} }
  const pooled = half ? build.one(averagePool2d, [x], small) : x
  const groups = C % GROUPS === 0 ? GROUPS : 1
  const window = { stride: [stride, stride], dilation: [1, 1], pad: [2, 2, 2, 2], groups, clamp: {} }
  const wide = standardised(build, random(`${name}/group`, [C, 5, 5, C / groups], (25 * C) / groups))
  const normed = groupNorm(ins, build.one(conv2d, [pooled, wide], window), `${name}/norm`, 1)
  const active = build.one(clamp, [normed], { min: 0 })
  const pixel = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0], groups: 1, clamp: {} }
  const out = build.one(conv2d, [active, standardised(build, random(`${name}/pixel`, [O, 1, 1, C], C))], pixel)
  return upsampled(build, groupNorm(ins, out, `${name}/out`, 0), H, W)
}

/** The model with a lite residual module beside each block. Throws InputError where there are no float32 blocks. */
export function tinytl(graph: Graph, seed: number): Extended {
  const blocks = new Map(blocksOf(graph).map((b) => [b.end.outputs[0], b]))
  if (blocks.size === 0)
    throw new InputError(
      'scheme',
      `tinytl adds a module to each block of depthwise and 1 x 1 convolutions in float32, "${graph.name}" has none`,
      'int8 models learn by last-K, bias-last-K and sparse schemes',
    )
  const became = new Map<Value, Value>()
  return insert(graph, seed, (node, ins) => {
    const block = blocks.get(node.outputs[0])
    if (!block) return undefined
    const name = `${node.from}/lite`
    ins.build.from = name
    const [y] = node.outputs
    const input = became.get(block.input) ?? block.input
    const result = ins.build.one(add, [y, lite(ins, input, y.type.shape, block.stride, name)], { clamp: {} })
    ins.build.from = ''
    became.set(y, result)
    return { node, result }
  })
}
