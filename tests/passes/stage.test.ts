import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { emitC } from '../../src/emit/c/program.ts'
import { compile } from '../../src/emit/program.ts'
import { type Graph, quantOf, type Value } from '../../src/ir/graph.ts'
import { liveBytes } from '../../src/ir/live.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { verify } from '../../src/ir/verify.ts'
import { add } from '../../src/ops/binary/op.ts'
import { CaseBuilder, f32, i8 } from '../../src/ops/case.ts'
import { conv2d } from '../../src/ops/conv2d/op.ts'
import { depthwiseConv2d } from '../../src/ops/depthwise/op.ts'
import { averagePool2d, maxPool2d } from '../../src/ops/pool/op.ts'
import { concat } from '../../src/ops/shape/concat.ts'
import { assign } from '../../src/ops/state/op.ts'
import { runPasses } from '../../src/passes/index.ts'
import { type Segment, unroll } from '../../src/passes/pieces.ts'
import { stage, stageable } from '../../src/passes/stage.ts'
import { makePlan } from '../../src/plan/make.ts'
import { benchDevice, missingDeviceTools } from '../../src/run/device.ts'
import { hostCompiler, runHostC, SANITIZED, STRICT } from '../../src/run/host_c.ts'
import { inDirectory, runTool } from '../../src/run/host_tool.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { TARGET_NAMES, targetOf } from '../../src/targets/index.ts'
import { hashOf } from '../support/bits.ts'
import { residual, separable } from '../support/nets.ts'

/** Inverted bottlenecks with a residual connection, strides, a branch, and two results of different size. */
function bottlenecks(): Graph {
  const b = new CaseBuilder('bottlenecks', 5)
  const window = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0], groups: 1, clamp: {} }
  const quant = (relu: boolean) => ({ quant: quantOf(0.1, relu ? -128 : 3) })
  let n = 0
  const pointwise = (x: Value, channels: number, relu: boolean) => {
    const from = `pointwise${n++}`
    const w = b.weights(`${from}/w`, [channels, 1, 1, x.type.shape[3]], 0.01, 0)
    const attrs = { ...window, clamp: relu ? { min: 0 } : {} }
    return b.one(conv2d, [x, w, b.bias(`${from}/b`, channels, 900)], attrs, { ...quant(relu), from })
  }
  const depthwise = (x: Value, k: number, stride: number) => {
    const from = `depthwise${n++}`
    const channels = x.type.shape[3]
    const w = b.weights(`${from}/w`, [1, k, k, channels], 0.02, 3)
    const p = (k - 1) / 2
    const attrs = { stride: [stride, stride], dilation: [1, 1], pad: [p, p, p, p], clamp: { min: 0 } }
    return b.one(depthwiseConv2d, [x, w, b.bias(`${from}/b`, channels, 900)], attrs, { ...quant(true), from })
  }
  const block = (x: Value, k: number, stride: number, channels: number) =>
    pointwise(depthwise(pointwise(x, 20, true), k, stride), channels, false)
  const x = b.input('image', i8([1, 34, 14, 3], 0.05, -3))
  const w = b.weights('stem/w', [4, 3, 3, 3], 0.01, 0)
  const stem = b.one(
    conv2d,
    [x, w, b.bias('stem/b', 4, 900)],
    { ...window, stride: [2, 2], pad: [1, 1, 1, 1], clamp: { min: 0 } },
    { ...quant(true), from: 'stem' },
  )
  const first = block(stem, 3, 1, 4)
  const sum = b.one(add, [block(first, 5, 1, 4), first], { clamp: {} }, { ...quant(false), from: 'sum' })
  const pool = { kernel: [3, 3], stride: [1, 1], pad: [1, 1, 1, 1], clamp: {} }
  const pooled = b.one(maxPool2d, [sum], pool, { from: 'max', quant: sum.type.quant })
  const mean = b.one(averagePool2d, [sum], pool, { from: 'mean', quant: sum.type.quant })
  const both = b.one(concat, [pooled, mean], { axis: 3 }, { from: 'both', quant: sum.type.quant })
  return b.graph([block(both, 3, 2, 8), pointwise(sum, 4, false)])
}

