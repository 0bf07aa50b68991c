import { describe, expect, test } from 'vitest'
import { emitC } from '../../src/emit/c/program.ts'
import { quantOf, type TensorType } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { highProduct, requant } from '../../src/loops/arith.ts'
import { add, mul } from '../../src/ops/binary/op.ts'
import { CaseBuilder, i8 } from '../../src/ops/case.ts'
import { averagePool2d, maxPool2d } from '../../src/ops/pool/op.ts'
import { mean } from '../../src/ops/reduce/op.ts'
import { makePlan } from '../../src/plan/make.ts'
import { benchDevice, missingDeviceTools } from '../../src/run/device.ts'
import { hostCompiler, runHostC, SANITIZED } from '../../src/run/host_c.ts'
import { inDirectory, isInstalled, runTool } from '../../src/run/host_tool.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { type Channel, type Form, type Output, shortForm } from '../../src/targets/armv7em/requantize.ts'
import { targetOf } from '../../src/targets/index.ts'
import { hashOf } from '../support/bits.ts'
import { layersOf } from '../support/layers.ts'

/** What the routines compute from the sum A, given 256 * A. */
function short(a: number, form: Form, c: number): number {
  const { multiplier, offset, shift, negative } = form.channels[c]
  const high = (highProduct((256 * a) | 0, multiplier) + offset - (a < 0 ? negative : 0)) | 0
  return Math.max(-128, Math.min(127, high >> shift))
}

function specified(a: number, { multiplier, shift }: Channel, { zero, low, high }: Output): number {
  return Math.max(low, Math.min(high, requant(a, multiplier, shift) + zero))
}

describe('the short requantisation', () => {
  const random = new Xorshift32(11)
  const output = (zero: number): Output => ({ zero, low: -128, high: 127 })
  const channel = (shift: number, range: number): Channel => ({
    low: -range,
    high: range,
    multiplier: random.between(2 ** 30, 2 ** 31 - 1),
    shift,
  })

  test.each([
    ['a ReLU', -128],
    ['a zero point inside', 7],
  ])('is the specified one for every sum, with %s', (_, zero) => {
    const channels = [-5, -6, -7, -8, -8].map((shift) => channel(shift, 60_000))
    const form = shortForm(channels, output(zero))!
    expect(form.shift).toBeDefined()
    expect(form.signed).toBe(zero !== -128)
    for (const [c, ch] of channels.entries())
      for (let a = ch.low; a <= ch.high; a++)
        if (short(a, form, c) !== specified(a, ch, output(zero)))
          expect.fail(`channel ${c}, sum ${a}: ${short(a, form, c)}, specified ${specified(a, ch, output(zero))}`)
  })

  test('gives each channel a shift of its own where scales differ much', () => {
    const channels = [channel(-2, 20_000), channel(-12, 4_000_000)]
    const form = shortForm(channels, output(-128))!
    expect(form.shift).toBeUndefined()
    for (const [c, ch] of channels.entries())
      for (let a = ch.low; a <= ch.high; a += 7)
        if (short(a, form, c) !== specified(a, ch, output(-128))) expect.fail(`channel ${c}, sum ${a}`)
  })

  test('needs no bound for channels whose output never changes', () => {
    const dead = { low: 2 ** 29, high: 2 ** 30, multiplier: 2 ** 30, shift: 0 }
    const form = shortForm([channel(-7, 60_000), dead], output(-128))!
    expect(short(2 ** 29, form, 1)).toBe(127)
  })

  test('is refused where a sum may not fit', () => {
    expect(shortForm([channel(-12, 2 ** 23)], output(-128))).toBeUndefined()
  })
})

