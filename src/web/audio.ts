// Sound as it arrives, in pieces of any length, as the input of a model: overlapping windows, a front end on each of them, and
// the last rows of what it says. The numbers of TensorFlow Lite Micro's micro_speech: windows of 30 ms every 20 ms, 49 rows.

/** Samples in [-1, 1] as whole 16-bit numbers, saturated. */
export function toInt16(samples: ArrayLike<number>): Int16Array {
  return Int16Array.from(samples, (x) => Math.max(-32768, Math.min(32767, Math.round(x * 32768))))
}

/** Cuts sound into windows of `length` samples, one every `step`. */
export class Windows {
  private readonly length: number
  private readonly step: number
  private held = new Int16Array(0)
  /** Samples between the end of what was seen and the next window. */
  private skip = 0

  /** Defaults are 30 and 20 ms at 16 kHz. */
  constructor(length = 480, step = 320) {
    this.length = length
    this.step = step
  }

  /** The windows that are complete with these samples, oldest first. */
  push(samples: Int16Array): Int16Array[] {
    const fresh = samples.subarray(this.skip)
    this.skip = Math.max(0, this.skip - samples.length)
    const all = new Int16Array(this.held.length + fresh.length)
    all.set(this.held)
    all.set(fresh, this.held.length)
    const windows: Int16Array[] = []
    let at = 0
    for (; at + this.length <= all.length; at += this.step) windows.push(all.slice(at, at + this.length))
    this.held = all.slice(at)
    if (at > all.length) this.skip += at - all.length
    return windows
  }

  /** Forgets samples that wait for others. */
  reset(): void {
    this.held = new Int16Array(0)
    this.skip = 0
  }
}

export interface SpectrogramOptions {
  /** Features of one window, int8: `run` of a front end that was compiled. */
  readonly frontEnd: (window: Int16Array) => Int8Array
  /** Forgets what the front end heard. */
  readonly reset?: () => void
  readonly rows?: number
  readonly features?: number
  readonly length?: number
  readonly step?: number
}

/** The last rows of features, as a model of sound takes them. */
export class Spectrogram {
  /** Rows (rows, features), oldest first; before the first window all -128, as after silence. */
  readonly data: Int8Array
  private readonly options: SpectrogramOptions
  private readonly windows: Windows
  private readonly features: number

  /** Defaults are micro_speech's: 49 rows of 40 features, windows of 480 samples every 320. */
  constructor(options: SpectrogramOptions) {
    const { rows = 49, features = 40, length, step } = options
    this.options = options
    this.features = features
    this.windows = new Windows(length, step)
    this.data = new Int8Array(rows * features).fill(-128)
  }

  /** Takes samples in and says how many rows are new. */
  push(samples: Int16Array): number {
    const windows = this.windows.push(samples)
    for (const window of windows) {
      this.data.copyWithin(0, this.features)
      this.data.set(this.options.frontEnd(window), this.data.length - this.features)
    }
    return windows.length
  }

  /** Back to before the first sample. */
  reset(): void {
    this.windows.reset()
    this.options.reset?.()
    this.data.fill(-128)
  }
}
