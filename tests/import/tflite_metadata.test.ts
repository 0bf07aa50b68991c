import { Builder } from 'flatbuffers'
import { describe, expect, test } from 'vitest'
import { writeTflite } from '../../src/export/tflite.ts'
import { describeTflite, linesOf } from '../../src/import/tflite_metadata.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { separable } from '../support/nets.ts'

type Table = (b: Builder) => number

/** A table of offsets in the slots that have one. */
const table =
  (slots: readonly (Table | undefined)[], numbers: Readonly<Record<number, number>> = {}): Table =>
  (b) => {
    const offsets = slots.map((slot) => slot?.(b))
    b.startObject(Math.max(slots.length, ...Object.keys(numbers).map((n) => Number(n) + 1)))
    offsets.forEach((offset, i) => {
      if (offset !== undefined) b.addFieldOffset(i, offset, 0)
    })
    for (const [slot, value] of Object.entries(numbers)) b.addFieldInt32(Number(slot), value, 0)
    return b.endObject()
  }
const text =
  (s: string): Table =>
  (b) =>
    b.createString(s)
const list =
  (items: readonly Table[]): Table =>
  (b) => {
    const offsets = items.map((item) => item(b))
    b.startVector(4, offsets.length, 4)
    for (const offset of offsets.reverse()) b.addOffset(offset)
    return b.endVector()
  }
const floats =
  (xs: readonly number[]): Table =>
  (b) => {
    b.startVector(4, xs.length, 4)
    for (const x of xs.toReversed()) b.addFloat32(x)
    return b.endVector()
  }
const bytes =
  (data: Uint8Array): Table =>
  (b) =>
    b.createByteVector(data)
const finished = (root: Table, mark: string): Uint8Array => {
  const b = new Builder(1024)
  b.finish(root(b), mark)
  return b.asUint8Array().slice()
}

/** An archive of one file; `method` 0 is stored. */
function archive(at: number, name: string, content: string, method = 0): Uint8Array {
  const [file, data] = [name, content].map((s) => new TextEncoder().encode(s))
  const header = (mark: number, fields: readonly [at: number, bytes: 2 | 4, value: number][], size: number) => {
    const view = new DataView(new ArrayBuffer(size))
    view.setUint32(0, mark, true)
    for (const [place, width, value] of fields)
      width === 2 ? view.setUint16(place, value, true) : view.setUint32(place, value, true)
    return new Uint8Array(view.buffer)
  }
  const local = header(
    0x04034b50,
    [
      [8, 2, method],
      [18, 4, data.length],
      [22, 4, data.length],
      [26, 2, file.length],
    ],
    30,
  )
  const central = header(
    0x02014b50,
    [
      [10, 2, method],
      [20, 4, data.length],
      [24, 4, data.length],
      [28, 2, file.length],
      [42, 4, at],
    ],
    46,
  )
  const start = at + local.length + file.length + data.length
  const end = header(
    0x06054b50,
    [
      [8, 2, 1],
      [10, 2, 1],
      [12, 4, central.length + file.length],
      [16, 4, start],
    ],
    22,
  )
  return Uint8Array.from([local, file, data, central, file, end].flatMap((part) => [...part]))
}

function described(method = 0): Uint8Array {
  const scaling = table([floats([0.5, 0.25, 0]), floats([2])])
  const unit: Table = (b) => {
    const options = scaling(b)
    b.startObject(2)
    b.addFieldInt8(0, 1, 0)
    b.addFieldOffset(1, options, 0)
    return b.endObject()
  }
  const labels: Table = (b) => {
    const name = b.createString('labels.txt')
    b.startObject(3)
    b.addFieldOffset(0, name, 0)
    b.addFieldInt8(2, 2, 0)
    return b.endObject()
  }
  const input = table([text('image'), undefined, undefined, undefined, list([unit])])
  const output = table([text('probability'), undefined, undefined, undefined, undefined, undefined, list([labels])])
  const metadata = finished(
    table([undefined, undefined, undefined, list([table([undefined, undefined, list([input]), list([output])])])]),
    'M001',
  )
  const buffers = list([table([]), table([bytes(metadata)])])
  const entry = table([text('TFLITE_METADATA')], { 1: 1 })
  const model = finished(
    table([undefined, undefined, undefined, undefined, buffers, undefined, list([entry])], { 0: 3 }),
    'TFL3',
  )
  return Uint8Array.from([...model, ...archive(model.length, 'labels.txt', 'cat\ndog\n', method)])
}

describe('the metadata of a .tflite file', () => {
  test('gives names, the scaling of pixels, and labels', () => {
    expect(describeTflite(described())).toEqual({
      inputs: [{ name: 'image', mean: [0.5, 0.25, 0], std: [2] }],
      outputs: [{ name: 'probability' }],
      labels: ['cat', 'dog'],
    })
  })

  test('labels that are compressed are none', () => {
    expect(describeTflite(described(8))).not.toHaveProperty('labels')
  })

  test('a file without it, and one of another kind, say nothing', () => {
    expect(describeTflite(writeTflite(separable()))).toEqual({})
    expect(describeTflite(new TextEncoder().encode('not a model'))).toEqual({})
    expect(describeTflite(new Uint8Array(0))).toEqual({})
  })

  test('damage never throws', () => {
    const whole = described()
    const random = new Xorshift32(3)
    for (let k = 0; k < 3000; k++) {
      const damaged = whole.slice(0, k % 2 ? whole.length : random.between(0, whole.length))
      for (let n = random.between(0, 3); n >= 0 && damaged.length > 8; n--)
        damaged[random.between(8, damaged.length - 1)] = random.between(0, 255)
      expect(() => describeTflite(damaged)).not.toThrow()
    }
  })

  test('labels are lines, with the ends of any system', () => {
    expect(linesOf('a\r\nb\n')).toEqual(['a', 'b'])
    expect(linesOf('a\n\nb')).toEqual(['a', '', 'b'])
  })
})
