import { describe, expect, test } from 'vitest'
import { emitWasm } from '../../src/emit/wasm/module.ts'
import { relaxedProbe, runsRelaxed } from '../../src/emit/wasm/relaxed.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { requant } from '../../src/loops/arith.ts'
import * as L from '../../src/loops/build.ts'
import { roundEven } from '../../src/loops/float.ts'
import { interpret } from '../../src/loops/interpret.ts'
import { I32X4 } from '../../src/loops/ir.ts'
import { CaseBuilder } from '../../src/ops/case.ts'
import { makePlan } from '../../src/plan/make.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { instantiateWasm } from '../../src/run/wasm.ts'
import type { Channel } from '../../src/targets/armv7em/requantize.ts'
import { targetOf } from '../../src/targets/index.ts'
import { truncated, truncatedOf } from '../../src/targets/wasm/truncate.ts'
import { hashOf } from '../support/bits.ts'
import { layersOf } from '../support/layers.ts'

/** Layers whose rows are whole words, and such as are not. */
function shapes() {
  const b = new CaseBuilder('shapes', 23)
  const { conv, depthwise, dense, outputs } = layersOf(b)
  conv([4, 4, 8], [1, 1], 6)
  conv([3, 3, 16], [1, 1], 7, { relu: false })
  conv([5, 1, 4], [1, 1], 8, { relu: false })
  conv([5, 5, 8], [3, 3], 5, { pad: [1, 1, 1, 1], relu: false })
  conv([6, 7, 4], [3, 3], 8, { pad: [1, 1, 1, 1], stride: 2 })
  conv([9, 8, 12], [3, 3], 16, { pad: [0, 0, 1, 1], stride: 2 })
  conv([2, 2, 48], [2, 2], 4)
  conv([3, 3, 128], [1, 1], 20)
  conv([37, 4, 12], [1, 1], 8)
  conv([29, 5, 20], [1, 1], 8, { stride: 2 })
  conv([12, 1, 8], [4, 1], 4, { pad: [1, 0, 2, 0] })
  conv([3, 12, 8], [1, 4], 4, { pad: [0, 1, 0, 2] })
  conv([8, 8, 16], [3, 3], 16, { pad: [1, 1, 1, 1], relu: false })
  dense(640, 8)
  dense(64, 12)
  dense(60, 5)
  conv([4, 3, 6], [1, 1], 5)
  conv([6, 7, 3], [3, 3], 8, { pad: [1, 1, 1, 1] })
  conv([21, 6, 1], [10, 4], 8, { pad: [4, 1, 5, 1], stride: 2 })
  conv([40, 40, 3], [3, 3], 8, { pad: [0, 0, 1, 1], stride: 2, relu: false })
  conv([4, 3, 7], [1, 1], 6, { zero: 1 })
  conv([5, 6, 8], [3, 3], 4, { pad: [1, 1, 1, 1], zero: 1 })
  conv([4, 4, 32], [1, 1], 4, { zero: -1 })
  depthwise([7, 6, 4], [3, 3], { pad: [1, 1, 1, 1], zero: 1 })
  depthwise([8, 9, 4], [3, 3], { pad: [0, 0, 1, 1], stride: 2, zero: -1 })
  depthwise([6, 5, 4], [3, 3], { pad: [1, 1, 1, 1] })
  depthwise([7, 7, 6], [3, 3], { pad: [1, 1, 1, 1], relu: false })
  depthwise([9, 12, 8], [3, 3], { pad: [0, 0, 1, 1], stride: 2 })
  depthwise([8, 7, 20], [3, 3], { pad: [1, 1, 1, 1], stride: 2, relu: false })
  depthwise([10, 10, 8], [5, 5], { pad: [2, 2, 2, 2] })
  depthwise([11, 11, 4], [7, 7], { pad: [3, 3, 3, 3], stride: 2 })
  depthwise([6, 6, 8], [7, 7], { pad: [3, 3, 3, 3] })
  depthwise([3, 3, 16], [3, 3])
  depthwise([1, 14, 4], [1, 3], { pad: [0, 1, 0, 1] })
  depthwise([14, 1, 4], [3, 1], { pad: [1, 0, 1, 0] })
  depthwise([90, 30, 8], [3, 3], { pad: [1, 1, 1, 1] })
  return b.graph(outputs)
}

const TARGET = targetOf('wasm-relaxed')

