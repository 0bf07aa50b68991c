// The net that the studio opens with: an int8 network of nine layers that names the shape drawn in an 8x8 picture. Nothing is
// trained and nothing is loaded: every weight is read off a drawing below, so that a person can see why the answer is
// right. A layer finds short strokes, a second joins them into long ones, and a third compares with one drawing per class.

import { Builder } from '../ir/build.ts'
import { type Graph, type Quant, quantOf, type TensorType, type Value } from '../ir/graph.ts'
import { Xorshift32 } from '../ir/random.ts'
import { add, conv2d, depthwiseConv2d, fullyConnected, maxPool2d, reshape, softmax } from '../ops/all.ts'
import { quantizeReal } from '../ops/quant.ts'
import { reference } from '../run/reference.ts'

/** What the net tells apart, in the order of its outputs. */
export const demoLabels: readonly string[] = ['horizontal', 'vertical', 'diagonal', 'cross', 'nothing']

const SIZE = 8

/** Brightness of each pixel from 0 to 1: `#` is ink, `+` half as much, `.` paper. */
type Drawing = readonly (readonly number[])[]

function drawing(text: string): Drawing {
  return text
    .trim()
    .split(/\s+/)
    .map((row) => [...row].map((c) => ({ '#': 1, '+': 0.5, '.': 0 })[c]!))
}

/** Strokes of three pixels in four directions: the filters of the first layer. */
const SHORT = [
  `...
   ###
   ...`,
  `.#.
   .#.
   .#.`,
  `#..
   .#.
   ..#`,
  `..#
   .#.
   #..`,
].map(drawing)

/** Strokes of five pixels: the second layer looks for each in the answers of its own short stroke. */
const LONG = [
  `.....
   .....
   #####
   .....
   .....`,
  `..#..
   ..#..
   ..#..
   ..#..
   ..#..`,
  `#....
   .#...
   ..#..
   ...#.
   ....#`,
  `....#
   ...#.
   ..#..
   .#...
   #....`,
].map(drawing)

const HORIZONTAL = drawing(`
  ........
  ........
  ........
  .#######
  ........
  ........
  ........
  ........`)
const VERTICAL = drawing(`
  ....#...
  ....#...
  ....#...
  ....#...
  ....#...
  ....#...
  ....#...
  ........`)
const FALLING = drawing(`
  ........
  .#......
  ..#.....
  ...#....
  ....#...
  .....#..
  ......#.
  .......#`)
const RISING = drawing(`
  ........
  .......#
  ......#.
  .....#..
  ....#...
  ...#....
  ..#.....
  .#......`)
const CROSS = drawing(`
  ....#...
  ....#...
  ....#...
  .#######
  ....#...
  ....#...
  ....#...
  ........`)

const BLANK: Drawing = HORIZONTAL.map((row) => row.map(() => 0))

/** The drawings that stand for each class, in the order of the labels. */
const CLASSES: readonly (readonly Drawing[])[] = [[HORIZONTAL], [VERTICAL], [FALLING, RISING], [CROSS], [BLANK]]

const STROKES = SHORT.length
const SAME = { stride: [1, 1], dilation: [1, 1], clamp: { min: 0 } }
const PICTURE: TensorType = { dtype: 'i8', shape: [1, SIZE, SIZE, 1], quant: upTo(1) }

/** int8 for real numbers from 0 to `most`. */
function upTo(most: number): Quant {
  return quantOf(most / 255, -128)
}

/** int8 weights of a real array, one scale for each slice of `axis` (the first or the last). */
function weights(b: Builder, name: string, shape: readonly number[], real: readonly number[], axis: number): Value {
  const channels = shape[axis]
  const channelOf = (i: number) => (axis === 0 ? Math.floor(i / (real.length / channels)) : i % channels)
  const most = new Array<number>(channels).fill(0)
  real.forEach((w, i) => {
    most[channelOf(i)] = Math.max(most[channelOf(i)], Math.abs(w))
  })
  const scale = Float64Array.from(most, (m) => Math.fround((m || 1) / 127))
  const data = Int8Array.from(real, (w, i) => Math.round(w / scale[channelOf(i)]))
  return b.const(name, { dtype: 'i8', shape, quant: { scale, zero: new Int32Array(channels), axis } }, data)
}

