// Generated programs used as they must not be and as they must (device/trial.c), on this machine and on emulated boards.

import { describe, expect, test } from 'vitest'
import { type CompileOptions, compile } from '../../src/emit/program.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { fingerprint } from '../../src/ir/hash.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import type { Data } from '../../src/loops/ir.ts'
import type { Plan } from '../../src/plan/plan.ts'
import { benchDevice, missingDeviceTools } from '../../src/run/device.ts'
import { SANITIZED, STRICT } from '../../src/run/host_c.ts'
import { isInstalled } from '../../src/run/host_tool.ts'
import { reference } from '../../src/run/reference.ts'
import { onBoard, onHost, type TrialReport } from '../../src/run/trial.ts'
import { describeShared, sharedModel } from '../shared/shared.ts'
import { nothing, recurrent, residual, separable, twoInputs } from '../support/nets.ts'

const SANITIZERS = SANITIZED.filter((flag) => flag.includes('sanitize'))

type Sets = readonly [readonly Data[], readonly Data[]]

const inputsOf = (graph: Graph, seed: number): Data[] => {
  const random = new Xorshift32(seed)
  return graph.inputs.map((v) => random.fill(v.type))
}
const setsOf = (graph: Graph): Sets => [inputsOf(graph, 1), inputsOf(graph, 2)]

function expectedOf(graph: Graph, sets: Sets): string[][] {
  return sets.map((inputs) => reference(graph).run(inputs).map(fingerprint))
}

function expectSound(report: TrialReport, plan: Plan, expected: readonly string[][]): void {
  expect(report).toEqual({ outputs: expected, arenaUsedBytes: expect.any(Number), faults: [] })
  expect(report.arenaUsedBytes).toBeLessThanOrEqual(plan.arenaBytes)
}

function expectSoundOnHost(graph: Graph, options: CompileOptions): void {
  const { plan } = compile(graph, { ...options, name: 'model' })
  const sets = setsOf(graph)
  const expected = expectedOf(graph, sets)
  onHost(plan, sets, { flags: [...STRICT, ...SANITIZERS], linking: SANITIZERS }, (run, tool) => {
    expectSound(run({}), plan, expected)
    expect(run({ exact: true }).outputs[0]).toEqual(expected[0])
    if (isInstalled('g++')) tool(['g++', '-Wall', '-Wextra', '-Wconversion', '-Wshadow', '-Werror', '-c', 'include.cc'])
  })
}

const MODES = {
  whole: { stage: 'none' },
  'by rows': { stage: 'rows' },
  streamed: { stage: 'rows', input: 'streamed' },
} satisfies Record<string, CompileOptions>

describe.skipIf(!isInstalled('gcc'))('programs on this machine (needs gcc) hold under misuse and sanitizers', () => {
  test.each([
    ['separable', separable(), 'cortex-m4', 'whole'],
    ['separable', separable(), 'cortex-m55', 'by rows'],
    ['separable', separable(), 'portable', 'streamed'],
    ['residual', residual(), 'cortex-m55', 'whole'],
    ['two inputs', twoInputs(), 'portable', 'whole'],
    ['recurrent', recurrent(), 'cortex-m4', 'whole'],
    ['nothing', nothing(), 'portable', 'whole'],
  ] as const)('%s', (_, graph, target, mode) => expectSoundOnHost(graph, { target, ...MODES[mode] }))

  test.skipIf(!isInstalled('valgrind'))('no byte is read before it was written (needs valgrind)', () => {
    const graph = separable()
    const { plan } = compile(graph, { target: 'cortex-m55', ...MODES.streamed })
    const under = ['valgrind', '-q', '--error-exitcode=7', '--leak-check=full']
    const report = onHost(plan, setsOf(graph), {}, (run) => run({ exact: true, under }))
    expect(report.outputs[0]).toEqual(expectedOf(graph, setsOf(graph))[0])
  })

  test('a write behind the arena is seen', () => {
    const graph = separable()
    const { plan } = compile(graph, { target: 'portable', name: 'model' })
    const less = { ...plan, arenaBytes: plan.arenaBytes - 16 }
    const { faults } = onHost(less, setsOf(graph), {}, (run) => run({}))
    expect(faults).not.toEqual([])
    expect(() =>
      onHost(less, setsOf(graph), { linking: SANITIZERS, flags: SANITIZERS }, (run) => run({ exact: true })),
    ).toThrow(/heap-buffer-overflow/)
  })
})

const missing = missingDeviceTools()
const BOARDS = ['portable', 'cortex-m4', 'cortex-m7', 'cortex-m55']
const why = missing.length > 0 ? `needs ${missing.join(' and ')}` : 'on QEMU'
const ARM = ['-O2', '-Wall', '-Wextra', '-Wconversion', '-Werror']

describe.skipIf(missing.length > 0)(`programs on emulated boards hold under misuse (${why})`, () => {
  test.each(BOARDS)('on %s', (on) => {
    for (const [graph, mode] of [
      [separable(), 'streamed'],
      [recurrent(), 'whole'],
    ] as const) {
      const { plan } = compile(graph, { target: on, ...MODES[mode], name: 'model' })
      const sets = setsOf(graph)
      expectSound(onBoard(plan, on, sets, { flags: ARM }), plan, expectedOf(graph, sets))
    }
  })

  test('init takes at most 1,000 instructions where no state is copied', () => {
    for (const [graph, on] of [
      [separable(), 'cortex-m4'],
      [twoInputs(), 'cortex-m55'],
    ] as const) {
      const { plan } = compile(graph, { target: on })
      expect(benchDevice(plan, on, inputsOf(graph, 1)).initInstructions).toBeLessThanOrEqual(1000)
    }
  })
})

describeShared('programs of real models hold under misuse', () => {
  test.skipIf(!isInstalled('gcc')).each([
    ['mlperf_tiny/kws_dscnn_int8', 'cortex-m55', 'streamed'],
    ['mlperf_tiny/ad_autoenc_int8', 'cortex-m4', 'whole'],
    ['tflm/micro_speech_lstm', 'cortex-m55', 'whole'],
  ] as const)('%s for %s on this machine, with sanitizers (needs gcc)', (name, target, mode) =>
    expectSoundOnHost(sharedModel(`models/${name}.tflite`), { target, ...MODES[mode] }),
  )

  test.skipIf(missing.length > 0)(`kws_dscnn_int8 on an emulated Cortex-M4 (${why})`, () => {
    const graph = sharedModel('models/mlperf_tiny/kws_dscnn_int8.tflite')
    const { plan } = compile(graph, { target: 'cortex-m4', ...MODES.streamed, name: 'model' })
    expectSound(onBoard(plan, 'cortex-m4', setsOf(graph), { flags: ARM }), plan, expectedOf(graph, setsOf(graph)))
  })
})