/** Convolutions of many shapes side by side, each an output of its own. */
function shapes() {
  const b = new CaseBuilder('shapes', 21)
  const { conv, depthwise, dense, outputs } = layersOf(b)
  conv([4, 4, 8], [1, 1], 6)
  conv([3, 3, 16], [1, 1], 7, { relu: false })
  conv([5, 1, 4], [1, 1], 8, { relu: false })
  conv([6, 7, 3], [3, 3], 8, { pad: [1, 1, 1, 1], stride: 2 })
  conv([5, 5, 8], [3, 3], 5, { pad: [1, 1, 1, 1], relu: false })
  conv([6, 6, 4], [3, 3], 4, { dilation: 2 })
  conv([9, 4, 1], [5, 4], 6, { pad: [2, 1, 2, 2], stride: 2 })
  conv([2, 2, 48], [2, 2], 3)
  conv([3, 3, 8], [1, 1], 6, { zero: 11 })
  conv([5, 5, 3], [3, 3], 5, { pad: [1, 1, 1, 1], relu: false, zero: -90 })
  conv([1, 2, 300], [1, 1], 4, { zero: 2 })
  conv([3, 3, 101], [2, 2], 3, { zero: -5 })
  depthwise([6, 6, 8], [3, 3], { pad: [1, 1, 1, 1] })
  depthwise([7, 9, 4], [3, 3], { pad: [0, 0, 1, 1], stride: 2, relu: false })
  depthwise([8, 8, 6], [5, 5], { pad: [2, 2, 2, 2] })
  depthwise([8, 10, 4], [7, 7], { pad: [3, 3, 3, 3], relu: false })
  depthwise([5, 3, 4], [2, 4], { pad: [0, 1, 1, 2] })
  depthwise([12, 1, 5], [4, 1])
  depthwise([6, 6, 4], [6, 6])
  depthwise([5, 6, 4], [3, 3], { pad: [1, 1, 1, 1], zero: 100 })
  depthwise([5, 6, 5], [3, 3], { stride: 2, relu: false, zero: -128 })
  dense(64, 12)
  dense(10, 5, true)
  dense(7, 1)
  const sum: TensorType = i8([1, 3, 3, 5], 0.03, 11)
  const [p, q] = [b.input('p', sum), b.input('q', i8([1, 3, 3, 5], 0.07, -20))]
  outputs.push(b.one(add, [p, q], { clamp: {} }, { quant: quantOf(0.09, 1), from: 'add' }))
  for (const [h, channels, zero] of [
    [4, 8, -128],
    [3, 7, 5],
  ]) {
    const from = `gate${channels}`
    const x = b.input(`${from}/x`, i8([1, h, 3, channels], 0.05, zero))
    const gate = b.input(`${from}/g`, i8([1, 1, 1, channels], 0.004, -128))
    const operands = channels === 8 ? [x, gate] : [gate, x]
    outputs.push(b.one(mul, operands, { clamp: {} }, { quant: quantOf(0.043, -128), from }))
  }
  const image = b.input('image', i8([1, 6, 5, 23], 0.05, 3))
  outputs.push(b.one(mean, [image], { axes: [1, 2], keepDims: true }, { quant: quantOf(0.04, -2), from: 'mean' }))
  const window = { kernel: [3, 2], stride: [2, 1], pad: [0, 0, 0, 0], clamp: {} }
  outputs.push(b.one(maxPool2d, [image], window, { quant: image.type.quant, from: 'max_pool' }))
  outputs.push(b.one(averagePool2d, [image], window, { quant: image.type.quant, from: 'average_pool' }))
  return b.graph(outputs)
}

describe('Armv7E-M routines', () => {
  const graph = shapes()
  const plan = makePlan(graph, targetOf('cortex-m4'))
  const random = new Xorshift32(3)
  const inputs = graph.inputs.map((v) => random.fill(v.type))
  const expected = reference(graph).run(inputs).map(hashOf)

  test('are used for these shapes', () => {
    const recipes = plan.steps.map((s) => `${s.node.from} ${s.recipe}`)
    expect(recipes.filter((r) => !/smla|halves/.test(r))).toEqual([])
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
  test.skipIf(missing.length > 0).each(['cortex-m4', 'cortex-m7', 'cortex-m55'])(
    `give the same bits on an emulated %s (skipped where ${missing.join(' and ') || 'nothing'} is missing)`,
    (on) => {
      const report = benchDevice(makePlan(graph, targetOf(on)), on, inputs)
      expect(report.outputFnv1a).toEqual(expected)
    },
    60_000,
  )
})

describe('the C of Armv7E-M programs', () => {
  const compilers = ['gcc', 'clang', 'g++'].filter(isInstalled)
  test.skipIf(compilers.length === 0).each(compilers)('compiles without a warning by %s', (compiler) => {
    const files = emitC(makePlan(shapes(), targetOf('cortex-m4')), 'shapes').files
    const language = compiler === 'g++' ? ['-x', 'c++'] : ['-std=c99', '-pedantic']
    const warnings = ['-Wall', '-Wextra', '-Wconversion', '-Wshadow', '-Werror']
    inDirectory(files, (directory) => {
      runTool(compiler, [...language, ...warnings, '-O1', '-c', '-o', 'shapes.o', 'shapes.c'], { directory, hint: '' })
    })
  })

  test('has functions that only one branch calls under the condition of that branch', () => {
    const b = new CaseBuilder('padded', 3)
    const { conv, outputs } = layersOf(b)
    conv([6, 7, 3], [3, 3], 8, { pad: [1, 1, 1, 1] })
    const [source] = emitC(makePlan(b.graph(outputs), targetOf('cortex-m4')), 'padded').files
    const test = 'defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)'
    expect(source.text).toContain(`#if ${test}\nstatic inline int32_t wmul(`)
    expect(source.text).toContain(`#if !(${test})\nstatic inline int32_t max32(`)
  })

  test.skipIf(!hostCompiler())('gives the same bits in its plain loops, without undefined behaviour', async () => {
    const graph = shapes()
    const random = new Xorshift32(3)
    const inputs = graph.inputs.map((v) => random.fill(v.type))
    const plan = makePlan(graph, targetOf('cortex-m4'))
    const model = runHostC(plan, { flags: SANITIZED })
    expect(model.run(inputs).map(hashOf)).toEqual(reference(graph).run(inputs).map(hashOf))
  })
})
