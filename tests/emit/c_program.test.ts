import { describe, expect, test } from 'vitest'
import { emitC, identifier } from '../../src/emit/c/program.ts'
import { Builder } from '../../src/ir/build.ts'
import { type Graph, quantOf } from '../../src/ir/graph.ts'
import { fingerprint } from '../../src/ir/hash.ts'
import type { Op } from '../../src/ir/op.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import * as L from '../../src/loops/build.ts'
import type { Data } from '../../src/loops/ir.ts'
import { CaseBuilder, f32, i8 } from '../../src/ops/case.ts'
import { conv2d } from '../../src/ops/conv2d/op.ts'
import { inPlace } from '../../src/passes/in_place.ts'
import { makePlan } from '../../src/plan/make.ts'
import type { Plan } from '../../src/plan/plan.ts'
import { benchDevice, DEVICE_NAMES, missingDeviceTools } from '../../src/run/device.ts'
import { hostCompiler, runHostC, SANITIZED, STRICT } from '../../src/run/host_c.ts'
import { inDirectory, isInstalled, runTool } from '../../src/run/host_tool.ts'
import { reference } from '../../src/run/reference.ts'
import type { Target } from '../../src/targets/target.ts'
import { accumulate, i32, mix, randomGraph, scale } from '../support/toy_ops.ts'

const compiler = hostCompiler()
const TARGET: Target = { name: 'c', emits: 'c', align: 8, recipes: [] }
const CXX = ['-x', 'c++', '-O1', '-Wall', '-Wextra', '-Wconversion', '-Wpedantic', '-Werror']

const generated = (graph: Graph, seed: number): Data[] => {
  const random = new Xorshift32(seed)
  return graph.inputs.map((v) => random.fill(v.type))
}
const hashes = (all: readonly Data[]) => all.map(fingerprint)
const planned = (graph: Graph, align = 8): Plan => makePlan(inPlace(graph), { ...TARGET, align })

/** int8 convolutions, two of one shape, and a float one beside them. */
function convolutions(): Graph {
  const b = new CaseBuilder('two nets')
  const plain = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0], groups: 1, clamp: {} }
  const same = { ...plain, pad: [1, 1, 1, 1], clamp: { min: 0 } }
  const q = { quant: quantOf(0.11, -128) }
  const x = b.input('image', i8([1, 9, 8, 3], 0.05, -3))
  const stem = b.one(conv2d, [x, b.weights('w', [8, 3, 3, 3], 0.01, 0), b.bias('b', 8)], same, { ...q, from: 'stem' })
  const layer = (from: string, of = stem) =>
    b.one(
      conv2d,
      [of, b.weights(`${from}/w*/`, [8, 3, 3, 1], 0.02, 0), b.bias('int', 8)],
      { ...same, groups: 8 },
      { ...q, from },
    )
  const f = b.input('features', f32([1, 5, 5, 4]))
  const floats = b.one(conv2d, [f, b.floats('float', [6, 3, 3, 4]), b.floats('', [6])], {
    ...same,
    clamp: { min: 0, max: 0.7 },
  })
  return b.graph([layer('second */', layer('first')), floats])
}

/** out = state + x, then state += x. */
function counter(): Graph {
  const b = new Builder('counter')
  const x = b.input('x', i32(4))
  const state = b.state('total', i32(4), Int32Array.of(1, 2, 3, 4))
  const y = b.one(mix, [x, state], { bias: 0 })
  b.add(accumulate, [state, x], {})
  return b.graph([b.one(mix, [y, state], { bias: 5 })])
}

function expectSameRuns(graph: Graph, plan: Plan, flags: readonly string[], name = compiler): void {
  const want = reference(graph)
  const got = runHostC(plan, { flags, compiler: name })
  for (const seed of [1, 2]) {
    const inputs = generated(graph, seed)
    expect(hashes(got.run(inputs)), `${graph.name}, seed ${seed}`).toEqual(hashes(want.run(inputs)))
  }
}

