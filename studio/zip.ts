// Files -> one .zip archive of stored entries (PKWARE APPNOTE 6.3, sections 4.3.7, 4.3.12 and 4.3.16).

import type { OutputFile } from '../src/emit/program.ts'
import { crc32 } from '../src/ir/hash.ts'

/** Fields of 2 or 4 bytes each, little-endian. */
function record(...fields: readonly (readonly [bytes: 2 | 4, value: number])[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(fields.flatMap(([n, v]) => Array.from({ length: n }, (_, i) => (v >>> (8 * i)) & 255)))
}

/** The archive, its entries dated 1 January 1980 so that equal files make equal archives. Sizes are below 4 GiB. */
export function zip(files: readonly OutputFile[]): Blob {
  const text = new TextEncoder()
  const bodies: Uint8Array<ArrayBuffer>[] = []
  const directory: Uint8Array<ArrayBuffer>[] = []
  const sizeOf = (parts: readonly Uint8Array[]) => parts.reduce((sum, p) => sum + p.length, 0)
  for (const file of files) {
    const name = text.encode(file.name)
    const data = typeof file.data === 'string' ? text.encode(file.data) : new Uint8Array(file.data)
    const offset = sizeOf(bodies)
    const about = record(
      ...([
        [2, 20],
        [2, 0x800],
        [2, 0],
        [2, 0],
        [2, 0x21],
      ] as const), // version 2.0, UTF-8 names, stored, date
      ...([
        [4, crc32(data)],
        [4, data.length],
        [4, data.length],
        [2, name.length],
        [2, 0],
      ] as const),
    )
    bodies.push(record([4, 0x04034b50]), about, name, data)
    directory.push(record([4, 0x02014b50], [2, 20]), about, record([2, 0], [2, 0], [2, 0], [4, 0], [4, offset]), name)
  }
  const n = files.length
  const end = record(
    ...([
      [4, 0x06054b50],
      [2, 0],
      [2, 0],
      [2, n],
      [2, n],
    ] as const),
    ...([
      [4, sizeOf(directory)],
      [4, sizeOf(bodies)],
      [2, 0],
    ] as const),
  )
  return new Blob([...bodies, ...directory, end], { type: 'application/zip' })
}