function floats(): Graph {
  const b = new CaseBuilder('floats', 9)
  const window = { stride: [1, 1], dilation: [1, 1], pad: [1, 1, 1, 1], groups: 1, clamp: { min: 0 } }
  const x = b.input('image', f32([1, 9, 6, 2]))
  const one = b.one(conv2d, [x, b.floats('a', [3, 3, 3, 2]), b.floats('ab', [3])], window, { from: 'one' })
  const two = b.one(
    depthwiseConv2d,
    [one, b.floats('d', [1, 3, 3, 3]), b.floats('db', [3])],
    { ...window, stride: [2, 1] },
    { from: 'two' },
  )
  return b.graph([two])
}

const NETS = { bottlenecks, separable, residual, floats }

function outputs(run: (inputs: ReturnType<Xorshift32['fill']>[]) => ReturnType<Xorshift32['fill']>[], graph: Graph) {
  const random = new Xorshift32(17)
  return run(graph.inputs.map((v) => random.fill(v.type))).map(hashOf)
}

const byRows = (from: number, to: number, rows: number): Segment => ({ from, to, across: 1, down: 0, rows: () => rows })
const macs = (g: Graph) => g.nodes.reduce((n, node) => n + node.op.cost(node).macs, 0)

describe.each(Object.entries(NETS))('%s piece by piece', (_, net) => {
  const graph = runPasses(net())
  const expected = outputs((x) => reference(graph).run(x), graph)
  const end = stageable(graph)
  const keeps = (segments: readonly Segment[]) =>
    expect(
      outputs((x) => reference(verify(unroll(graph, segments))).run(x), graph),
      JSON.stringify(segments),
    ).toEqual(expected)

  test.each([1, 2, 3, 5])('gives the same bits in blocks of %i rows, wherever the stage ends', (rows) => {
    for (let count = 1; count <= end; count++) keeps([byRows(0, count, rows)])
  })

  test('gives the same bits in blocks of another size in each layer', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 7 }), { minLength: end, maxLength: end }), (sizes) => {
        const of = new Map(graph.nodes.slice(0, end).map((node, i) => [node.outputs[0], sizes[i]]))
        keeps([{ ...byRows(0, end, 1), rows: (v) => of.get(v) ?? 1 }])
      }),
      { numRuns: 20 },
    )
  })

  test('gives the same bits in several stages, one after the other or apart', () => {
    for (let cut = 1; cut < end; cut++) {
      keeps([byRows(0, cut, 1), byRows(cut, end, 2)])
      keeps([byRows(cut, end, 1)])
    }
  })

  test('gives the same bits in strips and patches, also where their number does not divide', () => {
    for (const [down, across] of [
      [0, 2],
      [0, 3],
      [1, 3],
      [2, 1],
      [2, 2],
      [3, 4],
      [5, 3],
    ])
      for (let count = 1; count <= end; count++) keeps([{ from: 0, to: count, down, across }])
  })

  test.each(TARGET_NAMES)('keeps the bits in the loops for %s', (target) => {
    const one = target.startsWith('cortex') ? byRows(0, end, 4) : byRows(0, end, 1)
    for (const segment of [one, byRows(0, end, 2), { from: 0, to: end, down: 3, across: 2 }]) {
      const plan = makePlan(verify(unroll(graph, [segment])), targetOf(target))
      expect(outputs((x) => runPlan(plan, 0xa5).run(x), graph)).toEqual(expected)
    }
  })

  test('computes nothing twice by rows, and what surrounds its patches again', () => {
    expect(macs(unroll(graph, [byRows(0, end, 1)]))).toBe(macs(graph))
    expect(macs(unroll(graph, [{ from: 0, to: end, down: 2, across: 2 }]))).toBeGreaterThanOrEqual(macs(graph))
  })
})