describe.skipIf(!compiler)('C programs on this machine (skipped where no C compiler is installed)', () => {
  test('random graphs, with tensors in place and state, give the reference outputs without undefined behaviour', () => {
    for (let seed = 1; seed <= 12; seed++) {
      const graph = randomGraph(seed, { nodes: 14, state: true })
      expectSameRuns(graph, planned(graph), SANITIZED)
    }
  })

  test('int8 and float convolutions give the reference bits and compile without a warning', () => {
    const graph = convolutions()
    expectSameRuns(graph, planned(graph), STRICT)
    expectSameRuns(graph, planned(graph), SANITIZED)
  })

  test('a trace has every tensor that is computed', () => {
    const graph = convolutions()
    const inputs = generated(graph, 3)
    const want = reference(graph).trace(inputs)
    const got = runHostC(planned(graph)).trace(inputs)
    expect(got.tensors.map((t) => [t.value.name, fingerprint(t.data)])).toEqual(
      want.tensors.map((t) => [t.value.name, fingerprint(t.data)]),
    )
    expect(hashes(got.outputs)).toEqual(hashes(want.outputs))
  })

  test('state lasts from run to run until it is reset, also over many runs in one process', () => {
    const graph = counter()
    const model = runHostC(planned(graph))
    const inputs = [1, 2, 3, 4].map((seed) => generated(graph, seed))
    const want = reference(graph)
    const expected = inputs.map((x) => hashes(want.run(x)))
    expect([hashes(model.run(inputs[0])), ...model.runMany(inputs.slice(1)).map(hashes)]).toEqual(expected)
    expect(hashes(model.run(inputs[0]))).not.toEqual(expected[0])
    model.reset()
    expect(model.runMany(inputs).map(hashes)).toEqual(expected)
  })

  test('other weights take the place of the built-in ones at init, and a misaligned arena is refused', () => {
    const b = new Builder('swap')
    const w = b.const('w', i32(3), Int32Array.of(1, 2, 3))
    const plan = planned(b.graph([b.one(scale, [b.input('x', i32(3)), w], {})]))
    const main = `#include "swap.h"
#include <stdio.h>
static swap_weights_t other;
static int64_t arena[${plan.arenaBytes / 8 + 1}];
int main(void) {
  swap_t m;
  other = swap_weights;
  other.w[1] = 50;
  if (swap_init(&m, (char *)arena + 1, &other) != 1) return 1;
  if (swap_init(&m, arena, (const swap_weights_t *)((const char *)&other + 1)) != 2) return 2;
  if (swap_init(&m, arena, &other) != 0) return 3;
  for (int i = 0; i < SWAP_INPUT_COUNT; i++) swap_input(&m)[i] = 10;
  swap_run(&m);
  printf("%ld", (long)swap_output(&m)[1]);
  return 0;
}
`
    inDirectory([...emitC(plan, 'swap').files, { name: 'main.c', text: main }], (directory) => {
      runTool(compiler!, ['-std=c99', '-o', 'program', 'main.c', 'swap.c'], { directory })
      expect(`${Buffer.from(runTool(`${directory}/program`, []))}`).toBe(String(50 * 10 + 2 * 2))
    })
  })

  test('a step in place that changes the type of the bytes gives the same bits under every optimisation', () => {
    const n = 37
    const halves: Op = {
      ...scale,
      name: 'halves',
      check: () => {},
      infer: () => [f32([n])],
      eval: (_, [x]) => [Float32Array.from(x as Int32Array, (v) => v * 0.5)],
      lower: ({ inputs, outputs }) => {
        const [x, y] = [L.buffer('x', 'i32', [n]), L.buffer('y', 'f32', [n], 'write')]
        const body = L.loop('i', n, (i) => L.store(y, [i], L.op('mul', L.op('toF32', L.load(x, i)), L.float(0.5))))
        return { kernel: L.kernel('halves', [x, y], body), args: [{ value: inputs[0]! }, { value: outputs[0] }] }
      },
    }
    const b = new Builder('halves')
    const graph = b.graph([b.one(halves, [b.one(mix, [b.input('x', i32(n))], { bias: 3 })], {})])
    const plan = planned(graph)
    expect(plan.arenaBytes).toBeLessThan(2 * 4 * n)
    expect(emitC(plan, 'halves').files[0].text).toContain('halves_halves(const i32_aliased *x, f32_aliased *y)')
    for (const level of ['-O1', '-O3']) expectSameRuns(graph, plan, [...STRICT, level])
  })

  test('two megabytes of weights are printed in less than two seconds', () => {
    const b = new Builder('large')
    const random = new Xorshift32(5)
    const n = 2_300_000
    const w = b.const('w', { dtype: 'i8', shape: [1, n], quant: quantOf(0.1, 0) }, random.fill(i8([n], 1, 0)))
    const graph = b.graph([w])
    const plan = planned(graph)
    const before = performance.now()
    const [source] = emitC(plan, 'large').files
    expect(performance.now() - before).toBeLessThan(2000)
    expect(source.text.length).toBeGreaterThan(2 * n)
    expect(Math.max(...source.text.split('\n').map((line) => line.length))).toBeLessThan(160)
  })
})

