// The sparse schemes released for two nets (Lin et al. 2022): which convolutions learn, what share of their input channels, and of how
// many the bias. A scheme is taken only by a net whose layers are those it was found for.

import { InputError } from '../errors.ts'
import type { Graph } from '../ir/graph.ts'
import { depthwiseConv2d } from '../ops/depthwise/op.ts'
import type { Learner, Selection } from './scheme.ts'

/** Channels after the expansion, size of the depthwise kernel, stride, channels after the block. */
type Block = readonly [number, number, number, number]

interface Released {
  readonly net: string
  /** The first convolution has 16 channels, the first block no expansion. */
  readonly blocks: readonly Block[]
  /** By size in KB: biases of the last layers before the classifier, then convolution and ratio. */
  readonly schemes: Readonly<Record<number, readonly [number, Readonly<Record<number, number>>]>>
}

const times = (n: number, block: Block): Block[] => new Array<Block>(n).fill(block)

const NETS: readonly Released[] = [
  {
    net: 'mbv2-w0.35',
    blocks: [
      [16, 3, 1, 8],
      [48, 3, 2, 8],
      [48, 3, 1, 8],
      [48, 3, 2, 16],
      ...times(2, [96, 3, 1, 16]),
      [96, 3, 2, 24],
      ...times(3, [144, 3, 1, 24]),
      [144, 3, 1, 32],
      ...times(2, [192, 3, 1, 32]),
      [192, 3, 2, 56],
      ...times(2, [336, 3, 1, 56]),
      [336, 3, 1, 112],
    ],
    schemes: {
      49: [16, { 36: 1, 39: 1, 41: 1 / 4, 42: 1 / 8, 45: 1 / 8, 48: 1 / 8, 49: 1 / 8 }],
      73: [20, { 32: 1 / 8, 33: 1 / 2, 36: 1 / 2, 39: 1, 41: 1 / 4, 42: 1 / 8, 45: 1 / 8, 48: 1 }],
      99: [25, { 27: 1, 30: 1, 33: 1, 36: 1, 39: 1, 42: 1 / 8, 45: 1 / 2, 48: 1 }],
      123: [31, { 27: 1, 30: 1, 33: 1, 36: 1, 39: 1, 42: 1 / 2, 45: 1, 48: 1 }],
      138: [34, { 27: 1, 30: 1, 33: 1, 36: 1, 39: 1, 42: 1, 45: 1, 48: 1 }],
    },
  },
  {
    net: 'mcunet-5fps',
    blocks: [
      [16, 3, 1, 8],
      [32, 3, 2, 16],
      [48, 3, 1, 16],
      [48, 7, 2, 24],
      [120, 3, 1, 24],
      [120, 3, 2, 40],
      [160, 7, 1, 40],
      [160, 5, 1, 48],
      [144, 3, 1, 48],
      [192, 3, 1, 48],
      [240, 7, 2, 96],
      ...times(2, [384, 5, 1, 96]),
      [576, 3, 1, 160],
    ],
    schemes: {
      49: [20, { 24: 1 / 4, 27: 1 / 2, 30: 1 / 2 }],
      74: [21, { 21: 1, 24: 1, 27: 1 / 2, 30: 1 }],
      99: [22, { 21: 1, 24: 1, 27: 1, 30: 1, 36: 1 / 8, 39: 1 / 4 }],
      124: [24, { 21: 1 / 4, 24: 1, 27: 1, 30: 1, 33: 1 / 2, 39: 1 / 2 }],
      148: [23, { 21: 1, 24: 1, 27: 1, 30: 1, 36: 1, 39: 1 / 2 }],
    },
  },
]

const conv = (k: number, stride: number, from: number, to: number) =>
  `convolution ${k}x${k} of ${from} channels to ${to}, stride ${stride}`
const depthwise = (k: number, stride: number, channels: number) =>
  `depthwise convolution ${k}x${k} of ${channels} channels, stride ${stride}`

/** The convolutions before the classifier, in words. */
function layersOf({ blocks }: Released): string[] {
  let channels = 16
  return [
    conv(3, 2, 3, 16),
    ...blocks.flatMap(([expanded, k, stride, to], i) => {
      const from = channels
      channels = to
      return [
        ...(i === 0 ? [] : [conv(1, 1, from, expanded)]),
        depthwise(k, stride, expanded),
        conv(1, 1, expanded, to),
      ]
    }),
  ]
}

function described({ node, weights }: Learner): string {
  const [O, k, , C] = weights.type.shape
  const [stride] = (node.attrs.stride as readonly number[] | undefined) ?? [1]
  if (weights.type.shape.length !== 4) return node.op.name
  return node.op.name === depthwiseConv2d.name ? depthwise(k, stride, C) : conv(k, stride, C, O)
}

/** Where a net differs from the one that schemes were found for; undefined where it does not. */
function difference(graph: Graph, all: readonly Learner[], released: Released): string | undefined {
  const wanted = layersOf(released)
  if (all.length !== wanted.length + 1)
    return `has ${all.length} layers with weights, ${released.net} has ${wanted.length + 1}`
  const at = wanted.findIndex((layer, i) => described(all[i]) !== layer)
  if (at >= 0) return `has as layer ${at} a ${described(all[at])}, ${released.net} a ${wanted[at]}`
  const { shape } = graph.inputs[0].type
  return shape.length === 4 && shape[1] === 128 && shape[2] === 128
    ? undefined
    : `takes images [${shape}], ${released.net} images of 128 x 128`
}

const namesOf = ({ schemes }: Released) => Object.keys(schemes).map((kb) => `sparse-${kb}kb`)

/** The names of the schemes that were released for a net; none for another one. */
export function releasedFor(graph: Graph, all: readonly Learner[]): readonly string[] {
  const released = NETS.find((r) => difference(graph, all, r) === undefined)
  return released ? namesOf(released) : []
}

/** A released scheme by its name. Throws InputError where it was found for another net. */
export function releasedScheme(graph: Graph, all: readonly Learner[], name: string): Selection {
  const released = NETS.find((r) => difference(graph, all, r) === undefined)
  const own = NETS.filter((r) => namesOf(r).includes(name))
  const offer = NETS.map((r) => `${r.net}: ${namesOf(r).join(', ')}`).join('; ')
  if (own.length === 0) throw new InputError('scheme', `"${name}" is none that was released`, offer)
  if (!released || !own.includes(released)) {
    const differs = difference(graph, all, own[0])
    throw new InputError('scheme', `${name} was found for ${own[0].net}: "${graph.name}" ${differs}`, offer)
  }
  const [biases, ratios] = released.schemes[Number.parseInt(name.slice('sparse-'.length), 10)]
  return { name, biases, layers: Object.entries(ratios).map(([layer, ratio]) => ({ layer: Number(layer), ratio })) }
}