describe('a program by rows', () => {
  const graph = bottlenecks()
  const expected = outputs((x) => reference(graph).run(x), graph)

  test('needs less memory, and as much as it says', async () => {
    const [whole, rows] = (['none', 'rows'] as const).map((how) => compile(graph, { target: 'wasm', stage: how }))
    expect(rows.plan.arenaBytes).toBeLessThan(whole.plan.arenaBytes)
    expect(rows.plan.weightBytes).toBeLessThan(whole.plan.weightBytes * 1.5)
    const model = await instantiate(rows)
    expect(outputs((x) => model.run(x), graph)).toEqual(expected)
  })

  test('is made where the budget asks for it', () => {
    const whole = compile(graph, { target: 'c' }).plan.arenaBytes
    const plan = compile(graph, { target: 'c', sram: whole - 1 }).plan
    expect(plan.arenaBytes).toBeLessThan(whole)
    expect(compile(graph, { target: 'c', sram: whole }).plan.arenaBytes).toBe(whole)
  })

  test('goes by patches where these are asked for, and says what they cost', () => {
    for (const how of ['patches', 'patches:3x2'] as const) {
      const { plan } = compile(graph, { target: 'c', stage: how })
      expect(plan.arenaBytes).toBeLessThan(compile(graph, { target: 'c', stage: 'none' }).plan.arenaBytes)
      expect(plan.stages.every((s) => s.kind === 'patches' && (how === 'patches' || s.count === 6))).toBe(true)
      const extra = plan.stages.reduce((n, s) => n + s.extraMacs, 0)
      expect(plan.macs).toBe(macs(runPasses(graph)) + extra)
      expect(outputs((x) => runPlan(plan, 0xa5).run(x), graph)).toEqual(expected)
    }
  })

  test('recomputes no more than it may', () => {
    const plain = runPasses(graph)
    for (const maxRecompute of [1, 1.05, 1.5]) {
      const staged = stage(plain, { kind: 'patches', maxRecompute })
      if (staged) expect(macs(staged.graph)).toBeLessThanOrEqual(maxRecompute * macs(plain))
    }
  })

  test('lets fewer bytes live in the graph', () => {
    const plain = runPasses(graph)
    const staged = stage(plain)!
    expect(Math.max(...liveBytes(staged.graph))).toBeLessThan(Math.max(...liveBytes(plain)))
  })

  test.skipIf(!hostCompiler())('runs in C without undefined behaviour', () => {
    const { plan } = compile(graph, { target: 'cortex-m4', stage: 'rows' })
    const model = runHostC(plan, { flags: SANITIZED })
    expect(outputs((x) => model.run(x), graph)).toEqual(expected)
  })

  test('takes its input row by row, in the loops of every target for C', () => {
    for (const target of ['c', 'cortex-m4', 'cortex-m55']) {
      const whole = compile(graph, { target, stage: 'none' }).plan
      const { plan } = compile(graph, { target, input: 'streamed' })
      expect(plan.arenaBytes, target).toBeLessThan(whole.arenaBytes * 0.6)
      expect(
        outputs((x) => runPlan(plan, 0x3c).run(x), graph),
        target,
      ).toEqual(expected)
    }
  })

  test('refuses to stream where that has no meaning', () => {
    expect(() => compile(graph, { target: 'wasm', input: 'streamed' })).toThrow(/streamed is not available for wasm/)
    expect(() => compile(graph, { target: 'c', input: 'streamed', stage: 'none' })).toThrow(/streamed needs/)
  })

  test.skipIf(!hostCompiler())('takes its input row by row in C, twice in a row and in a trace', () => {
    const { plan } = compile(graph, { target: 'c', input: 'streamed' })
    const model = runHostC(plan, { flags: SANITIZED })
    const random = new Xorshift32(17)
    const inputs = graph.inputs.map((v) => random.fill(v.type))
    for (const out of model.runMany([inputs, inputs])) expect(out.map(hashOf)).toEqual(expected)
    expect(model.trace(inputs).outputs.map(hashOf)).toEqual(expected)
  })

  test.skipIf(!hostCompiler())('answers a wrong row by an error and touches nothing', () => {
    const { plan } = compile(graph, { target: 'c', input: 'streamed' })
    const main = `#include "model.h"
#include <string.h>
static uint8_t arena[MODEL_ARENA_BYTES + 64] __attribute__((aligned(64)));
int main(void) {
  static model_t m;
  static uint8_t row[MODEL_ROW_BYTES];
  if (model_push_row(&m, row, sizeof row) != -1) return 1;
  memset(arena, 0x77, sizeof arena);
  if (model_init(&m, arena, 0) != 0) return 2;
  if (model_push_row(&m, row, sizeof row + 1) != -2 || model_push_row(&m, row, 0) != -2) return 3;
  for (unsigned i = 0; i < sizeof arena; i++) if (arena[i] != 0x77) return 4;
  for (int r = 1; r < MODEL_ROWS; r++) if (model_push_row(&m, row, sizeof row) != 0) return 5;
  if (model_push_row(&m, row, sizeof row) != 1) return 6;
  for (unsigned i = MODEL_ARENA_BYTES; i < sizeof arena; i++) if (arena[i] != 0x77) return 7;
  return 0;
}
`
    inDirectory([...emitC(plan, 'model').files, { name: 'main.c', text: main }], (directory) => {
      const flags = [...STRICT, '-fsanitize=undefined,address', '-fno-sanitize-recover=all']
      runTool(hostCompiler()!, [...flags, '-o', 'main', 'model.c', 'main.c'], { directory })
      runTool(`${directory}/main`, [], { directory })
    })
  })

  test.skipIf(missingDeviceTools().length > 0)(
    'takes its input row by row on a Cortex-M4',
    () => {
      const { plan } = compile(graph, { target: 'cortex-m4', input: 'streamed' })
      const random = new Xorshift32(17)
      const report = benchDevice(
        plan,
        'cortex-m4',
        graph.inputs.map((v) => random.fill(v.type)),
      )
      expect(report.outputFnv1a).toEqual(expected)
      expect(report.arenaUsedBytes).toBeLessThanOrEqual(plan.arenaBytes)
    },
    60_000,
  )

  test.skipIf(missingDeviceTools().length > 0)(
    'paints no more of the arena than planned on a Cortex-M4',
    () => {
      const random = new Xorshift32(17)
      const inputs = graph.inputs.map((v) => random.fill(v.type))
      const { plan } = compile(graph, { target: 'cortex-m4', stage: 'rows' })
      const report = benchDevice(plan, 'cortex-m4', inputs)
      expect(report.outputFnv1a).toEqual(expected)
      expect(report.arenaUsedBytes).toBeLessThanOrEqual(plan.arenaBytes)
    },
    60_000,
  )
})

test('a model that keeps state between runs is staged or left as it is, and computes the same', () => {
  const b = new CaseBuilder('stateful', 8)
  const window = { stride: [1, 1], dilation: [1, 1], pad: [1, 1, 1, 1], groups: 1, clamp: {} }
  const x = b.input('x', f32([1, 12, 12, 2]))
  const wide = b.one(conv2d, [x, b.floats('w', [8, 3, 3, 2])], window)
  const narrow = b.one(conv2d, [wide, b.floats('v', [1, 3, 3, 8])], window)
  const state = b.state('last', narrow.type, new Float32Array(144))
  const y = b.one(add, [narrow, state], { clamp: {} })
  b.add(assign, [state, y], {})
  const graph = b.graph([y])
  for (const how of ['rows', 'patches'] as const) {
    const { plan } = compile(graph, { target: 'c', stage: how })
    const [expected, got] = [reference(graph), runPlan(plan, 0x55)]
    for (let run = 0; run < 2; run++) {
      const inputs = [new Xorshift32(run + 1).fill(x.type)]
      expect(got.run(inputs).map(hashOf)).toEqual(expected.run(inputs).map(hashOf))
    }
  }
})
