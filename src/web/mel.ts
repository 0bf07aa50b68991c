// Log-mel spectra and cepstra of sound (MFCC): windows, Fourier transform, triangles on the mel scale, logarithm, cosines.
// Two conventions, as models are trained on them: HTK's (Young et al., The HTK Book; TensorFlow's tf.signal), where triangles
// are straight lines over mel and mel = 2595 log10(1 + f / 700), and Slaney's (Auditory Toolbox 1998; librosa's default), where
// triangles are straight lines over hertz, each of area 1, and mel is linear below 1 kHz.

import { InputError } from '../errors.ts'

export type MelScale = 'htk' | 'slaney'

export interface MelOptions {
  /** Samples a second. */
  readonly rate: number
  /** Samples of a window, and from one window to the next. */
  readonly window: number
  readonly step: number
  /** Points of the Fourier transform, a power of two. Default: the first that holds a window. */
  readonly points?: number
  /** Default Hann's, periodic. */
  readonly taper?: 'hann' | 'hamming' | 'none'
  /** How many triangles, and where in hertz they begin and end. Default 0 to half the rate. */
  readonly bins: number
  readonly low?: number
  readonly high?: number
  readonly scale: MelScale
  /** Of magnitudes: 1 (default) or 2, their squares. */
  readonly power?: 1 | 2
  /** Default log(x + 1e-6), as TensorFlow's keyword models have it. */
  readonly log?: (energy: number) => number
}

export interface CepstrumOptions extends MelOptions {
  /** How many, from the first on. */
  readonly coefficients: number
  /** `ortho`: orthonormal cosines (DCT-II); `htk` (default for that scale): the same, the first coefficient not scaled by 1/√2. */
  readonly cosines?: 'ortho' | 'htk'
}

const [LINEAR_HZ, BREAK_HZ] = [200 / 3, 1000]
const BREAK_MEL = BREAK_HZ / LINEAR_HZ
const LOG_STEP = Math.log(6.4) / 27

/** The mel of a frequency. */
export function hertzToMel(hertz: number, scale: MelScale): number {
  if (scale === 'htk') return 2595 * Math.log10(1 + hertz / 700)
  return hertz < BREAK_HZ ? hertz / LINEAR_HZ : BREAK_MEL + Math.log(hertz / BREAK_HZ) / LOG_STEP
}

/** The frequency of a mel. */
export function melToHertz(mel: number, scale: MelScale): number {
  if (scale === 'htk') return 700 * (10 ** (mel / 2595) - 1)
  return mel < BREAK_MEL ? mel * LINEAR_HZ : BREAK_HZ * Math.exp((mel - BREAK_MEL) * LOG_STEP)
}

/** Triangles (bins, points / 2 + 1) over the bins of a Fourier transform. */
export function melFilters(options: Omit<MelOptions, 'step'>): Float64Array[] {
  const { rate, bins, low = 0, high = rate / 2, scale } = options
  const points = pointsOf(options)
  if (!(low >= 0 && low < high && high <= rate / 2))
    throw new InputError(
      'mel',
      `is to reach from ${low} to ${high} Hz at ${rate} samples a second`,
      `at most ${rate / 2} Hz`,
    )
  const [first, last] = [hertzToMel(low, scale), hertzToMel(high, scale)]
  const mels = Array.from({ length: bins + 2 }, (_, i) => first + ((last - first) * i) / (bins + 1))
  const overMel = scale === 'htk'
  const edges = overMel ? mels : mels.map((m) => melToHertz(m, scale))
  const places = Array.from({ length: points / 2 + 1 }, (_, k) => (k * rate) / points)
  return Array.from({ length: bins }, (_, b) => {
    const [left, centre, right] = edges.slice(b, b + 3)
    const height = overMel ? 1 : 2 / (right - left)
    return Float64Array.from(places, (hertz) => {
      const x = overMel ? hertzToMel(hertz, scale) : hertz
      // As tf.signal has it, what does not vibrate is no sound.
      if (overMel && hertz === 0) return 0
      return height * Math.max(0, Math.min((x - left) / (centre - left), (right - x) / (right - centre)))
    })
  })
}