describe('the truncation', () => {
  const random = new Xorshift32(12)
  const channel = (shift: number, range: number): Channel => ({
    low: -range,
    high: range,
    multiplier: random.between(2 ** 30, 2 ** 31 - 1),
    shift,
  })

  test.each([
    ['a ReLU', -128, -128],
    ['a ReLU6', -128, 90],
    ['a zero point inside', 7, 127],
    ['the highest zero point', 127, 127],
  ])('is the specified requantisation for every sum, with %s', (_, zero, high) => {
    let proved = 0
    for (const shift of [0, -1, -2, -5, -6, -7, -8, -8, -9, -9, -10, -11]) {
      const own = channel(shift, 60_000)
      const numbers = truncatedOf(own, { zero, low: -128, high })
      if (!numbers) continue
      proved++
      for (let a = own.low; a <= own.high; a++) {
        const specified = Math.max(-128, Math.min(high, requant(a, own.multiplier, own.shift) + zero))
        const got = Math.min(high, Math.max(0, Math.min(255, truncated(a, numbers))) - 128)
        if (got !== specified) expect.fail(`shift ${shift}, sum ${a}: ${got}, not ${specified}`)
      }
    }
    expect(proved).toBeGreaterThan(10)
  })

  test('knows channels that hardly change far from zero, and such as never do', () => {
    const output = { zero: -128, low: -128, high: 127 }
    const far = { low: 212_710_119, high: 216_706_734, multiplier: 1_788_128_659, shift: -20 }
    const numbers = truncatedOf(far, output)!
    for (let a = far.low; a <= far.high; a += 37)
      if (truncated(a, numbers) - 128 !== requant(a, far.multiplier, far.shift) - 128) expect.fail(`sum ${a}`)
    expect(truncatedOf({ low: 2 ** 30, high: 2 ** 31 - 1, multiplier: 2 ** 30, shift: 0 }, output)).toMatchObject({
      scale: 0,
      shift: 255,
    })
    expect(truncatedOf({ ...far, high: 2 ** 31 }, output)).toBeUndefined()
  })

  test('takes float32 scales, halves to even', () => {
    for (const scale of [Math.PI / 300, Math.SQRT2 / 500, 1 / 3].map(Math.fround)) {
      const own = channel(0, 50_000)
      const numbers = truncatedOf(own, { zero: 3, low: -128, high: 127 }, scale)
      if (!numbers) expect.fail(`nothing is proved for ${scale}`)
      for (let a = own.low; a <= own.high; a++) {
        const specified = Math.max(-128, Math.min(127, roundEven(Math.fround(a * scale)) + 3))
        const got: number = Math.max(0, Math.min(255, truncated(a, numbers))) - 128
        if (got !== specified) expect.fail(`scale ${scale}, sum ${a}: ${got}, not ${specified}`)
      }
    }
  })
})

describe('quads', () => {
  test('are the products of signed and unsigned bytes', () => {
    const random = new Xorshift32(4)
    const data = () => Int32Array.from({ length: 4 }, () => random.next() | 0)
    const [A, B, C] = ['a', 'b', 'c'].map((name) => L.buffer(name, 'i32', [4]))
    const Y = L.buffer('y', 'i32', [4], 'write')
    const [a, b, c] = [A, B, C].map((buf) => L.loadLanes(buf, I32X4, 0))
    const kernel = L.kernel('quad', [A, B, C, Y], L.store(Y, [0], L.op('quad', a, b, c)))
    for (let i = 0; i < 50; i++) {
      const [x, y, z, out] = [data(), data(), data(), new Int32Array(4)]
      interpret(kernel, [x, y, z, out])
      const [signed, unsigned] = [new Int8Array(x.buffer), new Uint8Array(y.buffer)]
      const sums = z.map(
        (sum, lane) =>
          sum + signed.slice(4 * lane, 4 * lane + 4).reduce((n, v, k) => n + v * unsigned[4 * lane + k], 0),
      )
      expect(out).toEqual(sums)
    }
  })

  test('give what the reference gives, for layers of many shapes', () => {
    const graph = shapes()
    const plan = makePlan(graph, TARGET)
    const recipes = plan.steps.map((step) => step.recipe)
    expect(new Set(recipes)).toEqual(new Set(['tiles of quads', 'quads of taps']))
    const random = new Xorshift32(9)
    for (let run = 0; run < 3; run++) {
      const inputs = graph.inputs.map((v) => random.fill(v.type))
      const expected = reference(graph).run(inputs).map(hashOf)
      expect(runPlan(plan, 0x55).run(inputs).map(hashOf)).toEqual(expected)
    }
  })

  test('are a module of their own, which this engine takes only where its dot product is exact', async () => {
    const graph = shapes()
    const plan = makePlan(graph, TARGET)
    const module = emitWasm(plan)
    if (!WebAssembly.validate(relaxedProbe() as BufferSource)) {
      expect(runsRelaxed()).toBe(false)
      expect(WebAssembly.validate(module as BufferSource)).toBe(false)
      return
    }
    if (!runsRelaxed()) return
    const inputs = graph.inputs.map((v) => new Xorshift32(5).fill(v.type))
    const model = await instantiateWasm(module, plan)
    expect(model.run(inputs).map(hashOf)).toEqual(reference(graph).run(inputs).map(hashOf))
  })
})
