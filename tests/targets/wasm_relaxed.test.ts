import { describe, expect, test } from 'vitest'
import { emitWasm } from '../../src/emit/wasm/module.ts'
import { relaxedProbe, runsRelaxed } from '../../src/emit/wasm/relaxed.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import * as L from '../../src/loops/build.ts'
import { interpret } from '../../src/loops/interpret.ts'
import { I32X4 } from '../../src/loops/ir.ts'
import { CaseBuilder } from '../../src/ops/case.ts'
import { makePlan } from '../../src/plan/make.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { instantiateWasm } from '../../src/run/wasm.ts'
import { targetOf } from '../../src/targets/index.ts'
import { hashOf } from '../support/bits.ts'
import { layersOf } from '../support/layers.ts'

/** Layers whose rows are whole words, and two that are not. */
function shapes() {
  const b = new CaseBuilder('shapes', 23)
  const { conv, dense, outputs } = layersOf(b)
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
  return b.graph(outputs)
}

const TARGET = targetOf('wasm-relaxed')

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
    expect(recipes.filter((r) => r === 'tiles of quads')).toHaveLength(16)
    expect(recipes.slice(-2)).toEqual(['tiles of dot', 'tiles of dot'])
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
