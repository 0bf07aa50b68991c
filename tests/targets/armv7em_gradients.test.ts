import { describe, expect, test } from 'vitest'
import { Xorshift32 } from '../../src/ir/random.ts'
import { CaseBuilder, f32, i8 } from '../../src/ops/case.ts'
import { depthwiseConv2d } from '../../src/ops/depthwise/op.ts'
import { convInputGradient, convWeightGradient } from '../../src/ops/gradients/window.ts'
import { matmul } from '../../src/ops/matmul/op.ts'
import { qasSgdWindow } from '../../src/ops/optimizer/qas_window.ts'
import { maskGradient } from '../../src/ops/qas/mask_gradient.ts'
import { sum } from '../../src/ops/reduce/op.ts'
import { makePlan } from '../../src/plan/make.ts'
import { benchDevice, missingDeviceTools } from '../../src/run/device.ts'
import { hostCompiler, runHostC, SANITIZED } from '../../src/run/host_c.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { targetOf } from '../../src/targets/index.ts'
import { hashOf } from '../support/bits.ts'

interface Layer {
  readonly x: readonly number[]
  readonly w: readonly number[]
  readonly y: readonly number[]
  readonly stride?: number
  readonly pad?: readonly number[]
  readonly depthwise?: boolean
}

const LAYERS: readonly Layer[] = [
  { x: [1, 4, 4, 16], w: [20, 1, 1, 16], y: [1, 4, 4, 20] },
  { x: [1, 3, 3, 12], w: [70, 1, 1, 12], y: [1, 3, 3, 70] },
  { x: [1, 5, 5, 13], w: [9, 3, 3, 13], y: [1, 5, 5, 9], pad: [1, 1, 1, 1] },
  { x: [2, 6, 6, 8], w: [8, 3, 3, 8], y: [2, 3, 3, 8], pad: [0, 1, 0, 1], stride: 2 },
  { x: [1, 6, 6, 8], w: [8, 1, 1, 8], y: [1, 3, 3, 8], stride: 2 },
  { x: [1, 5, 5, 24], w: [1, 3, 3, 24], y: [1, 5, 5, 24], pad: [1, 1, 1, 1], depthwise: true },
  { x: [2, 7, 6, 20], w: [1, 5, 5, 20], y: [2, 4, 3, 20], pad: [2, 2, 1, 2], stride: 2, depthwise: true },
]

/** Layers' gradients side by side, each an output of its own, and updates of weights. */
function gradients() {
  const b = new CaseBuilder('gradients', 21)
  const outputs = LAYERS.flatMap(({ x, w, y, stride = 1, pad = [0, 0, 0, 0], depthwise = false }, i) => {
    const groups = depthwise ? x[3] : 1
    const window = { stride: [stride, stride], dilation: [1, 1], pad, groups, depthwise }
    const g = b.input(`g${i}`, f32(y))
    const stored = b.weights(`w${i}`, w, 0.02)
    const image = b.input(`x${i}`, i8(x, 0.05, -3))
    const before = b.input(`before${i}`, f32(x))
    const from = (what: string) => ({ from: `${what} ${i}` })
    return [
      b.one(convInputGradient, [g, stored], { ...window, shape: x }, from('input')),
      b.one(convInputGradient, [g, stored, before], { ...window, shape: x }, from('input on top')),
      b.one(convInputGradient, [g, b.floats(`f${i}`, w)], { ...window, shape: x }, from('input of float32')),
      b.one(convWeightGradient, [image, g], { ...window, shape: w }, from('weights')),
    ]
  })
  const updated = LAYERS.map(({ x, w, y, stride = 1, pad = [0, 0, 0, 0], depthwise = false }, i) => {
    const data = Int8Array.from({ length: w.reduce((n, d) => n * d, 1) }, (_, k) => ((k * 37) % 255) - 127)
    const param = b.param(`p${i}`, { dtype: 'i8', shape: w }, data)
    const image = b.input(`ux${i}`, i8(x, 0.05, -3))
    const step = b.const(`step${i}`, { dtype: 'i32', shape: [1] }, Int32Array.of(7))
    const rate = b.const(`rate${i}`, f32([1]), Float32Array.of(0.01))
    const groups = depthwise ? x[3] : 1
    const axis = depthwise ? 3 : 0
    const window = { stride: [stride, stride], dilation: [1, 1], pad, groups, depthwise, shape: w }
    const scale = Array.from({ length: w[axis] }, (_, c) => 0.1 + 0.05 * (c % 5))
    const attrs = { ...window, scale, axis, rounding: 'stochastic', seed: 1, tensor: i } as const
    b.add(qasSgdWindow, [param, image, b.input(`ug${i}`, f32(y)), rate, step], attrs, { from: `update ${i}` })
    return param
  })
  const [left, right] = [b.input('left', f32([5, 9])), b.input('right', f32([9, 19]))]
  const product = b.one(matmul, [left, right], { transA: false, transB: false }, { from: 'matmul' })
  const wide = b.input('wide', f32([1, 3, 3, 40]))
  const sums = b.one(sum, [wide], { axes: [0, 1, 2], keepDims: true }, { from: 'sum' })
  const through = [40, 1].map((n) => {
    const mask = b.input(`mask${n}`, { dtype: 'u8', shape: [45] })
    return b.one(maskGradient, [wide, mask, b.floats(`factor${n}`, [n])], {}, { from: `mask of ${n}` })
  })
  const forward = b.one(
    depthwiseConv2d,
    [b.input('picture', f32([1, 6, 5, 20])), b.floats('taps', [1, 3, 3, 20]), b.floats('bias', [20])],
    { stride: [1, 1], dilation: [1, 1], pad: [1, 1, 1, 1], clamp: { min: 0 } },
    { from: 'depthwise of float32' },
  )
  return b.graph([...outputs, ...updated, product, sums, ...through, forward])
}

describe('Armv7E-M routines for gradients', () => {
  const graph = gradients()
  const plan = makePlan(graph, targetOf('cortex-m4'))
  const random = new Xorshift32(3)
  const inputs = graph.inputs.map((v) => random.fill(v.type))
  const expected = reference(graph).run(inputs).map(hashOf)

  test('are used for these shapes', () => {
    const recipes = plan.steps.map((s) => `${s.node.from} ${s.recipe}`)
    expect(recipes.filter((r) => !/vm|vadd/.test(r))).toEqual([])
  })

  test('mean what the operators mean', () => {
    expect(runPlan(plan, 0x5a).run(inputs).map(hashOf)).toEqual(expected)
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

  test.skipIf(!hostCompiler())('give the same bits in plain loops, without undefined behaviour', () => {
    expect(runHostC(plan, { flags: SANITIZED }).run(inputs).map(hashOf)).toEqual(expected)
  })
})
