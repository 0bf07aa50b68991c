// Sound at another rate: a sinc filter under a Hann window, cut off at the lower of the two Nyquist frequencies. Each output
// is a weighted mean of its neighbours, weights summing to 1, so that a constant stays constant up to the ends.

/** Zero crossings of the sinc on each side. */
const CROSSINGS = 16

/** The first `count` samples at rate `to` of sound at rate `from`; at most as many as it lasts. */
export function resample(
  samples: Float64Array,
  from: number,
  to: number,
  count = Number.POSITIVE_INFINITY,
): Float64Array {
  const result = new Float64Array(Math.min(count, Math.ceil((samples.length * to) / from)))
  const cut = Math.min(1, to / from)
  const radius = CROSSINGS / cut
  for (let i = 0; i < result.length; i++) {
    const centre = (i * from) / to
    const end = Math.min(samples.length - 1, Math.floor(centre + radius))
    let [sum, weights] = [0, 0]
    for (let k = Math.max(0, Math.ceil(centre - radius)); k <= end; k++) {
      const x = Math.PI * cut * (k - centre)
      const w = (x === 0 ? 1 : Math.sin(x) / x) * (1 + Math.cos(x / CROSSINGS))
      sum += w * samples[k]
      weights += w
    }
    result[i] = sum / weights
  }
  return result
}
