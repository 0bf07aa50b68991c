// Boxes of a detector: what a single-shot detector says of its prior boxes becomes boxes in the picture, and of boxes that
// show the same thing the best is kept. Sources: Liu et al. 2016 (SSD), priors of one aspect ratio; greedy non-maximum
// suppression by intersection over union.

import { InputError } from '../errors.ts'

/** Corners in units of the picture: 0 to 1 from left to right and from top to bottom. */
export interface Box {
  readonly left: number
  readonly top: number
  readonly right: number
  readonly bottom: number
}

export interface Found extends Box {
  readonly score: number
  readonly class: number
}

/** Square priors of a detector: for each of its grids, how many cells, and sides of the boxes in each cell in pixels. */
export interface PriorOptions {
  readonly width: number
  readonly height: number
  readonly grids: readonly { readonly columns: number; readonly rows: number; readonly sides: readonly number[] }[]
}

/** Priors as (centre x, centre y, width, height), each in [0, 1]: by grids, rows, columns, sides. */
export function priorBoxes({ width, height, grids }: PriorOptions): Float32Array {
  const unit = (x: number) => Math.min(1, x)
  const cells = ({ columns, rows, sides }: PriorOptions['grids'][number]) =>
    Array.from({ length: rows * columns }, (_, i) => [
      ((i % columns) + 0.5) / columns,
      (Math.floor(i / columns) + 0.5) / rows,
    ])
      .flatMap(([x, y]) => sides.map((side) => [x, y, unit(side / width), unit(side / height)]))
      .flat()
  return Float32Array.from(grids.flatMap(cells)) // (N, 4)
}

/** Of Ultra-Light-Fast-Generic-Face-Detector for 320 x 240 pixels (Linzaer 2019): mean 127, std 128, class 1 a face. */
export const ULTRAFACE: PriorOptions = {
  width: 320,
  height: 240,
  grids: [
    { columns: 40, rows: 30, sides: [10, 16, 24] },
    { columns: 20, rows: 15, sides: [32, 48] },
    { columns: 10, rows: 8, sides: [64, 96] },
    { columns: 5, rows: 4, sides: [128, 192, 256] },
  ],
}

export interface DetectionOptions {
  /** Boxes with less are not looked at. Default 0.5. */
  readonly score?: number
  /** Two boxes of a class that share more of their union are one. Default 0.3. */
  readonly overlap?: number
  /** How many boxes at most. Default 100. */
  readonly most?: number
  /** By which centres and sizes are multiplied. Default 0.1 and 0.2, as detectors of this kind are trained. */
  readonly variance?: readonly [centre: number, size: number]
}

/**
 * What a detector found: `scores` (N, classes), class 0 the background, and `offsets` (N, 4) from `priors` (N, 4): centre and
 * logarithm of the size, both in units of the prior times a variance. Best first. Throws InputError.
 */
export function detections(
  scores: ArrayLike<number>,
  offsets: ArrayLike<number>,
  priors: Float32Array,
  options: DetectionOptions = {},
): Found[] {
  const count = priors.length / 4
  const classes = scores.length / count
  if (offsets.length !== priors.length || !Number.isInteger(classes))
    throw new InputError(
      'detections',
      `${offsets.length} offsets and ${scores.length} scores for ${count} priors`,
      'each prior has four offsets and a score for each class',
    )
  const { score: least = 0.5, variance = [0.1, 0.2] } = options
  const found: Found[] = []
  for (let i = 0; i < count; i++)
    for (let c = 1; c < classes; c++) {
      const score = scores[i * classes + c]
      if (score >= least) found.push({ ...decoded(offsets, priors, i, variance), score, class: c })
    }
  return nonMaximumSuppression(found, options)
}

function decoded(
  offsets: ArrayLike<number>,
  priors: Float32Array,
  i: number,
  [centre, size]: readonly [number, number],
): Box {
  const [cx, cy, w, h] = priors.subarray(4 * i, 4 * i + 4)
  const [x, y] = [cx + offsets[4 * i] * centre * w, cy + offsets[4 * i + 1] * centre * h]
  const [width, height] = [w * Math.exp(offsets[4 * i + 2] * size), h * Math.exp(offsets[4 * i + 3] * size)]
  return { left: x - width / 2, top: y - height / 2, right: x + width / 2, bottom: y + height / 2 }
}

/** Of boxes of one class that overlap, the one with the highest score; best first. */
export function nonMaximumSuppression(
  boxes: readonly Found[],
  { overlap = 0.3, most = 100 }: Pick<DetectionOptions, 'overlap' | 'most'> = {},
): Found[] {
  const kept: Found[] = []
  for (const box of boxes.toSorted((a, b) => b.score - a.score)) {
    if (kept.length === most) break
    if (kept.every((k) => k.class !== box.class || intersectionOverUnion(k, box) <= overlap)) kept.push(box)
  }
  return kept
}

/** The area that two boxes share, as a part of the area that they cover. */
export function intersectionOverUnion(a: Box, b: Box): number {
  const side = (from: number, to: number) => Math.max(0, to - from)
  const area = ({ left, top, right, bottom }: Box) => side(left, right) * side(top, bottom)
  const shared = area({
    left: Math.max(a.left, b.left),
    top: Math.max(a.top, b.top),
    right: Math.min(a.right, b.right),
    bottom: Math.min(a.bottom, b.bottom),
  })
  const covered = area(a) + area(b) - shared
  return covered > 0 ? shared / covered : 0
}
