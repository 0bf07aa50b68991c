// Figures for people: sizes, counts, times and tables. 1 KB is 1,024 bytes, as on data sheets.

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
