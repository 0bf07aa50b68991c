import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PNG } from 'pngjs'
import { describe, expect, it } from 'vitest'
import { InputError } from '../../src/errors.ts'
import { writeNpy } from '../../src/io/npy.ts'
import { readInput } from '../../src/io/samples.ts'
import type { TensorType } from '../../src/ir/graph.ts'
import { f32, i8 } from '../../src/ops/case.ts'

const folder = mkdtempSync(join(tmpdir(), 'samples-'))
function path(name: string, content: string | Uint8Array): string {
  const at = join(folder, name)
  writeFileSync(at, content)
  return at
}
const text = (s: string) => new TextEncoder().encode(s)
const row = i8([1, 4], 0.5, -1)

describe('readInput', () => {
  it('reads arrays without elements, as .npy, as JSON and as no bytes', () => {
    const none = f32([2, 0, 3])
    const npy = writeNpy({ dtype: 'f32', shape: [2, 0, 3], data: new Float32Array(0) })
    const text = (json: string) => new TextEncoder().encode(json)
    for (const bytes of [npy, text('[]'), text('[[], []]'), new Uint8Array(0)])
      expect(readInput(bytes, none)).toEqual(new Float32Array(0))
    expect(() => readInput(text('[1]'), none)).toThrow(InputError)
    expect(() => readInput(text('[]'), f32([2]))).toThrow(InputError)
  })

  it('takes raw bytes of exactly the right length, from a path or from memory', () => {
    const bytes = Uint8Array.of(0, 1, 128, 255)
    expect(readInput(bytes, row)).toEqual(Int8Array.of(0, 1, -128, -1))
    expect(readInput(path('x.bin', bytes), row)).toEqual(Int8Array.of(0, 1, -128, -1))
    expect(readInput(new Uint8Array(9).subarray(1), f32([2]))).toEqual(new Float32Array(2))
    expect(readInput(bytes, { dtype: 'i4', shape: [8] })).toEqual(bytes)
    expect(() => readInput(bytes.subarray(1), row)).toThrow(/takes i8\[1, 4\] s=0.5 z=-1, that is 4 bytes, this has 3/)
  })

  it('takes .npy arrays of the same shape, leading ones aside', () => {
    const data = Int8Array.of(1, 2, 3, 4)
    for (const shape of [[4], [1, 4], [1, 1, 4]])
      expect(readInput(writeNpy({ dtype: 'i8', shape, data }), row)).toEqual(data)
    expect(() => readInput(writeNpy({ dtype: 'i8', shape: [4, 1], data }), row)).toThrow(
      /shape \[4,1\], the model takes \[1,4\]/,
    )
  })

  it('quantises real numbers by the scale and zero point of the model, saturating', () => {
    const data = Float32Array.of(0, 0.25, -1, 1e9)
    expect(readInput(writeNpy({ dtype: 'f32', shape: [4], data }), row)).toEqual(Int8Array.of(-1, 0, -3, 127))
  })

  it('rounds floats of another width, and quantises those of every width', () => {
    const file = (dtype: 'f16' | 'f64', data: Uint16Array | Float64Array) =>
      writeNpy({ dtype, shape: [data.length], data })
    const halves = file('f16', Uint16Array.of(0x3c00, 0xb555))
    const doubles = file('f64', Float64Array.of(1, 0.1))
    expect(readInput(halves, f32([2]))).toEqual(Float32Array.of(1, -0.333251953125))
    expect(readInput(doubles, f32([2]))).toEqual(Float32Array.of(1, 0.1))
    expect(readInput(doubles, { dtype: 'f16', shape: [2] })).toEqual(Uint16Array.of(0x3c00, 0x2e66))
    expect(readInput(halves, { dtype: 'f64', shape: [2] })).toEqual(Float64Array.of(1, -0.333251953125))
    expect(readInput(text('[1, 0.1]'), { dtype: 'f16', shape: [2] })).toEqual(Uint16Array.of(0x3c00, 0x2e66))
    expect(readInput(file('f16', Uint16Array.of(0x3c00, 0, 0xc000, 0x7c00)), row)).toEqual(Int8Array.of(1, -1, -5, 127))
  })

  it('takes int64 and int32 arrays where the numbers fit', () => {
    const data = BigInt64Array.of(-128n, 0n, 5n, 127n)
    expect(readInput(writeNpy({ dtype: 'i64', shape: [4], data }), row)).toEqual(Int8Array.of(-128, 0, 5, 127))
    const wide = Int32Array.of(0, 0, 0, 128)
    expect(() => readInput(writeNpy({ dtype: 'i32', shape: [4], data: wide }), row)).toThrow(/element 3 is 128/)
  })

  it('refuses uint8 for int8, since it cannot know what the numbers mean', () => {
    const bytes = writeNpy({ dtype: 'u8', shape: [4], data: new Uint8Array(4) })
    expect(() => readInput(bytes, row)).toThrow(/holds u8, the model takes i8\[1, 4\]/)
  })

  it('takes JSON numbers as they are stored, flat or nested', () => {
    const square: TensorType = { dtype: 'i32', shape: [1, 2, 2] }
    for (const json of ['[1,2,3,4]', '[[1,2],[3,4]]', '[[[1,2],[3,4]]]'])
      expect(readInput(text(json), square)).toEqual(Int32Array.of(1, 2, 3, 4))
    expect(readInput(path('x.json', '[[1,-2,3,4]]'), row)).toEqual(Int8Array.of(1, -2, 3, 4))
    expect(readInput(text('[0.5, 1e-3]'), f32([2]))).toEqual(Float32Array.of(0.5, 1e-3))
    expect(readInput(text('[true, 0]'), { dtype: 'bool', shape: [2] })).toEqual(Uint8Array.of(1, 0))
    expect(readInput(text('[9007199254740991]'), { dtype: 'i64', shape: [1] })).toEqual(
      BigInt64Array.of(9007199254740991n),
    )
  })

  it.each<[string, string, TensorType, RegExp]>([
    ['a fraction', '[1, 2, 3, 4.5]', row, /element 3 is 4.5, the model takes i8/],
    ['a number that is too large', '[1, 2, 3, 200]', row, /element 3 is 200, those of i8 lie in \[-128, 127\]/],
    ['another count', '[1, 2, 3]', row, /shape \[3\], the model takes \[1,4\]/],
    ['another nesting', '[[1, 2], [3, 4]]', row, /shape \[2,2\], the model takes \[1,4\]/],
    ['lists of different lengths', '[[1, 2], [3]]', row, /different lengths/],
    ['null', '[1, 2, 3, null]', row, /element 3 is null/],
    ['half a file', '[1, 2, ', row, /not valid JSON/],
    ['packed elements', '[1, 2]', { dtype: 'i4', shape: [2, 20] }, /takes \[2,20\]/],
  ])('refuses JSON with %s and says both sides', (_, json, type, reason) => {
    expect(() => readInput(text(json), type)).toThrow(InputError)
    expect(() => readInput(text(json), type)).toThrow(reason)
  })

  describe('pictures', () => {
    const colours = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 255]
    const picture = (width: number, height: number, of: readonly number[]) => {
      const file = new PNG({ width, height })
      for (let i = 0; i < width * height; i++) file.data.set([...of.slice(3 * i, 3 * i + 3), 255], 4 * i)
      return new Uint8Array(PNG.sync.write(file))
    }
    const square = picture(2, 2, colours)

    it('fill the whole range of 8-bit types', () => {
      expect(readInput(square, i8([1, 2, 2, 3], 1 / 255, -128))).toEqual(Int8Array.from(colours, (p) => p - 128))
      expect(readInput(path('x.png', square), { dtype: 'u8', shape: [1, 2, 2, 3] })).toEqual(Uint8Array.from(colours))
      expect(() => readInput(square, f32([1, 2, 2, 3]))).toThrow(/picture of 8 bits, the model takes f32\[1, 2, 2, 3\]/)
    })

    it('become real numbers between those of black and white, quantised where the input is', () => {
      const unit = Float32Array.from(colours, (p) => p / 255)
      expect(readInput(square, f32([1, 2, 2, 3]), { range: [0, 1] })).toEqual(unit)
      expect(readInput(square, f32([1, 2, 2, 3]), { range: [-1, 1] })).toEqual(
        Float32Array.from(colours, (p) => -1 + (p / 255) * 2),
      )
      const coarse = readInput(square, i8([1, 2, 2, 3], 0.1, -5), { range: [0, 1] })
      expect([...(coarse as Int8Array)]).toEqual(colours.map((p) => Math.round(p / 25.5) - 5))
    })

    it('become grey, and channels first, where the model asks for it', () => {
      expect(readInput(square, { dtype: 'u8', shape: [1, 2, 2, 1] })).toEqual(Uint8Array.of(8, 38, 68, 115))
      const first = Uint8Array.of(0, 30, 60, 90, 10, 40, 70, 100, 20, 50, 80, 255)
      expect(readInput(square, { dtype: 'u8', shape: [1, 3, 2, 2] })).toEqual(first)
    })

    it('are cut to the proportions of the model, then resized', () => {
      const wide = picture(
        4,
        2,
        [0, 100, 100, 0, 0, 100, 100, 0].flatMap((p) => [p, p, p]),
      )
      expect(readInput(wide, { dtype: 'u8', shape: [1, 1, 1, 1] })).toEqual(Uint8Array.of(100))
    })

    it('are refused for inputs that are no picture', () => {
      for (const shape of [[12], [1, 2, 2, 5], [2, 2, 2, 3]])
        expect(() => readInput(square, { dtype: 'u8', shape })).toThrow(/is a picture, the model takes u8/)
      expect(() => readInput(square.subarray(0, 30), { dtype: 'u8', shape: [1, 2, 2, 3] })).toThrow(/not a valid PNG/)
    })
  })

  it('names the file that is not there', () => {
    expect(() => readInput(join(folder, 'missing.npy'), row)).toThrow(/input .*missing\.npy: cannot be read/)
  })
})
