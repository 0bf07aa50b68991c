// A layer of which some channels learn becomes one with two sets of weights: what stays is constant, what learns is a param of its
// own, and the channels of the input that it reads stand apart as well, since its gradient needs these alone.

import type { Node, Value } from '../ir/graph.ts'
import { count, type Data, newData } from '../loops/ir.ts'
import { depthwiseConv2d } from '../ops/depthwise/op.ts'
import { gather } from '../ops/gather/op.ts'
import { partialConv2d } from '../ops/partial/conv2d.ts'
import { partialDepthwiseConv2d } from '../ops/partial/depthwise.ts'
import { partOfQuant } from '../ops/partial/part.ts'
import type { Learner } from './scheme.ts'
import type { Learning } from './step.ts'
import { liveScales } from './stored_rules.ts'

/** The slices `channels` along the last of the axes, `C` long. */
function slices<D extends Data>(data: D, C: number, channels: readonly number[]): D {
  const rows = data.length / C
  const some = data.slice(0, rows * channels.length) as D
  for (let i = 0; i < some.length; i++)
    some[i] = data[Math.floor(i / channels.length) * C + channels[i % channels.length]]
  return some
}

/** `data` of the whole with what of it learned in the place of those channels. */
export function withChannels(data: Data, C: number, channels: readonly number[], learned: Data): Data {
  const all = data.slice()
  for (let i = 0; i < learned.length; i++)
    all[Math.floor(i / channels.length) * C + channels[i % channels.length]] = learned[i]
  return all
}

/** The nodes of a convolution whose weights learn for some `channels` of its input, and these weights. */
export function partialLayer(
  { node, weights, bias }: Learner,
  channels: readonly number[],
): { readonly nodes: readonly Node[]; readonly params: readonly Learning[] } {
  const [x] = node.inputs as Value[]
  const { shape, quant, dtype } = weights.type
  const C = shape[3]
  const depthwise = node.op.name === depthwiseConv2d.name
  const data = weights.data!
  const ownQuant = quant && (depthwise ? partOfQuant(quant, channels) : quant)
  const own: Value = {
    ...weights,
    name: `${weights.name}/learning`,
    storage: 'param',
    type: { dtype, shape: [...shape.slice(0, 3), channels.length], ...(ownQuant && { quant: ownQuant }) },
    data: slices(data, C, channels),
  }
  const rest: Value = { ...weights, data: withChannels(data, C, channels, newData(kindOf(dtype), own.data!.length)) }
  const indices: Value = {
    name: `${node.from}/channels`,
    type: { dtype: 'i32', shape: [channels.length] },
    storage: 'const',
    data: Int32Array.from(channels),
  }
  const part: Value = {
    name: `${x.name}/of ${node.from}`,
    type: { ...x.type, shape: [...x.type.shape.slice(0, 3), channels.length] },
    storage: 'temp',
  }
  const outputs = depthwise ? C : shape[0]
  const b = node.inputs[2] ?? bias ?? noBias(node, dtype, outputs)
  const parting: Node = {
    op: gather as never,
    attrs: { axis: 3, batchDims: 0 },
    inputs: [x, indices],
    outputs: [part],
    from: node.from,
  }
  const layer: Node = {
    ...node,
    op: (depthwise ? partialDepthwiseConv2d : partialConv2d) as never,
    attrs: { ...node.attrs, channels },
    inputs: [x, rest, b, part, own],
  }
  layer.op.check(layer)
  const live = quant && liveScales(quant.scale)
  const scale = depthwise && live && live.length > 1 ? channels.map((c) => live[c]) : live
  const learning: Learning = {
    param: own,
    of: weights,
    channels,
    ...(scale && { stored: { scale, axis: quant?.axis ?? 0 } }),
  }
  return { nodes: [parting, layer], params: [learning] }
}

const kindOf = (dtype: string) => (dtype === 'f32' ? 'f32' : 'i8')

function noBias(node: Node, dtype: string, n: number): Value {
  const type = { dtype: dtype === 'f32' ? 'f32' : 'i32', shape: [n] } as const
  return { name: `${node.from}/no bias`, type, storage: 'const', data: newData(type.dtype, count(type.shape)) }
}