test.skipIf(process.arch !== 'x64' || !isInstalled('clang'))(
  'a program whose compiler was told to fuse products refuses to start (skipped but on x64 with clang)',
  () => {
    const plan = planned(convolutions())
    const main = '#include "m.h"\nstatic double a[M_ARENA_BYTES];\nint main(void) { m_t m; return m_init(&m, a, 0); }\n'
    inDirectory([...emitC(plan, 'm').files, { name: 'main.c', text: main }], (directory) => {
      const build = (flags: readonly string[]) =>
        runTool('clang', ['-O2', '-mfma', ...flags, '-o', 'program', 'main.c', 'm.c'], { directory })
      build([])
      runTool(`${directory}/program`, [])
      build(['-ffp-contract=fast'])
      expect(() => runTool(`${directory}/program`, [])).toThrow(/code 3/)
      expect(() => build(['-ffast-math'])).toThrow(/round to float/)
    })
  },
)

for (const [name, flags] of [
  ['clang', STRICT],
  ['g++', CXX],
  ['clang++', ['-std=c++17', '-Wno-deprecated', ...CXX]],
] as const)
  test.skipIf(!isInstalled(name))(`a program compiles without a warning under ${name} (skipped where missing)`, () => {
    const graph = convolutions()
    expectSameRuns(graph, planned(graph), flags, name)
  })

test('layers of one shape share one function', () => {
  const [source] = emitC(planned(convolutions()), 'nets').files
  expect(source.text.match(/^static MOTE_KERNEL void \w+/gm)).toHaveLength(3)
  expect(source.text.match(/^ {8}nets_conv2d_3\(/gm)).toHaveLength(2)
})

test('the header gives sizes, shapes and quantisation', () => {
  const plan = planned(convolutions(), 16)
  const header = emitC(plan, 'nets').files[1].text
  for (const line of [
    `NETS_ARENA_BYTES ${plan.arenaBytes}`,
    'NETS_ARENA_ALIGN 16',
    'NETS_LAYERS 4',
    `NETS_WEIGHTS_LAYOUT 0x${plan.weights.layoutId}u`,
    'NETS_INPUT0_COUNT 216',
    'NETS_INPUT0_SHAPE {1, 9, 8, 3}',
    'NETS_INPUT0_SCALE 0.05f',
    'NETS_INPUT0_ZERO_POINT -3',
    'NETS_OUTPUT1_SHAPE {1, 5, 5, 6}',
  ])
    expect(header).toContain(`#define ${line}\n`)
  expect(header).toContain('int8_t *nets_input0(const nets_t *m);')
  expect(header).toContain('const float *nets_output1(const nets_t *m);')
})

test('names become identifiers', () => {
  expect(['2 bad-names', 'int', '', '::', 'a/b.c', 'class', 'int8_t'].map(identifier)).toEqual([
    'm2_bad_names',
    'int_',
    'model',
    'model',
    'a_b_c',
    'class_',
    'int8_t_',
  ])
})

const missing = missingDeviceTools()
describe.skipIf(missing.length > 0)(`C programs on emulated boards (skipped without ${missing.join(' and ')})`, () => {
  const graph = convolutions()
  const inputs = generated(graph, 1)
  const expected = hashes(reference(graph).run(inputs))

  test.each(DEVICE_NAMES)('%s gives the reference bits within the planned memory', (on) => {
    const plan = planned(graph)
    const report = benchDevice(plan, on, inputs)
    expect(report.outputFnv1a).toEqual(expected)
    expect(report.arenaUsedBytes).toBeLessThanOrEqual(plan.arenaBytes)
    expect(report.arenaUsedBytes).toBeGreaterThan(plan.arenaBytes - 64)
    expect(report.stackBytes).toBeGreaterThan(0)
    expect(report.stackBytes).toBeLessThan(1024)
    expect(report.codeBytes).toBeGreaterThan(500)
    const sum = report.layers!.reduce((n, l) => n + l.instructions, 0)
    expect(report.layers!.map((l) => l.name)).toEqual(plan.steps.map((s) => s.node.from))
    expect(Math.abs(sum / report.instructions - 1)).toBeLessThan(0.02)
    expect(report.instructions).toBeGreaterThan(plan.macs)
  })
})
