// Depthwise by pairs of rows: inputs are widened and scaled up once, `dot` takes two taps of a column. Two rows of outputs that
// are one apart share the pairs: taps (0, 1) (2, -) of the first, (-, 0) (1, 2) of the second.

import * as L from '../../loops/build.ts'
import { I16X8 } from '../../loops/ir.ts'
import type { Depthwise } from '../armv7em/depthwise.ts'
import type { Recipe } from '../target.ts'
import { channelWeights, depthwiseBy, type Plane, type Zip } from './depthwise.ts'
import { finishOf, inputsOf, packFinish, weightZero } from './finish.ts'
import { byTaps } from './panels.ts'
import { eight } from './requantize.ts'

const range = (n: number) => Array.from({ length: n }, (_, i) => i)

/** Of each panel, row of pairs, tap of a row and row of outputs: two weights of each of four channels. */
function packWeights({ s, channels, weight }: Depthwise, { row, column, rows, zips }: Plane) {
  const windows = { channels, rows: row.taps, columns: column.taps, zero: s.zeroW, weight }
  return byTaps(windows, 2, [zips, column.taps, rows], (pair, kw, r) => ({
    kh: L.sub(L.mul(pair, 2), L.mul(r, row.stride)),
    kw,
  }))
}

function pairs(d: Depthwise, plane: Plane): Zip | undefined {
  const { column, rows, columns, zips, panels } = plane
  const finish = finishOf(d.s, channelWeights(d))
  if (!finish) return undefined
  const recentre = weightZero(d.s)
  const packed = packFinish(finish, panels, 1, columns)
  const inputs = inputsOf(packed)
  const weights = packWeights(d, plane)
  const w = L.buffer('w', 'i8', [weights.data.length])
  return {
    taps: 2,
    z: 'i16',
    step: 8,
    head: [...recentre.head, ...inputs.head],
    bufs: [[w, weights], ...recentre.bufs, ...packed.bound],
    zeros: inputs.zeros,
    // outside, any row times 0 and the zero point
    line(x, at, inside, named) {
      const factor = named('factor', eight(L.select(inside, inputs.gain, 0)))
      const outside = named('outside', eight(L.select(inside, 0, inputs.zero)))
      return (i) => L.op('add', L.op('mul', L.loadLanes(x, I16X8, L.add(at, i)), factor), outside)
    },
    zip: ([a, b]) => [L.op('zipLow', a, b), L.op('zipHigh', a, b)],
    start: (panel) => packed.start(L.mul(panel, 4)),
    weights(panel, pair, named) {
      const first = L.mul(L.add(L.mul(panel, zips), pair), 8 * column.taps * rows)
      return range(column.taps).map((kw) =>
        range(rows).map((r) => named('w', recentre.of(L.loadLanes(w, I16X8, L.add(first, 8 * (kw * rows + r)))))),
      )
    },
    load: (z, at) => L.loadLanes(z, I16X8, at),
    product: (sum, weights, input) => L.op('wadd', sum, L.op('dot', input, weights)),
    finish: (panel, sums, y, place, name) =>
      L.block(
        ...sums.map((row, r) =>
          packed.finish(
            panel,
            row.map((sum) => [sum]),
            y,
            (u) => place(r, u),
            name,
          ),
        ),
      ),
  }
}

/** Two taps of four channels at once. */
export const depthwise: Recipe = depthwiseBy({
  name: 'pairs of taps',
  taps: 2,
  rows: ({ stride }) => (stride === 1 ? 2 : 1),
  columns: { 1: [5], 2: [5, 4] },
  zip: pairs,
})
