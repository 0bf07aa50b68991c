// Numbers on the command line: sizes, counts and choices in, figures for people out. 1 KB is 1,024 bytes, as on data sheets.

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

/** `512 B`, `22.3 KB`, `1.42 MB`. */
export function bytesText(n: number): string {
  if (n < 1024) return `${n} B`
  const [value, unit] = n < 1024 ** 2 ? [n / 1024, 'KB'] : [n / 1024 ** 2, 'MB']
  return `${value.toFixed(value < 10 ? 2 : 1)} ${unit}`
}

/** `2,656,768`. */
export function countText(n: number): string {
  return Math.round(n)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',')
}

/** Microseconds as `850 µs`, `3.42 ms` or `1.20 s`. */
export function timeText(us: number): string {
  if (us < 1000) return `${us < 10 ? us.toFixed(1) : Math.round(us)} µs`
  return us < 1e6 ? `${(us / 1e3).toFixed(2)} ms` : `${(us / 1e6).toFixed(2)} s`
}

/** A bar of `width` cells, filled by `share` in [0, 1]. */
export function bar(share: number, width: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * width * 8)
  const rest = ' ▏▎▍▌▋▊▉'[eighths % 8].trim()
  return '█'.repeat(Math.floor(eighths / 8)) + rest
}

/** Columns under their headings; a heading that starts with '>' is set to the right. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const right = headings.map((h) => h.startsWith('>'))
  const titles = headings.map((h) => h.replace(/^>/, ''))
  const lines = titles.some((t) => t !== '') ? [titles, ...rows] : [...rows]
  const widths = titles.map((_, c) => Math.max(...lines.map((line) => line[c].length)))
  return lines
    .map((line) =>
      line
        .map((cell, c) => (right[c] ? cell.padStart(widths[c]) : cell.padEnd(widths[c])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
