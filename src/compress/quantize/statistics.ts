// What calibration remembers of a tensor: its range, a histogram, and the range and mean of each channel (slice of the last
// axis). Nothing of a sample is kept. Bins are as wide as a power of two and start at multiples of their width, so that
// two become one without loss when the range grows.

const HALF = 4096

/** The range, histogram and channels of float32 elements seen so far. */
export class Statistics {
  least = Number.POSITIVE_INFINITY
  most = Number.NEGATIVE_INFINITY
  /** Elements, among them zeros, and those that are NaN or infinite, which nothing else counts. */
  count = 0
  zeros = 0
  wrong = 0
  /** Bin `i` counts elements from (i - bins.length / 2) * width on. */
  width = 0
  readonly bins = new Float64Array(2 * HALF)
  readonly channelLeast: Float64Array
  readonly channelMost: Float64Array
  readonly channelSum: Float64Array

  constructor(channels: number) {
    this.channelLeast = new Float64Array(channels).fill(Number.POSITIVE_INFINITY)
    this.channelMost = new Float64Array(channels).fill(Number.NEGATIVE_INFINITY)
    this.channelSum = new Float64Array(channels)
  }

  add(x: Float32Array): void {
    const { bins, channelLeast, channelMost, channelSum } = this
    const C = channelLeast.length
    let c = 0
    for (let i = 0; i < x.length; i++) {
      const v = x[i]
      if (v - v === 0) {
        if (v < channelLeast[c]) channelLeast[c] = v
        if (v > channelMost[c]) channelMost[c] = v
        channelSum[c] += v
      } else this.wrong++
      if (++c === C) c = 0
    }
    let most = 0
    for (c = 0; c < C; c++) {
      if (channelLeast[c] < this.least) this.least = channelLeast[c]
      if (channelMost[c] > this.most) this.most = channelMost[c]
    }
    most = Math.max(-this.least, this.most)
    if (most > 0 && most < Number.POSITIVE_INFINITY) this.widen(most)
    const perBin = this.width === 0 ? 0 : 1 / this.width
    for (let i = 0; i < x.length; i++) {
      const v = x[i]
      if (v - v !== 0) continue
      if (v === 0) this.zeros++
      bins[Math.floor(v * perBin) + HALF]++
    }
    this.count += x.length
  }

  /** Makes room for `most` on both sides of 0; the first time with half of the bins to spare. */
  private widen(most: number): void {
    if (this.width === 0) {
      this.width = 2 ** Math.max(-1000, Math.ceil(Math.log2(most / HALF)) + 1)
      return
    }
    while (most >= HALF * this.width) {
      const old = this.bins.slice()
      this.bins.fill(0)
      for (let i = 0; i < old.length; i++) this.bins[Math.floor((i - HALF) / 2) + HALF] += old[i]
      this.width *= 2
    }
  }

  /** The mean of channel `c`. */
  mean(c: number): number {
    return (this.channelSum[c] * this.channelLeast.length) / Math.max(1, this.count)
  }
}
