// Numbers on the command line: sizes, counts and choices in, bars out.

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

/** A whole number in [lo, hi]. */
export function parseWhole(text: string, flag: string, lo: number, hi: number): number {
  const n = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(n >= lo && n <= hi)) throw new InputError(flag, `"${text}" is not a whole number from ${lo} to ${hi}`)
  return n
}

/** One of `names`. */
export function parseChoice(text: string, flag: string, names: readonly string[]): string {
  if (!names.includes(text)) throw new InputError(flag, `"${text}" is not known`, `choose from ${names.join(', ')}`)
  return text
}

/** A bar of `width` cells, filled by `share` in [0, 1]. */
export function bar(share: number, width: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * width * 8)
  const rest = ' ▏▎▍▌▋▊▉'[eighths % 8].trim()
  return '█'.repeat(Math.floor(eighths / 8)) + rest
}