/** int32 biases in units of the input's scale times the weights'. */
function biases(b: Builder, name: string, real: readonly number[], x: Value, w: Value): Value {
  const scale = w.type.quant!.scale.map((s) => s * x.type.quant!.scale[0])
  const quant: Quant = { scale: scale.map(Math.fround), zero: new Int32Array(real.length), axis: 0 }
  return b.const(
    name,
    { dtype: 'i32', shape: [real.length], quant },
    Int32Array.from(real, (v, i) => Math.round(v / scale[i])),
  )
}

/** The drawing as a filter: 1 on a picture that is equal to it, 0 on an even one. */
function matching(d: Drawing): number[] {
  const ink = d.flat().reduce((sum, v) => sum + v, 0)
  const paper = d.flat().length - ink
  return d.flat().map((v) => (v > 0 ? v / ink : -1 / paper))
}

/** A layer's stroke counts only above this share of its pixels, so that dots and crossings do not. */
const THRESHOLD = 0.4
/** How much of the other strokes' answers each stroke loses. */
const RIVALRY = 0.25
/** Factor between the scores and what softmax sees. */
const SHARPNESS = 5

/** From the picture to the strength of each of the four strokes, wherever it is: [1, 4], real numbers from 0 to 2. */
function strokes(b: Builder): Value {
  const x = b.input('picture', PICTURE)

  const short = weights(b, 'short/filters', [STROKES, 3, 3, 1], SHORT.flatMap(matching), 0)
  const found = b.one(conv2d, [x, short, undefined], { ...SAME, pad: [1, 1, 1, 1], groups: 1 }, named('short', 1))

  const along = LONG.map((d) => d.flat().map((v) => v / 5 / (1 - THRESHOLD)))
  const filters = along[0].flatMap((_, tap) => along.map((filter) => filter[tap])) // (KH, KW, C)
  const long = weights(b, 'long/filters', [1, 5, 5, STROKES], filters, 3)
  const least = biases(b, 'long/thresholds', new Array(STROKES).fill(-THRESHOLD / (1 - THRESHOLD)), found, long)
  const joined = b.one(depthwiseConv2d, [found, long, least], { ...SAME, pad: [2, 2, 2, 2] }, named('long', 1))

  const pooled = b.one(
    maxPool2d,
    [joined],
    { kernel: [2, 2], stride: [2, 2], pad: [0, 0, 0, 0], clamp: {} },
    named('near', 1),
  )

  const each = Array.from({ length: STROKES ** 2 }, (_, i) => (i % (STROKES + 1) === 0 ? 1 : -RIVALRY))
  const rival = weights(b, 'rivals/filters', [STROKES, 1, 1, STROKES], each, 0)
  const alone = b.one(conv2d, [pooled, rival, undefined], { ...SAME, pad: [0, 0, 0, 0], groups: 1 }, named('rivals', 1))
  const both = b.one(add, [pooled, alone], { clamp: {} }, named('both', 2))

  const anywhere = b.one(
    maxPool2d,
    [both],
    { kernel: [4, 4], stride: [4, 4], pad: [0, 0, 0, 0], clamp: {} },
    named('anywhere', 2),
  )
  return b.one(reshape, [anywhere], { shape: [1, STROKES] }, named('strokes', 2))
}

function named(name: string, most: number) {
  return { from: name, names: [name], quant: upTo(most) }
}