/** Logarithms of mel energies (frames, bins), one frame for each whole window. */
export function logMel(samples: ArrayLike<number>, options: MelOptions): Float32Array {
  const { window: length, step, bins, power = 1, log = (x) => Math.log(x + 1e-6) } = options
  const points = pointsOf(options)
  const taper = taperOf(options)
  const filters = melFilters(options)
  const frames = Math.max(0, Math.floor((samples.length - length) / step) + 1)
  const result = new Float32Array(frames * bins) // (frames, bins)
  const [real, imaginary] = [new Float64Array(points), new Float64Array(points)]
  const spectrum = new Float64Array(points / 2 + 1)
  for (let f = 0; f < frames; f++) {
    real.fill(0)
    imaginary.fill(0)
    for (let i = 0; i < length; i++) real[i] = samples[f * step + i] * taper[i]
    fourier(real, imaginary)
    for (let k = 0; k < spectrum.length; k++) {
      const square = real[k] ** 2 + imaginary[k] ** 2
      spectrum[k] = power === 2 ? square : Math.sqrt(square)
    }
    for (let b = 0; b < bins; b++)
      result[f * bins + b] = log(filters[b].reduce((sum, w, k) => sum + w * spectrum[k], 0))
  }
  return result
}

/** Cepstral coefficients (frames, coefficients): the cosine transform of each frame's log-mel energies. */
export function mfcc(samples: ArrayLike<number>, options: CepstrumOptions): Float32Array {
  const { bins, coefficients, cosines = options.scale === 'htk' ? 'htk' : 'ortho' } = options
  const energies = logMel(samples, options)
  const frames = energies.length / bins
  const result = new Float32Array(frames * coefficients) // (frames, coefficients)
  const table = Array.from({ length: coefficients }, (_, c) => {
    const scale = Math.sqrt((c === 0 && cosines === 'ortho' ? 1 : 2) / bins)
    return Float64Array.from({ length: bins }, (_, b) => scale * Math.cos((Math.PI / bins) * (b + 0.5) * c))
  })
  for (let f = 0; f < frames; f++)
    for (let c = 0; c < coefficients; c++) {
      let sum = 0
      for (let b = 0; b < bins; b++) sum += table[c][b] * energies[f * bins + b]
      result[f * coefficients + c] = sum
    }
  return result
}

function pointsOf({
  window,
  points = 2 ** Math.ceil(Math.log2(window)),
}: Pick<MelOptions, 'window' | 'points'>): number {
  if (!(points >= window && Number.isInteger(Math.log2(points))))
    throw new InputError(
      'mel',
      `${points} points for windows of ${window} samples`,
      'give a power of two that holds them',
    )
  return points
}

function taperOf({ window, taper = 'hann' }: Pick<MelOptions, 'window' | 'taper'>): Float64Array {
  const [constant, wave] = { hann: [0.5, 0.5], hamming: [0.54, 0.46], none: [1, 0] }[taper]
  return Float64Array.from({ length: window }, (_, i) => constant - wave * Math.cos((2 * Math.PI * i) / window))
}

/** The discrete Fourier transform in place, by halves (Cooley & Tukey 1965). */
function fourier(real: Float64Array, imaginary: Float64Array): void {
  const n = real.length
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1
    for (; j & bit; bit >>= 1) j ^= bit
    j ^= bit
    if (i < j) {
      ;[real[i], real[j]] = [real[j], real[i]]
      ;[imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]]
    }
  }
  for (let size = 2; size <= n; size *= 2)
    for (let k = 0; k < size / 2; k++) {
      const [cos, sin] = [Math.cos((-2 * Math.PI * k) / size), Math.sin((-2 * Math.PI * k) / size)]
      for (let i = k; i < n; i += size) {
        const j = i + size / 2
        const [x, y] = [real[j] * cos - imaginary[j] * sin, real[j] * sin + imaginary[j] * cos]
        ;[real[j], imaginary[j]] = [real[i] - x, imaginary[i] - y]
        ;[real[i], imaginary[i]] = [real[i] + x, imaginary[i] + y]
      }
    }
}
