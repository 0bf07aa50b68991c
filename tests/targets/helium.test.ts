import { describe, expect, test } from 'vitest'
import { emitC } from '../../src/emit/c/program.ts'
import { quantOf, type TensorType } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { requant, srdhm } from '../../src/loops/arith.ts'
import { add, mul, sub } from '../../src/ops/binary/op.ts'
import { CaseBuilder, i8 } from '../../src/ops/case.ts'
import { averagePool2d, maxPool2d } from '../../src/ops/pool/op.ts'
import { mean } from '../../src/ops/reduce/op.ts'
import { makePlan } from '../../src/plan/make.ts'
import { benchDevice, missingDeviceTools } from '../../src/run/device.ts'
import { hostCompiler, runHostC, SANITIZED } from '../../src/run/host_c.ts'
import { inDirectory, isInstalled, runTool } from '../../src/run/host_tool.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import type { Channel } from '../../src/targets/armv7em/requantize.ts'
import { type Form, formOf } from '../../src/targets/helium/requantize.ts'
import { targetOf } from '../../src/targets/index.ts'
import { hashOf } from '../support/bits.ts'
import { layersOf } from '../support/layers.ts'

const MAX = 2 ** 31 - 1

/** What VQRDMULH, VADD, VQSHL and VSHR make of a sum. */
function helium(a: number, { signed, channels }: Form, c: number): number {
  const { multiplier, offset, left } = channels[c]
  const high = srdhm(a, multiplier)
  const sum = high + (signed && high < 0 ? -1 : 0) + offset
  if (Math.abs(sum) > MAX) expect.fail(`${sum} does not fit 32 bits`)
  return Math.max(-MAX - 1, Math.min(MAX, Math.floor(sum * 2 ** left))) >> 24
}

describe('the requantisation in lanes', () => {
  const random = new Xorshift32(12)
  const channel = (shift: number, range: number): Channel => ({
    low: -range,
    high: range,
    multiplier: random.between(2 ** 30, MAX),
    shift,
  })

  test.each([
    ['a ReLU', -128],
    ['a zero point inside', 7],
    ['the highest zero point', 127],
  ])('is the specified one for every sum, with %s', (_, zero) => {
    const channels = [-1, -2, -5, -8, -11, -22].map((shift) => channel(shift, 40_000))
    const form = formOf(channels, zero)!
    expect(form.signed).toBe(zero !== -128)
    for (const [c, { low, high, multiplier, shift }] of channels.entries())
      for (let a = low; a <= high; a++) {
        const specified = Math.max(-128, Math.min(127, requant(a, multiplier, shift) + zero))
        if (helium(a, form, c) !== specified)
          expect.fail(`channel ${c}, sum ${a}: ${helium(a, form, c)}, not ${specified}`)
      }
  })

  test('needs no bound for channels whose output never changes', () => {
    const dead = { low: 2 ** 30 + 1, high: 2 ** 31 - 1, multiplier: 2 ** 30, shift: 0 }
    const form = formOf([channel(-7, 60_000), dead], -128)!
    expect(helium(2 ** 31 - 1, form, 1)).toBe(127)
  })

  test('is refused where a sum may not fit, or grows', () => {
    expect(formOf([channel(-12, 2 ** 30 + 1)], -128)).toBeUndefined()
    expect(formOf([channel(1, 200)], -128)).toBeUndefined()
  })
})

