import { describe, expect, test } from 'vitest'
import { quantOf, type Value } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { highProduct, requant } from '../../src/loops/arith.ts'
import { CaseBuilder, i8 } from '../../src/ops/case.ts'
import { gather } from '../../src/ops/gather/op.ts'
import {
  maskedAdd,
  maskedConv2d,
  maskedDepthwiseConv2d,
  maskedFullyConnected,
  maskedPartialConv2d,
} from '../../src/ops/qas/masked.ts'
import { makePlan } from '../../src/plan/make.ts'
import { benchDevice, missingDeviceTools } from '../../src/run/device.ts'
import { hostCompiler, runHostC, SANITIZED } from '../../src/run/host_c.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { type Channel, shortMaskedForm } from '../../src/targets/armv7em/requantize.ts'
import { targetOf } from '../../src/targets/index.ts'
import { hashOf } from '../support/bits.ts'

/** Biases as learning may leave them: most in reach, some at the ends of what they may be, one of a dead channel. */
function biases(b: CaseBuilder, name: string, n: number): Value {
  const ends = [2 ** 30, -(2 ** 30), 2 ** 31 - 1, 300_000, -300_000]
  const data = Int32Array.from({ length: n }, (_, c) =>
    c % 9 === 4 ? (ends[(c / 9) | 0] ?? 77) : b.random.between(-9000, 9000),
  )
  return b.param(name, { dtype: 'i32', shape: [n] }, data)
}

const RELU = { quant: quantOf(0.6, -128) }
const LINEAR = { quant: quantOf(0.7, 9) }

/** Layers with masks side by side: results and masks are outputs. */
function layers() {
  const b = new CaseBuilder('live', 5)
  const outputs: Value[] = []
  const learned = (w: Value, learns: boolean) => (learns ? b.param(`${w.name} learned`, w.type, w.data!) : w)
  const conv = (
    shape: readonly number[],
    k: number,
    out: number,
    { learns = false, pad = 0, stride = 1, linear = false, zero = -3 } = {},
  ) => {
    const name = `conv ${outputs.length}`
    const x = b.input(name, i8([1, ...shape], 0.05, zero))
    const w = learned(b.weights(`${name} w`, [out, k, k, shape[2]], 0.02, 0), learns)
    const window = { stride: [stride, stride], dilation: [1, 1], pad: [pad, pad, pad, pad], groups: 1, clamp: {} }
    const inputs = [x, w, biases(b, `${name} b`, out)]
    outputs.push(...b.add(maskedConv2d, inputs, window, { ...(linear ? LINEAR : RELU), from: name }))
  }
  const depthwise = (
    shape: readonly number[],
    k: number,
    { learns = false, pad = 0, stride = 1, linear = false, zero = -128 } = {},
  ) => {
    const name = `depthwise ${outputs.length}`
    const x = b.input(name, i8([1, ...shape], 0.05, zero))
    const w = learned(b.weights(`${name} w`, [1, k, k, shape[2]], 0.05, 3), learns)
    const window = { stride: [stride, stride], dilation: [1, 1], pad: [pad, pad, pad, pad], clamp: {} }
    const inputs = [x, w, biases(b, `${name} b`, shape[2])]
    outputs.push(...b.add(maskedDepthwiseConv2d, inputs, window, { ...(linear ? LINEAR : RELU), from: name }))
  }
  conv([4, 4, 16], 1, 24)
  conv([3, 3, 48], 1, 16, { linear: true, learns: true })
  conv([5, 5, 8], 3, 16, { pad: 1, linear: true })
  conv([6, 6, 4], 3, 8, { pad: 1, stride: 2, learns: true, zero: 12 })
  conv([1, 2, 100], 1, 8, { zero: 40 })
  depthwise([6, 6, 8], 3, { pad: 1 })
  depthwise([7, 7, 16], 5, { pad: 2, stride: 2, linear: true })
  depthwise([8, 8, 8], 7, { pad: 3, learns: true, zero: 5 })
  depthwise([5, 6, 24], 3, { learns: true, linear: true })
  const rows = b.input('rows', i8([1, 40], 0.05, 2))
  const dense = [rows, b.weights('dense w', [32, 40], 0.02), biases(b, 'dense b', 32)]
  outputs.push(...b.add(maskedFullyConnected, dense, { clamp: {}, keepDims: false }, { ...LINEAR, from: 'dense' }))
  const image = b.input('image', i8([1, 4, 4, 16], 0.05, -7))
  const channels = [1, 3, 4, 15, 8, 2, 0, 9]
  const at = b.const('channels', { dtype: 'i32', shape: [8] }, Int32Array.from(channels))
  const part = b.one(gather, [image, at], { axis: 3, batchDims: 0 }, { quant: image.type.quant })
  const all = b.weights('all', [24, 1, 1, 16], 0.02, 0)
  const zeroed = (all.data as Int8Array).map((w, i) => (channels.includes(i % 16) ? 0 : w))
  const own = b.param('own', { ...all.type, shape: [24, 1, 1, 8] }, b.weights('own 0', [24, 1, 1, 8], 0.02, 0).data!)
  const window = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0], groups: 1, clamp: {}, channels }
  const partial = [image, b.const('others', all.type, zeroed), biases(b, 'partial b', 24), part, own]
  outputs.push(...b.add(maskedPartialConv2d, partial, window, { ...RELU, from: 'partial' }))
  const sum = [b.input('p', i8([1, 3, 3, 8], 0.03, 11)), b.input('q', i8([1, 3, 3, 8], 0.07, -20))]
  outputs.push(...b.add(maskedAdd, sum, { clamp: {} }, { quant: quantOf(0.05, 1), from: 'add' }))
  return b.graph(outputs)
}

