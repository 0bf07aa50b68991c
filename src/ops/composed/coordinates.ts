// Which positions of an axis a resized position comes from, and with what weights: the coordinate transformations, the
// rounding of nearest neighbours and the filters of ONNX's Resize (Keys 1981 for the cubic one).

import { tableLength } from '../../ir/limits.ts'

/** How a position of the output lies on the input. `start` and `end` are the normalised region of tf_crop_and_resize. */
export interface Coordinates {
  readonly mode:
    | 'half_pixel'
    | 'half_pixel_symmetric'
    | 'pytorch_half_pixel'
    | 'align_corners'
    | 'asymmetric'
    | 'tf_half_pixel_for_nn'
    | 'tf_crop_and_resize'
  readonly scale: number
  readonly start: number
  readonly end: number
  readonly extrapolation: number
}

/** The filter: `a` is the cubic one's coefficient, `antialias` widens it where the axis shrinks. */
export interface Interpolation {
  readonly kind: 'linear' | 'cubic'
  readonly a: number
  readonly excludeOutside: boolean
  readonly antialias: boolean
}

/** The coordinate on the input of position `i` of the output. */
export function coordinate(i: number, from: number, to: number, c: Coordinates): number {
  const { scale } = c
  switch (c.mode) {
    case 'half_pixel':
      return (i + 0.5) / scale - 0.5
    case 'half_pixel_symmetric': {
      const adjusted = to / (scale * from)
      return (from / 2) * (1 - adjusted) + (i + 0.5) / scale - 0.5
    }
    case 'pytorch_half_pixel':
      return to > 1 ? (i + 0.5) / scale - 0.5 : 0
    case 'align_corners':
      return to > 1 ? (i * (from - 1)) / (to - 1) : 0
    case 'asymmetric':
      return i / scale
    case 'tf_half_pixel_for_nn':
      return (i + 0.5) / scale
    case 'tf_crop_and_resize':
      return to > 1
        ? c.start * (from - 1) + (i * (c.end - c.start) * (from - 1)) / (to - 1)
        : 0.5 * (c.start + c.end) * (from - 1)
  }
}

/** The nearest position by ONNX's `nearest_mode`, inside the axis. */
export function nearestPosition(x: number, from: number, mode: string): number {
  const rounded = {
    round_prefer_floor: Math.ceil(x - 0.5),
    round_prefer_ceil: Math.floor(x + 0.5),
    floor: Math.floor(x),
    ceil: Math.ceil(x),
  }[mode]
  return Math.min(from - 1, Math.max(0, rounded ?? Math.floor(x)))
}

function filter(distance: number, { kind, a }: Interpolation): number {
  const x = Math.abs(distance)
  if (kind === 'linear') return Math.max(0, 1 - x)
  if (x <= 1) return (a + 2) * x ** 3 - (a + 3) * x ** 2 + 1
  return x < 2 ? a * x ** 3 - 5 * a * x ** 2 + 8 * a * x - 4 * a : 0
}

/** Taps of every position of the output: positions and weights are [n, taps], offsets [n]. */
export interface AxisTable {
  readonly taps: number
  readonly positions: readonly number[]
  readonly weights: readonly number[]
  readonly offsets: readonly number[]
}

/** The table of one axis: each position's taps, clamped to the axis, with weights that add up to 1. */
export function axisTable(from: number, to: number, c: Coordinates, f: Interpolation): AxisTable {
  const shrink = f.antialias ? Math.min(1, c.scale) : 1
  const reach = (f.kind === 'linear' ? 1 : 2) / shrink
  const taps = 2 * Math.ceil(reach)
  tableLength(to * taps, 'the table of an axis', 'resize')
  const positions: number[] = []
  const weights: number[] = []
  const offsets: number[] = []
  for (let i = 0; i < to; i++) {
    const x = coordinate(i, from, to, c)
    const outside = c.mode === 'tf_crop_and_resize' && (x < 0 || x > from - 1)
    const first = Math.floor(x) - Math.ceil(reach) + 1
    const at = Array.from({ length: taps }, (_, k) => first + k)
    const raw = at.map((p) => (f.excludeOutside && (p < 0 || p >= from) ? 0 : filter((p - x) * shrink, f)))
    const total = raw.reduce((sum, w) => sum + w, 0)
    positions.push(...at.map((p) => Math.min(from - 1, Math.max(0, p))))
    weights.push(...raw.map((w) => (outside ? 0 : Math.fround(w / total))))
    offsets.push(outside ? Math.fround(c.extrapolation) : 0)
  }
  return { taps, positions, weights, offsets }
}
