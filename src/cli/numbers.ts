// Numbers on the command line: sizes, counts, shapes and choices in, bars out.

import { InputError } from '../errors.ts'

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }

/** `262144`, `256K`, `256KB`, `1M`, `1.5MiB` in bytes. */
export function parseSize(text: string, flag: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([KMG]?)(?:i?B)?$/i.exec(text.trim())
  const bytes = match ? Math.floor(Number(match[1]) * UNITS[match[2].toUpperCase()]) : Number.NaN
  if (!Number.isSafeInteger(bytes) || bytes < 1)
    throw new InputError(flag, `"${text}" is not a size`, 'give bytes, or a number with K, M or G: 262144, 256K, 1M')
  return bytes
}

/** `5000000`, `5000K`, `5M`: a count, in thousands and millions. */
export function parseCount(text: string, flag: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([KMG]?)$/i.exec(text.trim())
  const n = match
    ? Math.floor(Number(match[1]) * 1000 ** ['', 'K', 'M', 'G'].indexOf(match[2].toUpperCase()))
    : Number.NaN
  if (!Number.isSafeInteger(n) || n < 1)
    throw new InputError(flag, `"${text}" is not a count`, 'give a number, or one with K, M or G: 5000000, 5M')
  return n
}

/** A whole number in [lo, hi]. */
export function parseWhole(text: string, flag: string, lo: number, hi: number): number {
  const n = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(n >= lo && n <= hi))
    throw new InputError(
      flag,
      `"${text}" is not a whole number from ${lo} to ${hi}`,
      `for example ${flag} ${Math.max(lo, 1)}`,
    )
  return n
}

/** `name=1,3,224,224`, several with `;` between. */
export function parseShapes(text: string): Record<string, number[]> {
  const entries = text.split(';').map((part) => {
    const [, name, sizes] = /^\s*(.+)=([\d,\s]+)$/.exec(part) ?? []
    const shape = sizes?.split(',').map(Number)
    if (!name || !shape?.every((d) => Number.isInteger(d) && d > 0))
      throw new InputError('--shape', `"${part}" is not of the form name=1,3,224,224`, 'mote inspect lists the inputs')
    return [name, shape] as const
  })
  return Object.fromEntries(entries)
}

/** Numbers with `,` (or another `separator`) between. */
export function parseNumbers(text: string, flag: string, separator = ','): number[] {
  const numbers = text.split(separator).map((part) => (part.trim() === '' ? Number.NaN : Number(part)))
  if (!numbers.every(Number.isFinite))
    throw new InputError(flag, `"${text}" is not a list of numbers`, `put ${separator} between them`)
  return numbers
}

/** One of `names`. */
export function parseChoice<Name extends string>(text: string, flag: string, names: readonly Name[]): Name {
  const name = names.find((n) => n === text)
  if (name === undefined) throw new InputError(flag, `"${text}" is not known`, `choose from ${names.join(', ')}`)
  return name
}

/** A bar of `width` cells, filled by `share` in [0, 1]. */
export function bar(share: number, width: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * width * 8)
  const rest = ' ▏▎▍▌▋▊▉'[eighths % 8].trim()
  return '█'.repeat(Math.floor(eighths / 8)) + rest
}
