// AdaRound's question (Nagel et al. 2020): for each weight whether up or down, so that the layer's outputs, not its weights,
// come near those of the float32 model. The error of a channel is a quadratic form of its weights' rounding errors; it is
// brought down one weight at a time until no change of one weight lowers it. The paper relaxes the choice and descends
// along the gradient instead; the aim is the same.

const SWEEPS = 60
/**
 * Of the mean variance of inputs, added to each one's: this much, and as much for each input that is to one position. With
 * few positions the sums of these alone say little of others, and the nearest rounding keeps its say.
 */
const RIDGE = 0.01
const RIDGE_OF_FEW = 0.25

export interface Rounded {
  readonly integers: Int32Array
  /** The mean squared error of the outputs that is left, less what no rounding changes. */
  readonly loss: number
}

/**
 * The integers of one channel, from the nearest ones on: `real` weights, their `scale`, the quadratic form C [K x K] and
 * the linear part R [K], both means over so many `positions`, integers from `least` to `most`.
 */
export function roundChannel(
  real: Float64Array,
  scale: number,
  C: Float64Array,
  R: Float64Array,
  [least, most]: readonly [least: number, most: number],
  positions: number,
): Rounded {
  const K = real.length
  const q = Int32Array.from(real, (w) => Math.max(least, Math.min(most, Math.round(w / scale))))
  const off = Float64Array.from(real, (w, k) => scale * q[k] - w)
  let trace = 0
  for (let k = 0; k < K; k++) trace += C[k * K + k]
  const ridge = ((RIDGE + (RIDGE_OF_FEW * K) / positions) * trace) / K
  if (!(trace > 0)) return { integers: q, loss: 0 }
  // Half the gradient: C off - R.
  const g = Float64Array.from(R, (r, i) => {
    let sum = ridge * off[i] - r
    for (let k = 0; k < K; k++) sum += C[i * K + k] * off[k]
    return sum
  })
  const worth = (1e-9 * scale * scale * trace) / K
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let changed = false
    for (let k = 0; k < K; k++) {
      const curve = C[k * K + k] + ridge
      const step = off[k] > 0 ? -1 : 1
      const to = q[k] + step
      if (to > most || to < least) continue
      const d = step * scale
      if (2 * d * g[k] + d * d * curve >= -worth) continue
      q[k] = to
      off[k] += d
      for (let i = 0, at = k * K; i < K; i++) g[i] += d * C[at + i]
      g[k] += d * ridge
      changed = true
    }
    if (!changed) break
  }
  let loss = 0
  for (let k = 0; k < K; k++) loss += off[k] * (g[k] - R[k])
  return { integers: q, loss }
}
