import { describe, expect, test } from 'vitest'
import { hertzToMel, logMel, melFilters, melToHertz, mfcc } from '../../src/web/mel.ts'

/** Two tones, a tenth of a second at 16 kHz. */
const tones = Float64Array.from(
  { length: 1600 },
  (_, n) => 0.5 * Math.sin((2 * Math.PI * 440 * n) / 16000) + 0.25 * Math.sin((2 * Math.PI * 1234.5 * n) / 16000 + 1),
)

const near = (got: ArrayLike<number>, wanted: readonly number[], digits = 4) => {
  expect(got.length).toBe(wanted.length)
  for (const [i, x] of wanted.entries()) expect(got[i]).toBeCloseTo(x, digits)
}

describe('mel scales', () => {
  test("Slaney's is librosa's: its documented values", () => {
    near(
      [60, 110, 220, 440].map((f) => hertzToMel(f, 'slaney')),
      [0.9, 1.65, 3.3, 6.6],
      9,
    )
    near(
      [1, 2, 3, 4, 5].map((m) => melToHertz(m, 'slaney')),
      [66.667, 133.333, 200, 266.667, 333.333],
      3,
    )
  })

  test("HTK's is 1127 ln(1 + f / 700) as well", () => {
    for (const f of [0, 20, 440, 4000, 8000])
      expect(hertzToMel(f, 'htk')).toBeCloseTo(1127.01 * Math.log(1 + f / 700), 1)
  })

  test.each(['htk', 'slaney'] as const)('%s: there and back', (scale) => {
    for (const f of [0, 1, 440, 999.9, 1000, 1000.1, 7999])
      expect(melToHertz(hertzToMel(f, scale), scale)).toBeCloseTo(f, 8)
  })
})

describe('triangles', () => {
  test("Slaney's are the first of librosa.filters.mel(sr=22050, n_fft=2048)", () => {
    const filters = melFilters({ rate: 22050, window: 2048, bins: 128, scale: 'slaney' })
    near(
      filters[0].subarray(0, 6),
      [0, 0.016182853208219942, 0.032365706416439884, 0.028990088037379964, 0.012807234829160026, 0],
      12,
    )
    near(
      filters[1].subarray(0, 9),
      [
        0, 0, 0, 0.009779235793639925, 0.025962089001859864, 0.035393705451959974, 0.01921085224374004,
        0.003027999035520103, 0,
      ],
      12,
    )
  })

  test("HTK's share every frequency between two neighbours", () => {
    const filters = melFilters({ rate: 16000, window: 512, bins: 40, low: 20, high: 4000, scale: 'htk' })
    for (let k = 2; k < 120; k++) {
      const sum = filters.reduce((s, f) => s + f[k], 0)
      expect(sum, `bin ${k}`).toBeCloseTo(1, 9)
    }
    expect(filters.every((f) => f[0] === 0)).toBe(true)
  })

  test('a range that the sound cannot have is an error', () => {
    expect(() => melFilters({ rate: 8000, window: 256, bins: 20, high: 8000, scale: 'htk' })).toThrow(
      'mel: is to reach from 0 to 8000 Hz at 8000 samples a second',
    )
    expect(() => melFilters({ rate: 8000, window: 256, points: 200, bins: 20, scale: 'htk' })).toThrow(
      '200 points for windows of 256 samples',
    )
  })
})

describe('spectra and cepstra of two tones', () => {
  // The figures of both are NumPy's and SciPy's (rfft, dct) on these formulas.
  const tensorflow = { rate: 16000, window: 480, step: 320, bins: 40, low: 20, high: 4000, scale: 'htk' } as const

  test('as tf.signal computes them', () => {
    const energies = logMel(tones, tensorflow)
    expect(energies.length).toBe(4 * 40)
    near(
      [0, 5, 20, 39].map((b) => energies[b]),
      [-4.533435736018551, -2.027597013063796, 3.3212330949897826, -8.503160212462719],
    )
    const cepstra = mfcc(tones, { ...tensorflow, coefficients: 10 })
    near(
      cepstra.subarray(10, 20),
      [
        -31.610540937436284, 15.184491115377709, -9.445640884597251, -1.6852468575552593, -2.10354694191292,
        -8.339461826588755, -5.014391711549929, 5.628257326387244, 5.947019379396253, -1.0408224452259658,
      ],
    )
  })

  test('as librosa computes them, uncentred', () => {
    const decibel = (x: number) => 10 * Math.log10(Math.max(1e-10, x))
    const options = { rate: 16000, window: 512, step: 160, bins: 32, scale: 'slaney', power: 2, log: decibel } as const
    const energies = logMel(tones, options)
    expect(energies.length).toBe(7 * 32)
    near(
      [0, 3, 10, 31].map((b) => energies[2 * 32 + b]),
      [-61.85900680777653, 11.56239272508806, -42.71441623316069, -100],
      3,
    )
    const cepstra = mfcc(tones, { ...options, coefficients: 13 })
    near(
      cepstra.subarray(26, 39),
      [
        -349.12980702703055, 173.88826275736372, -24.78727381439414, -50.71639696992375, 17.290655000866188,
        22.090465583089966, -31.89455705072598, -74.95252210280663, -68.97215915645629, -22.391190199383487,
        12.935326721613743, 9.515233211630866, -3.2348659867857594,
      ],
      3,
    )
  })

  test('less sound than a window has no frame', () => {
    expect(logMel(tones.subarray(0, 479), tensorflow)).toHaveLength(0)
    expect(logMel(tones.subarray(0, 480), tensorflow)).toHaveLength(40)
  })
})