describe('the short requantisation of masked layers', () => {
  test.each([
    ['a ReLU', -128],
    ['a zero point inside', 7],
  ])('tells values beyond the limits from those at them, for every sum, with %s', (_, zero) => {
    const random = new Xorshift32(11)
    const channels = [-5, -6, -7, -8].map((shift): Channel => {
      return { low: -90_000, high: 90_000, multiplier: random.between(2 ** 30, 2 ** 31 - 1), shift }
    })
    const { form, failed } = shortMaskedForm(channels, { zero, low: -128, high: 127 }, 256)!
    expect(failed).toEqual([])
    const kept = (v: number) => Math.max(-129, Math.min(128, v))
    for (const [c, { multiplier, offset, shift, negative }] of form.channels.entries())
      for (let a = channels[c].low; a <= channels[c].high; a++) {
        const high = (highProduct(256 * a, multiplier) + offset - (a < 0 ? negative : 0)) | 0
        const wanted = requant(a, channels[c].multiplier, channels[c].shift) + zero
        if (kept(high >> shift) !== kept(wanted)) expect.fail(`channel ${c}, sum ${a}: ${high >> shift}, not ${wanted}`)
      }
  })
})

describe('Armv7E-M routines of layers that learn', () => {
  const graph = layers()
  const plan = makePlan(graph, targetOf('cortex-m4'))
  const random = new Xorshift32(3)
  const inputs = graph.inputs.map((v) => random.fill(v.type))
  const expected = reference(graph).run(inputs).map(hashOf)

  test('are used for these shapes', () => {
    const recipes = plan.steps.map((s) => `${s.node.from} ${s.recipe}`)
    expect(recipes.filter((r) => /^(conv|depth|dense|partial|add)/.test(r) && !/live|masked/.test(r))).toEqual([])
  })

  test('mean what the operators mean', () => {
    expect(runPlan(plan, 0x5a).run(inputs).map(hashOf)).toEqual(expected)
  })

  const missing = missingDeviceTools()
  test.skipIf(missing.length > 0).each(['cortex-m4', 'cortex-m7'])(
    `give the same bits on an emulated %s (skipped where ${missing.join(' and ') || 'nothing'} is missing)`,
    (on) => {
      expect(benchDevice(makePlan(graph, targetOf(on)), on, inputs).outputFnv1a).toEqual(expected)
    },
    60_000,
  )

  test.skipIf(!hostCompiler())('give the same bits in plain loops, without undefined behaviour', () => {
    expect(runHostC(plan, { flags: SANITIZED }).run(inputs).map(hashOf)).toEqual(expected)
  })
})
