// A spoken word as the input of a small net: the loudest part of a recording, as cepstral coefficients from which the mean over
// time is taken away, so that neither the microphone nor how loud somebody speaks matters (Atal 1974, cepstral mean subtraction).

import { mfcc } from './mel.ts'
import { resample } from './resample.ts'

/** Rows of 25 ms, and coefficients in each. */
export const SPEECH = { rate: 8000, frames: 32, coefficients: 12 } as const
const [WINDOW, STEP] = [256, 200]
const LENGTH = STEP * (SPEECH.frames - 1) + WINDOW
/** Energy is taken over 10 ms; what is below this share of the loudest is silence. */
const [PART, SILENT] = [80, 0.003]

/** Features (32, 12) of a word, spoken once in `samples` at `rate` samples a second; zeros for silence. */
export function speechFeatures(samples: Float64Array, rate: number): Float32Array {
  const sound = rate === SPEECH.rate ? samples : resample(samples, rate, SPEECH.rate)
  const energy = new Float64Array(Math.ceil(sound.length / PART))
  for (const [i, x] of sound.entries()) energy[Math.floor(i / PART)] += x * x
  const least = SILENT * energy.reduce((a, b) => Math.max(a, b), 0)
  const [first, last] = [energy.findIndex((e) => e > least), energy.findLastIndex((e) => e > least)]
  const start = Math.round((PART * (first + last + 1) - LENGTH) / 2)
  const word = Float64Array.from({ length: LENGTH }, (_, i) => sound[start + i] ?? 0)
  const loudness = Math.sqrt(word.reduce((sum, x) => sum + x * x, 0) / LENGTH) || 1
  const { frames, coefficients } = SPEECH
  const rows = mfcc(
    word.map((x) => x / (10 * loudness)),
    {
      ...{ rate: SPEECH.rate, window: WINDOW, step: STEP, bins: 24, low: 80, high: 3800, scale: 'htk' },
      ...{ power: 2, log: (x) => Math.log(x + 0.01), coefficients, cosines: 'ortho' },
    },
  )
  for (let c = 0; c < coefficients; c++) {
    let mean = 0
    for (let f = 0; f < frames; f++) mean += rows[f * coefficients + c] / frames
    for (let f = 0; f < frames; f++) rows[f * coefficients + c] -= mean
  }
  return rows
}
