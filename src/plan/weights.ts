// Collects the constants of a program into one segment: each array once, aligned, with a table of what stands
// where. What two programs must share to exchange segments is the layout; what tells two segments apart is the hash.

import { fingerprint } from '../ir/hash.ts'
import { type Data, type Elem, elemBytes, elemOfData } from '../loops/ir.ts'
import type { Place, WeightEntry, WeightSegment } from './plan.ts'

function rawBytes(data: Data): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i])
}

interface Stored {
  readonly data: Uint8Array
  readonly place: Place
}

/** A weight segment that is being filled. `align` is in bytes; an array is aligned to its element at least. */
export class WeightWriter {
  private readonly align: number
  private readonly stored: Stored[] = []
  private readonly entries: WeightEntry[] = []
  private readonly known = new Map<Data, Place>()
  private size = 0

  constructor(align: number) {
    this.align = align
  }

  /** Where `data` stands. The same array has one place; equal arrays do not share one, or the layout would depend on the contents. */
  put(name: string, data: Data): Place {
    const place = this.known.get(data) ?? this.named(name, data) ?? this.append(name, elemOfData(data), data)
    this.known.set(data, place)
    return place
  }

  /** An equal array of the same name: another block of rows of the same layer has put it there. */
  private named(name: string, data: Data): Place | undefined {
    const bytes = rawBytes(data)
    const same = this.entries.findIndex(
      (e, i) => e.name === name && e.elem === elemOfData(data) && equal(this.stored[i].data, bytes),
    )
    return this.stored[same]?.place
  }

  private append(name: string, elem: Elem, data: Data): Place {
    const align = Math.max(this.align, elemBytes(elem))
    const offset = Math.ceil(this.size / align) * align
    const place: Place = { segment: 'weights', offset, bytes: data.byteLength }
    this.size = offset + data.byteLength
    this.stored.push({ data: rawBytes(data), place })
    this.entries.push({ name, elem, length: data.length, offset })
    return place
  }

  /** Bytes so far, whole alignments of them. */
  get aligned(): number {
    return Math.ceil(this.size / this.align) * this.align
  }

  /** The bytes are little-endian, as on every machine that JavaScript runs on. */
  segment(): WeightSegment {
    const bytes = new Uint8Array(this.size)
    for (const { data, place } of this.stored) bytes.set(data, place.offset)
    const layout = this.entries.map((e) => `${e.name}\t${e.elem}\t${e.length}\t${e.offset}\n`).join('')
    return { bytes, entries: [...this.entries], layoutId: fingerprint(layout), hash: fingerprint(bytes) }
  }
}
