// Depthwise by four rows, for engines whose relaxed dot product is exact for signed weights and unsigned inputs: a column of
// four rows is one word, with the bytes 128 higher, and one instruction takes four taps of four channels. Rows of outputs
// that need other bytes of the words have their weights shifted.

import { bug } from '../../errors.ts'
import type { Arg } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { type Buf, type Expr, I8X16, I32X4 } from '../../loops/ir.ts'
import { parameters } from '../../ops/parameters.ts'
import type { Depthwise } from '../armv7em/depthwise.ts'
import type { Recipe } from '../target.ts'
import { channelWeights, depthwiseBy, type Plane, type Zip } from './depthwise.ts'
import { byPanels, byTaps } from './panels.ts'
import { packTruncation, raisedWord, TOP, truncationOf } from './truncate.ts'

const range = (n: number) => Array.from({ length: n }, (_, i) => i)
const sum = (row: readonly number[]) => row.reduce((n, w) => n + w, 0)

/** Taps of a window, of which `rest` has a weight for each channel, as products of their own. */
function moreTaps(rest: readonly (readonly number[])[], taps: readonly number[], plane: Plane) {
  if (taps.length === 0) return undefined
  const { row, column, channels, rows, width } = plane
  const at = taps.flatMap((tap) =>
    range(rows).map((r) => {
      const kh = Math.floor(tap / column.taps) + r * row.stride
      return { place: 4 * channels * ((kh >> 2) * width + (tap % column.taps)), byte: kh & 3 }
    }),
  )
  const words = Int32Array.from(
    at.flatMap(({ byte }, i) => rest.map((of) => (of[Math.floor(i / rows)] & 255) << (8 * byte))),
  )
  const packed = byPanels(words, channels, 4)
  const w = L.buffer('beyond', 'i32', [packed.data.length])
  const places = L.buffer('places', 'i32', [at.length])
  const bufs: (readonly [Buf, Arg])[] = [
    [w, packed],
    [places, { data: Int32Array.from(at, ({ place }) => place) }],
  ]
  return {
    count: taps.length,
    bufs,
    place: (tap: Expr, r: number) => L.load(places, L.add(L.mul(tap, rows), r)),
    weight: (panel: Expr, tap: Expr, r: number) =>
      L.loadLanes(w, I32X4, L.mul(L.add(L.add(L.mul(panel, at.length), L.mul(tap, rows)), r), 4)),
  }
}

function quads(d: Depthwise, plane: Plane): Zip | undefined {
  const { s } = d
  const { row, column, panels } = plane
  const weights = channelWeights(d)
  const truncation = truncationOf(s, weights)
  if (!truncation) return undefined
  const packed = packTruncation(truncation, (c) => 128 * sum(weights[c]), panels, 1)
  const numbers = parameters('numbers', 'i32', { zero_x: raisedWord(s.zeroX) })
  // of each panel, column of the window and four of its rows: a word for each channel
  const words = Math.ceil(row.taps / 4)
  const byte = (w: number) => Math.max(-128, Math.min(127, w))
  const weight = (c: number, kh: number, kw: number) => byte(weights[c][kh * column.taps + kw])
  // what does not fit a byte
  const beyond = range(weights[0].length).filter((tap) => weights.some((of) => of[tap] !== byte(of[tap])))
  if (3 * beyond.length > weights[0].length) return undefined
  const windows = { channels: d.channels, rows: row.taps, columns: column.taps, zero: 0, weight }
  const packedWeights = byTaps(windows, 4, [column.taps, words], (kw, word) => ({ kh: L.mul(word, 4), kw }))
  const w = L.buffer('w', 'i8', [packedWeights.data.length])
  const more = moreTaps(
    weights.map((of) => beyond.map((tap) => of[tap] - byte(of[tap]))),
    beyond,
    plane,
  )
  const halves = (e: Expr) => L.op('halves', L.op('bits', e))
  return {
    taps: 4,
    z: 'i8',
    step: 16,
    unrolled: true,
    head: numbers.head,
    bufs: [
      [w, packedWeights],
      ...numbers.bufs.map((buf, i) => [buf, numbers.args[i]] as const),
      ...(more?.bufs ?? []),
      ...packed.bufs,
    ],
    more,
    zeros: L.op('bytes', L.splat(numbers.of.zero_x, 4)),
    line(x, at, inside, named) {
      const mask = named('mask', L.splat(L.select(inside, -1, 0), 4))
      const by = named('by', L.splat(L.select(inside, TOP, numbers.of.zero_x), 4))
      return (i) => L.op('bytes', L.op('xor', L.op('and', L.op('bits', L.loadLanes(x, I8X16, L.add(at, i))), mask), by))
    },
    zip([a, b, c, d], named) {
      const [low, high] = (['zipLow', 'zipHigh'] as const).map((op) =>
        [named('upper', L.op(op, a, b)), named('lower', L.op(op, c, d))].map(halves),
      )
      return [low, high].flatMap(([upper, lower]) =>
        (['zipLow', 'zipHigh'] as const).map((op) => L.op('bytes', L.op('bits', L.op(op, upper, lower)))),
      )
    },
    start: (panel) => packed.start(L.mul(panel, 4)),
    weights(panel, zip, named) {
      if (typeof zip !== 'number') return bug('a zipped row without a number')
      return range(column.taps).map((kw) => {
        const loaded = range(words).map((i) => {
          const at = L.mul(L.add(L.mul(panel, column.taps * words), kw * words + i), 16)
          let register: Expr | undefined
          return () => (register ??= named('w', L.op('bits', L.loadLanes(w, I8X16, at))))
        })
        return range(plane.rows).map((r) => {
          const first = 4 * zip - r * row.stride
          if (first <= -4 || first >= row.taps) return undefined
          const [word, bytes] = [Math.floor(first / 4), ((first % 4) + 4) % 4]
          const upper = loaded[word]?.()
          if (bytes === 0) return upper
          const next = loaded[word + 1]?.()
          const parts = [
            ...(upper ? [L.op('ushr', upper, L.splat(8 * bytes, 4))] : []),
            ...(next ? [L.op('shl', next, L.splat(32 - 8 * bytes, 4))] : []),
          ]
          return named('w', parts.length > 1 ? L.op('or', parts[0], parts[1]) : parts[0])
        })
      })
    },
    load: (z, at) => L.op('bits', L.loadLanes(z, I8X16, at)),
    product: (sum, weights, input) => L.op('quad', weights, input, sum),
    finish: (panel, sums, y, place, name) =>
      packed.finish(
        panel,
        sums.flat().map((sum) => [sum]),
        y,
        (i) => place(Math.floor(i / plane.columns), i % plane.columns),
        name,
      ),
  }
}

/** Four taps of four channels at once. */
export const depthwiseQuads: Recipe = depthwiseBy({
  name: 'quads of taps',
  taps: 4,
  rows: () => 2,
  columns: { 1: [5], 2: [5] },
  zip: quads,
})