/** Convolutions of many shapes side by side, each an output of its own. */
function shapes() {
  const b = new CaseBuilder('shapes', 22)
  const { conv, depthwise, dense, outputs } = layersOf(b)
  conv([4, 4, 8], [1, 1], 6)
  conv([3, 3, 16], [1, 1], 7, { relu: false })
  conv([5, 1, 4], [1, 1], 8, { relu: false })
  conv([6, 7, 3], [3, 3], 8, { pad: [1, 1, 1, 1], stride: 2 })
  conv([5, 5, 8], [3, 3], 5, { pad: [1, 1, 1, 1], relu: false })
  conv([6, 6, 4], [3, 3], 4, { dilation: 2 })
  conv([9, 4, 1], [5, 4], 6, { pad: [2, 1, 2, 2], stride: 2 })
  conv([2, 2, 48], [2, 2], 3)
  conv([3, 3, 40], [1, 1], 12, { relu: false })
  conv([3, 3, 128], [1, 1], 8)
  conv([1, 2, 95], [1, 1], 10, { relu: false })
  conv([1, 5, 120], [1, 1], 9)
  conv([4, 3, 6], [1, 1], 3)
  conv([1, 3, 144], [1, 1], 16, { relu: false })
  conv([8, 8, 16], [3, 3], 16, { pad: [1, 1, 1, 1], relu: false })
  conv([7, 6, 16], [1, 1], 8, { stride: 2 })
  conv([12, 1, 5], [4, 1], 4, { pad: [1, 0, 2, 0] })
  dense(640, 8)
  dense(130, 6)
  depthwise([6, 6, 8], [3, 3], { pad: [1, 1, 1, 1] })
  depthwise([7, 9, 4], [3, 3], { pad: [0, 0, 1, 1], stride: 2, relu: false })
  depthwise([8, 8, 6], [5, 5], { pad: [2, 2, 2, 2] })
  depthwise([8, 10, 4], [7, 7], { pad: [3, 3, 3, 3], relu: false })
  depthwise([5, 3, 4], [2, 4], { pad: [0, 1, 1, 2] })
  depthwise([12, 1, 5], [4, 1])
  depthwise([6, 6, 4], [6, 6])
  dense(64, 12)
  dense(10, 5, true)
  dense(7, 1)
  dense(20, 3)
  depthwise([3, 3, 8], [3, 3], { pad: [1, 1, 1, 1], relu: false })
  depthwise([9, 9, 7], [3, 3], { pad: [0, 0, 1, 1], stride: 2 })
  depthwise([20, 30, 3], [7, 7], { pad: [3, 3, 3, 3], stride: 2, relu: false })
  depthwise([15, 1, 16], [10, 1])
  depthwise([5, 5, 2], [5, 5], { pad: [2, 2, 2, 2] })
  depthwise([3, 140, 2], [3, 3], { pad: [1, 1, 1, 1], relu: false })
  depthwise([3, 281, 2], [3, 3], { pad: [0, 0, 1, 1], stride: 2 })
  depthwise([25, 5, 6], [3, 3], { pad: [1, 1, 1, 1] })
  depthwise([10, 7, 4], [6, 6], { pad: [2, 2, 3, 3], relu: false })
  depthwise([5, 5, 3], [7, 7], { pad: [3, 3, 3, 3] })
  depthwise([9, 1, 16], [9, 1], { relu: false })
  depthwise([20, 9, 3], [8, 2], { stride: 2 })
  depthwise([4, 11, 5], [2, 2], { stride: 3 })
  const sum: TensorType = i8([1, 3, 3, 5], 0.03, 11)
  const [p, q] = [b.input('p', sum), b.input('q', i8([1, 3, 3, 5], 0.07, -20))]
  outputs.push(b.one(add, [p, q], { clamp: {} }, { quant: quantOf(0.09, 1), from: 'add' }))
  const [large, row] = [b.input('large', i8([1, 4, 3, 19], 0.05, -7)), b.input('row', i8([1, 1, 1, 19], 0.04, 3))]
  const made = (from: string, quant = quantOf(0.021, -4)) => ({ quant, from })
  outputs.push(b.one(mul, [large, row], { clamp: {} }, made('mul')))
  outputs.push(b.one(add, [large, row], { clamp: {} }, made('add of a row')))
  outputs.push(b.one(sub, [large, large], { clamp: {} }, made('sub')))
  const many = b.input('many', i8([1, 5, 70, 21], 0.05, 5))
  outputs.push(b.one(mean, [large], { axes: [1, 2], keepDims: false }, made('mean')))
  outputs.push(b.one(mean, [many], { axes: [2], keepDims: true }, made('mean of a line', quantOf(0.06, 1))))
  outputs.push(b.one(mean, [many], { axes: [1, 2], keepDims: true }, made('mean of many')))
  const square = { kernel: [2, 2], stride: [2, 2], pad: [0, 0, 0, 0], clamp: {} }
  outputs.push(b.one(averagePool2d, [many], square, { from: 'average_pool2d' }))
  outputs.push(b.one(maxPool2d, [many], square, { from: 'max_pool2d' }))
  return b.graph(outputs)
}

describe('Helium routines', () => {
  const graph = shapes()
  const plan = makePlan(graph, targetOf('cortex-m55'))
  const random = new Xorshift32(3)
  const inputs = graph.inputs.map((v) => random.fill(v.type))
  const expected = reference(graph).run(inputs).map(hashOf)

  test('are used for these shapes', () => {
    const recipes = plan.steps.map((s) => `${s.node.from} ${s.recipe}`)
    expect(recipes.filter((r) => !/vmla|lanes/.test(r))).toEqual([])
  })

  test('mean what the operators mean', () => {
    expect(runPlan(plan, 0x5a).run(inputs).map(hashOf)).toEqual(expected)
  })

  test('stand once in the C file, with loops for other compilers beside each call', () => {
    const [source] = emitC(plan, 'shapes').files
    const names = [...source.text.matchAll(/^static MOTE_ASM void (\w+)\(/gm)].map((m) => m[1])
    expect(new Set(names).size).toBe(names.length)
    expect(source.text.split('#else').length).toBeGreaterThan(names.length)
  })

  const missing = missingDeviceTools()
  test.skipIf(missing.length > 0)(
    `give the same bits on an emulated Cortex-M55 (skipped where ${missing.join(' and ') || 'nothing'} is missing)`,
    () => {
      expect(benchDevice(plan, 'cortex-m55', inputs).outputFnv1a).toEqual(expected)
    },
    60_000,
  )
})

describe('the C of Helium programs', () => {
  const graph = shapes()
  const plan = makePlan(graph, targetOf('cortex-m55'))
  const warnings = ['-std=c99', '-pedantic', '-Wall', '-Wextra', '-Wconversion', '-Wshadow', '-Werror', '-O1']
  const compilers = [
    ['gcc', []],
    ['clang', []],
    ['arm-none-eabi-gcc', ['-mcpu=cortex-m55', '-mfloat-abi=hard', '-mthumb']],
  ] as const
  const installed = compilers.filter(([compiler]) => isInstalled(compiler))
  test.skipIf(installed.length === 0).each(installed)('compiles without a warning by %s', (compiler, machine) => {
    inDirectory(emitC(plan, 'shapes').files, (directory) => {
      runTool(compiler, [...machine, ...warnings, '-c', '-o', 'shapes.o', 'shapes.c'], { directory, hint: '' })
    })
  })

  test.skipIf(!hostCompiler())('gives the same bits in its plain loops, without undefined behaviour', () => {
    const random = new Xorshift32(3)
    const inputs = graph.inputs.map((v) => random.fill(v.type))
    const model = runHostC(plan, { flags: SANITIZED })
    expect(model.run(inputs).map(hashOf)).toEqual(reference(graph).run(inputs).map(hashOf))
  })
})
