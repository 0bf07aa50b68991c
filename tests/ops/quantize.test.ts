import { describe, expect, test } from 'vitest'
import { Builder } from '../../src/ir/build.ts'
import { type DType, quantOf, type TensorType } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { f32, i8 } from '../../src/ops/case.ts'
import { rangeOf, roundAway } from '../../src/ops/quant.ts'
import { dequantize, pairIsIdentity, quantize } from '../../src/ops/quantize/op.ts'
import { fuse } from '../../src/passes/fuse.ts'
import { bothResults, one } from './run_one.ts'
import { EVERY_INT8, fnv1a, inputsOfRow, TFLM_ROWS } from './tflm_rows.ts'

describe('int8 results are those of TensorFlow Lite Micro', () => {
  for (const row of TFLM_ROWS) {
    const expectBoth = (node: ReturnType<typeof one>, input: Int8Array | Float32Array, hash: string) => {
      const results = bothResults(node, [input])
      expect(fnv1a(results.eval)).toBe(hash)
      expect(fnv1a(results.kernel)).toBe(hash)
    }
    test(`quantize, ${row.name}`, () => {
      const node = one(quantize, [f32([256])], { dtype: 'i8' }, { quant: row.y.quant })
      expectBoth(node, inputsOfRow(row).floats, row.hash.quantize)
    })
    test(`dequantize, ${row.name}`, () => expectBoth(one(dequantize, [row.a], {}), EVERY_INT8, row.hash.dequantize))
    test(`requantize, ${row.name}`, () => {
      const node = one(quantize, [row.a], { dtype: 'i8' }, { quant: row.y.quant })
      expectBoth(node, EVERY_INT8, row.hash.requantize)
    })
  }
})

test('the kernel rounds halves away from zero on both sides of every half', () => {
  const word = new DataView(new ArrayBuffer(4))
  const next = (x: number, by: number) => {
    word.setFloat32(0, x)
    word.setInt32(0, word.getInt32(0) + by)
    return word.getFloat32(0)
  }
  const halves = Array.from({ length: 40000 }, (_, k) => k + 0.5)
  const near = halves.flatMap((h) => [next(h, -1), h, next(h, 1)])
  const x = Float32Array.from([...near, ...near.map((v) => -v)])
  const node = one(quantize, [f32([x.length])], { dtype: 'i16' }, { quant: quantOf(1, 0) })
  const { kernel } = bothResults(node, [x])
  const wrong = x.findIndex((v, i) => kernel[i] !== Math.max(-32768, Math.min(32767, roundAway(v))))
  expect(wrong, `${x[wrong]} became ${kernel[wrong]}`).toBe(-1)
})

describe('quantising what was dequantised', () => {
  const random = new Xorshift32(11)
  const scales = [
    2 ** -126,
    1e-30,
    2 ** 110,
    1e30,
    0.1,
    1 / 255,
    1 / 3,
    ...Array.from({ length: 300 }, () => 2 ** (random.between(-20000, 10000) / 1000)),
    ...Array.from({ length: 300 }, () => 0.001 + random.next() / 2 ** 32),
  ]
  const backAgain = (type: TensorType) => {
    const { min, max } = rangeOf(type.dtype)
    const all = Array.from({ length: max - min + 1 }, (_, i) => min + i)
    const [s, z] = [type.quant!.scale[0], type.quant!.zero[0]]
    return all.every((q) => {
      const back = roundAway(Math.fround(Math.fround(s * (q - z)) / s)) + z
      return q === Math.max(min, Math.min(max, back))
    })
  }
  const typeOf = (dtype: DType, scale: number, zero: number): TensorType => ({
    dtype,
    shape: [1],
    quant: quantOf(scale, zero),
  })

  test('gives every int8 and uint8 value back at every scale where the pair is dropped', () => {
    for (const scale of scales)
      for (const type of [typeOf('i8', scale, -128), typeOf('i8', scale, 127), typeOf('u8', scale, 3)]) {
        expect(pairIsIdentity(type), `scale ${scale}`).toBe(true)
        expect(backAgain(type), `scale ${scale}`).toBe(true)
      }
  })

  test('gives every int16 value back', () => {
    for (const scale of scales.slice(0, 20)) expect(backAgain(typeOf('i16', scale, 0)), `scale ${scale}`).toBe(true)
  })

  test('is kept where products overflow or are subnormal', () => {
    expect(pairIsIdentity(typeOf('i8', 2 ** 127, -128))).toBe(false)
    expect(backAgain(typeOf('i8', 2 ** 127, -128))).toBe(false)
    expect(pairIsIdentity(typeOf('i8', 1e-40, 0))).toBe(false)
  })

  const pairOf = (scale: number, zero: number) => {
    const b = new Builder()
    const x = b.input('x', i8([256], 0.1, 3))
    const real = b.one(dequantize, [x], {})
    return b.graph([
      b.one(
        quantize,
        [b.one(quantize, [real], { dtype: 'i8' }, { quant: quantOf(scale, zero) })],
        { dtype: 'i8' },
        { quant: quantOf(2, 0) },
      ),
    ])
  }
  test('goes from the graph where the types are equal', () => {
    expect(fuse(pairOf(0.1, 3)).nodes.map((n) => n.op.name)).toEqual(['quantize'])
    expect(fuse(pairOf(0.1, 4)).nodes.map((n) => n.op.name)).toEqual(['dequantize', 'quantize', 'quantize'])
    expect(fuse(pairOf(0.2, 3)).nodes).toHaveLength(3)
  })
})

test('requantising to the same type copies', () => {
  for (const scale of [0.003, 0.1, 7]) {
    const node = one(quantize, [i8([256], scale, 5)], { dtype: 'i8' }, { quant: quantOf(scale, 5) })
    expect(node.node.op.effect!(node.node)).toEqual({ does: 'copy' })
    expect(bothResults(node, [EVERY_INT8]).kernel).toEqual(EVERY_INT8)
  }
  const other = one(quantize, [i8([4], 0.1, 5)], { dtype: 'i8' }, { quant: quantOf(0.1, 6) })
  expect(other.node.op.effect!(other.node)).toBeUndefined()
})

test('a buffer is reused only where elements keep their size', () => {
  const places = (type: TensorType, dtype: DType) => {
    const { node } = one(quantize, [type], { dtype }, { quant: quantOf(0.1, 0) })
    return node.op.inPlace!(node)
  }
  expect(places(i8([4], 1, 0), 'i8')).toEqual([0])
  expect(places(i8([4], 1, 0), 'i16')).toEqual([])
  expect(places(f32([4]), 'i8')).toEqual([])
})

test('types that cannot be quantised are refused', () => {
  expect(() => one(quantize, [{ dtype: 'i64', shape: [2] }], { dtype: 'i8' }, { quant: quantOf(1, 0) })).toThrow(/i64/)
  expect(() => one(quantize, [f32([2])], { dtype: 'i8' })).toThrow(/without scale/)
  expect(() => one(dequantize, [f32([2])], {})).toThrow(/f32/)
})
