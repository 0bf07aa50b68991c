// The parts that a fast Fourier transform of real numbers is made of, as KISS FFT (Borgerding) divides it: radices,
// twiddle factors, and what one element type's arithmetic is. A transform of N real numbers is one of N/2 complex ones.

export type RfftElem = 'i16' | 'i32' | 'f32'

/** What a fixed-point 1 is: the largest number of the type. */
export const ONE = { i16: 32767, i32: 2147483647 } as const

/** The radices of a complex transform, outermost first: 4 as often as it divides, then 2, 3, 5; undefined for others. */
export function radicesOf(length: number): number[] | undefined {
  const radices: number[] = []
  let left = length
  for (const p of [4, 2, 3, 5]) for (; left % p === 0; left /= p) radices.push(p)
  return left === 1 ? radices : undefined
}

/** Cosines and sines of `phases` in turn. */
function turns(phases: readonly number[], elem: RfftElem): number[] {
  const stored = (v: number) => (elem === 'f32' ? Math.fround(v) : Math.floor(0.5 + ONE[elem] * v))
  return phases.flatMap((phase) => [stored(Math.cos(phase)), stored(Math.sin(phase))])
}

/** exp(-2πi k / length) for each k: cosine, sine, cosine, … */
export function twiddles(length: number, elem: RfftElem): number[] {
  return turns(
    Array.from({ length }, (_, k) => (-2 * Math.PI * k) / length),
    elem,
  )
}

/** The factors that part the spectra of even and odd samples, for the bins 1 to length / 2. */
export function partingTwiddles(length: number, elem: RfftElem): number[] {
  return turns(
    Array.from({ length: length >> 1 }, (_, k) => -Math.PI * ((k + 1) / length + 0.5)),
    elem,
  )
}