/** The strengths of the strokes in each class's drawings, their mean: what a picture of that class should look like. */
function expected(): number[][] {
  const b = new Builder()
  const model = reference(b.graph([strokes(b)]))
  const { scale, zero } = upTo(2)
  const strengths = (d: Drawing) => Array.from(model.run([pixels(d)])[0] as Int8Array, (q) => scale[0] * (q - zero[0]))
  return CLASSES.map((drawings) => {
    const all = drawings.map(strengths)
    return all[0].map((_, i) => all.reduce((sum, s) => sum + s[i], 0) / all.length)
  })
}

/** The net: int8 picture [1, 8, 8, 1] in, int8 probabilities [1, 5] out. */
export function demoNet(): Graph {
  const b = new Builder('demo')
  const x = strokes(b)
  // The nearest class has the smallest |x - p|^2, that is the largest p.x - |p|^2 / 2.
  const classes = expected()
  const n = classes.length
  const compare = weights(
    b,
    'classes/expected',
    [n, STROKES],
    classes.flat().map((p) => p * SHARPNESS),
    0,
  )
  const halves = classes.map((p) => (-SHARPNESS * p.reduce((sum, v) => sum + v * v, 0)) / 2)
  const offsets = biases(b, 'classes/offsets', halves, x, compare)
  const quant = quantOf((8 * SHARPNESS) / 255, 0)
  const scores = b.one(
    fullyConnected,
    [x, compare, offsets],
    { clamp: {}, keepDims: false },
    { from: 'classes', names: ['classes'], quant },
  )
  const probabilities = b.one(softmax, [scores], { beta: 1 }, { from: 'probabilities', names: ['probabilities'] })
  return b.graph([probabilities])
}

/** The picture as the net's input. */
function pixels(d: Drawing): Int8Array {
  const { scale, zero } = PICTURE.quant!
  return Int8Array.from(d.flat(), (v) => quantizeReal(v, scale[0], zero[0]))
}

function shifted(d: Drawing, right: number, down: number): Drawing {
  return d.map((row, y) => row.map((_, x) => d[y - down]?.[x - right] ?? 0))
}

/** Grey dots in the paper and holes in the ink, each pixel with a chance of one in `rarity`. */
function speckled(d: Drawing, seed: number, rarity: number): Drawing {
  const random = new Xorshift32(seed)
  return d.map((row) => row.map((v) => (random.between(1, rarity) === 1 ? 0.5 : v)))
}

const WOBBLY_LINE = drawing(`
  ........
  ........
  ........
  ........
  ++......
  #######+
  ...+++##
  ........`)
const SHAKY_LINE = drawing(`
  ....+...
  ...+#...
  ....#...
  ....#+..
  ....##..
  ....#...
  ...+#...
  ...+....`)
const WOBBLY_CROSS = drawing(`
  ...+#...
  ....#...
  ....#...
  ....#.++
  +######+
  #+..#...
  ....#...
  ....+#..`)

/** Pictures to recognise: what was drawn, the picture as text (two characters a pixel), and the net's input. */
export function demoInputs(): { label: string; picture: string[]; data: Int8Array }[] {
  const [horizontal, vertical, diagonal, cross, nothing] = demoLabels
  const drawn: readonly (readonly [string, Drawing])[] = [
    [horizontal, HORIZONTAL],
    [vertical, shifted(VERTICAL, -3, 1)],
    [diagonal, FALLING],
    [cross, CROSS],
    [horizontal, WOBBLY_LINE],
    [vertical, speckled(VERTICAL, 3, 8)],
    [diagonal, speckled(shifted(RISING, -1, 0), 5, 8)],
    [cross, speckled(shifted(CROSS, -1, 1), 7, 10)],
    [diagonal, shifted(FALLING, 1, -1)],
    [cross, WOBBLY_CROSS],
    [vertical, SHAKY_LINE],
    [nothing, speckled(BLANK, 11, 6)],
  ]
  return drawn.map(([label, d]) => ({
    label,
    picture: d.map((row) => row.map((v) => (v === 1 ? '██' : v > 0 ? '▒▒' : '··')).join('')),
    data: pixels(d),
  }))
}
