import { describe, expect, test } from 'vitest'
import type { Graph } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { makePlan } from '../../src/plan/make.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { targetOf } from '../../src/targets/index.ts'
import { CASES } from '../ops/harness.ts'
import { hashOf } from '../support/bits.ts'

function hashes(model: ReturnType<typeof reference>, graph: Graph): string[] {
  const random = new Xorshift32(5)
  return [1, 2].flatMap(() => model.run(graph.inputs.map((v) => random.fill(v.type))).map(hashOf))
}

describe('recipes keep what the operators mean', () => {
  const used = new Set<string>()

  test.each(['wasm', 'c', 'cortex-m4', 'cortex-m55'])('on %s', (name) => {
    for (const c of CASES) {
      const graph = c.graph()
      const plan = makePlan(graph, targetOf(name))
      for (const step of plan.steps) used.add(`${name}: ${step.recipe}`)
      expect(hashes(runPlan(plan, 0xa5), graph), c.name).toEqual(hashes(reference(graph), graph))
    }
  })

  test('each recipe of a table is the best for some case', () => {
    for (const name of ['wasm', 'c', 'cortex-m4', 'cortex-m55'])
      for (const recipe of targetOf(name).recipes) expect(used).toContain(`${name}: ${recipe.name}`)
  })
})
