// The weight segment as C: a struct of typed arrays that stand at the segment's offsets, and its one instance.

import { bug } from '../../errors.ts'
import { type Data, type Elem, elemBytes } from '../../loops/ir.ts'
import type { WeightEntry, WeightSegment } from '../../plan/plan.ts'
import { identifiers } from './names.ts'
import { arrayText, C_TYPE } from './number.ts'

export interface Member {
  readonly name: string
  readonly elem: Elem
  readonly length: number
  readonly offset: number
  /** Undefined for bytes between arrays. */
  readonly entry?: WeightEntry
}

/** The members of the struct in order, gaps included; empty arrays have none. */
export function membersOf(segment: WeightSegment): Member[] {
  const fresh = identifiers()
  const members: Member[] = []
  let end = 0
  const pad = (to: number) => {
    if (to > end) members.push({ name: fresh(`pad_${members.length}`), elem: 'u8', length: to - end, offset: end })
    end = to
  }
  const sorted = [...segment.entries].filter((e) => e.length > 0).sort((a, b) => a.offset - b.offset)
  for (const entry of sorted) {
    const { elem, length, offset } = entry
    if (offset < end || offset % elemBytes(elem) !== 0)
      bug(`weight "${entry.name}" of ${elem} stands at ${offset}, the array before it ends at ${end}`)
    pad(offset)
    members.push({ name: fresh(entry.name), elem, length, offset, entry })
    end = offset + length * elemBytes(elem)
  }
  const widest = Math.max(1, ...sorted.map((e) => elemBytes(e.elem)))
  pad(Math.ceil(Math.max(segment.bytes.length, end, 1) / widest) * widest)
  return members
}

export function structText(type: string, members: readonly Member[]): string {
  return `typedef struct {\n${members.map((m) => `  ${C_TYPE[m.elem]} ${m.name}[${m.length}];`).join('\n')}\n} ${type};\n`
}

/** A declaration that does not compile where a member does not stand at its offset. */
export function layoutCheck(type: string, members: readonly Member[]): string {
  const holds = members.map((m) => `offsetof(${type}, ${m.name}) == ${m.offset}`)
  const last = members[members.length - 1]
  holds.push(`sizeof(${type}) == ${last.offset + last.length * elemBytes(last.elem)}`)
  return `typedef char ${type.replace(/_t$/, '')}_layout[${holds.join(' &&\n    ')} ? 1 : -1];\n`
}

function typed(segment: WeightSegment, m: Member): Data {
  const bytes = new Uint8Array(m.length * elemBytes(m.elem))
  bytes.set(segment.bytes.subarray(m.offset, m.offset + bytes.length))
  switch (m.elem) {
    case 'i8':
      return new Int8Array(bytes.buffer)
    case 'u8':
      return bytes
    case 'i16':
      return new Int16Array(bytes.buffer)
    case 'i32':
      return new Int32Array(bytes.buffer)
    case 'i64':
      return new BigInt64Array(bytes.buffer)
    case 'f16':
      return new Uint16Array(bytes.buffer)
    case 'f32':
      return new Float32Array(bytes.buffer)
    case 'f64':
      return new Float64Array(bytes.buffer)
  }
}

/** The initialiser of the struct. */
export function initialiser(segment: WeightSegment, members: readonly Member[]): string {
  const arrays = members.map((m) => (m.entry ? `/* ${m.name} */ ${arrayText(typed(segment, m))}` : '{0}'))
  return `{\n${arrays.join(',\n')}\n}`
}
