// Random graphs × passes × schedules × runners: one meaning.

import { beforeAll, describe, expect, test } from 'vitest'
import { emitWasm } from '../src/emit/wasm/module.ts'
import type { Graph } from '../src/ir/graph.ts'
import { fingerprint } from '../src/ir/hash.ts'
import { peak } from '../src/ir/live.ts'
import { printGraph } from '../src/ir/print.ts'
import { Xorshift32 } from '../src/ir/random.ts'
import { verify } from '../src/ir/verify.ts'
import type { Data } from '../src/loops/ir.ts'
import { INFERENCE, runPasses } from '../src/passes/index.ts'
import { makePlan } from '../src/plan/make.ts'
import { hostCompiler, runHostC, SANITIZED } from '../src/run/host_c.ts'
import { runPlan } from '../src/run/interpreter.ts'
import { reference } from '../src/run/reference.ts'
import { instantiateWasm } from '../src/run/wasm.ts'
import { TARGET_NAMES, targetOf } from '../src/targets/index.ts'
import { randomGraph } from './support/random_graph.ts'

const GRAPHS = Number(process.env.MOTE_GRAPHS ?? 150)
const seeds = Array.from({ length: GRAPHS }, (_, i) => i + 1)

function inputsOf(graph: Graph, seed: number): Data[] {
  const random = new Xorshift32(seed)
  return graph.inputs.map((v) => random.fill(v.type))
}

const hashes = (out: readonly Data[]) => out.map((d) => fingerprint(d))

describe('random graphs', () => {
  const graphs = new Map<number, { graph: Graph; expected: string[][] }>()

  beforeAll(() => {
    for (const seed of seeds) {
      const graph = verify(randomGraph(seed))
      graphs.set(seed, { graph, expected: [1, 2].map((s) => hashes(reference(graph).run(inputsOf(graph, s)))) })
    }
  })

  const agree = (seed: number, run: (inputs: Data[]) => Data[], what: string, graph: Graph) => {
    const { graph: original, expected } = graphs.get(seed)!
    ;[1, 2].forEach((s, i) => {
      const got = hashes(run(inputsOf(original, s)))
      if (got.join() !== expected[i].join())
        expect.fail(
          `seed ${seed}: ${what} gives ${got}, the model ${expected[i]}\n${printGraph(original)}\n---\n${printGraph(graph)}`,
        )
    })
  }

  test.each(INFERENCE)('$name keeps the outputs and names of the model', ({ pass }) => {
    let changed = 0
    for (const [seed, { graph }] of graphs) {
      const after = verify(pass(graph))
      if (printGraph(after) !== printGraph(graph)) changed++
      expect(after.outputs.map((v) => v.name)).toEqual(graph.outputs.map((v) => v.name))
      agree(seed, (x) => reference(after).run(x), 'the pass', after)
    }
    expect(changed).toBeGreaterThan(0)
  })

  test('the pipeline keeps the outputs and never raises the peak', () => {
    for (const [seed, { graph }] of graphs) {
      const after = runPasses(graph)
      agree(seed, (x) => reference(after).run(x), 'the pipeline', after)
      expect(peak(after).bytes, `seed ${seed}`).toBeLessThanOrEqual(peak(graph).bytes)
    }
  })

  test.each(TARGET_NAMES)("the loop interpreter agrees on %s's plan", (name) => {
    for (const [seed, { graph }] of graphs) {
      const plan = makePlan(runPasses(graph), targetOf(name))
      agree(seed, (x) => runPlan(plan, 0xa5).run(x), `the plan for ${name}`, plan.graph)
    }
  })

  test('WebAssembly agrees', async () => {
    for (const [seed, { graph }] of graphs) {
      const plan = makePlan(runPasses(graph), targetOf('wasm'))
      const model = await instantiateWasm(emitWasm(plan), plan)
      agree(seed, (x) => model.run(x), 'WebAssembly', plan.graph)
    }
  })

  test.skipIf(!hostCompiler())('C on this machine agrees (skipped without a C compiler)', { timeout: 120_000 }, () => {
    for (const [seed, { graph }] of [...graphs].slice(0, Math.ceil(GRAPHS / 6))) {
      const plan = makePlan(runPasses(graph), targetOf('c'))
      const model = runHostC(plan, seed % 8 === 0 ? { flags: SANITIZED } : {})
      agree(seed, (x) => model.run(x), 'C', plan.graph)
    }
  })
})
