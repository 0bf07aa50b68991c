import { describe, expect, test } from 'vitest'
import wabt from 'wabt'
import { emitWasm, wasmLayout } from '../../src/emit/wasm/module.ts'
import { InputError } from '../../src/errors.ts'
import { Builder } from '../../src/ir/build.ts'
import type { Graph, Value } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { inPlace } from '../../src/passes/in_place.ts'
import { makePlan } from '../../src/plan/make.ts'
import type { Place, Plan } from '../../src/plan/plan.ts'
import { reference } from '../../src/run/reference.ts'
import { instantiateWasm } from '../../src/run/wasm.ts'
import type { Target } from '../../src/targets/target.ts'
import { accumulate, i32, mix, randomGraph, reshape, scale } from '../support/toy_ops.ts'

const TARGET: Target = { name: 'wasm', emits: 'wasm', align: 16, recipes: [] }

/** y = scale(mix(x)) and z = reshape(y) in y's place; `total` adds up y over runs and is an output too. */
function program(): { graph: Graph; plan: Plan } {
  const build = new Builder('program')
  const x = build.input('x', i32(4))
  const total = build.state('total', i32(4), Int32Array.of(5, 6, 7, 8))
  const w = build.const('w', i32(4), Int32Array.of(1, -2, 3, -4))
  const a = build.one(mix, [x], { bias: 10 })
  const b = build.one(mix, [a], { bias: 10 })
  const y = build.one(scale, [b, w], {})
  const z = build.one(reshape, [y], {})
  build.add(accumulate, [total, y], {})
  const made = build.graph([z, total])
  const graph = { ...made, nodes: made.nodes.map((n) => (n.outputs[0] === z ? { ...n, inPlace: 0 } : n)) }

  const arena = (slot: number): Place => ({ segment: 'arena', offset: 16 * slot, bytes: 16 })
  const weights = (slot: number): Place => ({ segment: 'weights', offset: 16 * slot, bytes: 16 })
  const bytes = new Uint8Array(50)
  bytes.set(new Uint8Array(Int32Array.of(1, -2, 3, -4, 1, 4, 9, 16).buffer))
  bytes.set(new Uint8Array(Int32Array.of(5, 6, 7, 8).buffer), 32)
  const places = new Map<Value, Place>([
    [total, arena(0)],
    [x, arena(1)],
    [a, arena(2)],
    [b, arena(1)],
    [y, arena(3)],
    [z, arena(3)],
    [w, weights(0)],
  ])
  const place = (v: Value) => places.get(v)!
  const bound = [
    [place(x), place(a)],
    [place(a), place(b)],
    [place(b), place(w), weights(1), place(y)],
    undefined,
    [place(total), place(y)],
  ]
  const steps = graph.nodes.flatMap((node, i) => {
    const at = bound[i]
    return at ? [{ node, call: node.op.lower(node), recipe: 'plain', places: at }] : []
  })
  const plan: Plan = {
    graph,
    target: TARGET,
    steps,
    places,
    state: [{ value: total, place: arena(0), initial: weights(2) }],
    arenaBytes: 64,
    lowerBoundBytes: 64,
    weights: { bytes, entries: [], layoutId: '', hash: '' },
    weightBytes: bytes.length,
    macs: 0,
    layers: [],
    stages: [],
  }
  return { graph, plan }
}

describe('a program as a wasm module', () => {
  test('runs its steps, keeps state between runs and resets it', async () => {
    const { plan } = program()
    const model = await instantiateWasm(emitWasm(plan), plan)
    const y = [1 * 21 + 1, -2 * 22 + 4, 3 * 23 + 9, -4 * 24 + 16]
    const x = Int32Array.of(1, 2, 3, 4)
    const sum = (times: number) => Int32Array.of(5, 6, 7, 8).map((v, i) => v + times * y[i])
    expect(model.run([x])).toEqual([Int32Array.from(y), sum(1)])
    expect(model.run([x])).toEqual([Int32Array.from(y), sum(2)])
    model.reset()
    expect(model.run([x])).toEqual([Int32Array.from(y), sum(1)])
  })

  test('a trace has every tensor at the moment it was computed, those without a step included', async () => {
    const { plan } = program()
    const model = await instantiateWasm(emitWasm(plan), plan)
    const { outputs, tensors } = model.trace([Int32Array.of(1, 2, 3, 4)])
    const found = tensors.map(({ value, data }) => [value.name, [...data]])
    const y = [22, -40, 78, -80]
    expect(found).toEqual([
      ['mix', [11, 12, 13, 14]],
      ['mix#1', [21, 22, 23, 24]],
      ['scale', y],
      ['reshape', y],
    ])
    expect(outputs[0]).toEqual(Int32Array.from(y))
  })

  test('kernels of one form are emitted once, under the names of their layers', async () => {
    const { plan } = program()
    const oracle = await wabt()
    const module = oracle.readWasm(emitWasm(plan), { readDebugNames: true, simd: true, bulk_memory: true })
    module.validate()
    module.applyNames()
    const names = [...module.toText({}).matchAll(/^ *\(func \$(\S+)/gm)].map((m) => m[1])
    module.destroy()
    expect(names).toEqual(['mix1#0', 'scale#2', 'accumulate#3', 'steps', 'reset', 'init', 'run_layers', 'run'])
  })

  test('weights come first, the arena follows on a multiple of 16, and the memory has the pages for both', () => {
    const { plan } = program()
    expect(wasmLayout(plan)).toMatchObject({ weightsBase: 0, arenaBase: 64, pages: 1 })
    expect(wasmLayout({ ...plan, arenaBytes: 65536 - 64 }).pages).toBe(1)
    expect(wasmLayout({ ...plan, arenaBytes: 65537 - 64 }).pages).toBe(2)
  })

  test('run_layers executes the steps of its range only', async () => {
    const { plan } = program()
    const { instance } = await WebAssembly.instantiate(emitWasm(plan) as BufferSource)
    const { memory, run_layers: runLayers } = instance.exports as {
      memory: WebAssembly.Memory
      run_layers: (first: number, last: number) => void
    }
    expect(memory.buffer.byteLength).toBe(65536)
    const at = (slot: number) => new Int32Array(memory.buffer, 64 + 16 * slot, 4)
    at(1).set([1, 2, 3, 4])
    runLayers(0, 0)
    expect([...at(2)]).toEqual([0, 0, 0, 0])
    runLayers(0, 1)
    expect([...at(2)]).toEqual([11, 12, 13, 14])
    expect([...at(1)]).toEqual([1, 2, 3, 4])
    runLayers(1, 3)
    expect([...at(3)]).toEqual([22, -40, 78, -80])
    expect([...at(0)]).toEqual([0, 0, 0, 0])
  })

  test('weights may be replaced in memory without compiling again', async () => {
    const { plan } = program()
    const { instance } = await WebAssembly.instantiate(emitWasm(plan) as BufferSource)
    const { memory, run } = instance.exports as { memory: WebAssembly.Memory; run: () => void }
    const words = (address: number) => new Int32Array(memory.buffer, address, 4)
    words(0).fill(2)
    words(16).fill(100)
    words(64 + 16).set([1, 2, 3, 4])
    run()
    expect([...words(64 + 48)]).toEqual([142, 144, 146, 148])
  })

  test('a plan without steps is a module that does nothing', async () => {
    const build = new Builder('empty')
    const x = build.input('x', i32(3))
    const graph = build.graph([x])
    const plan = makePlan(graph, TARGET)
    const model = await instantiateWasm(emitWasm(plan), plan)
    expect(model.run([Int32Array.of(1, 2, 3)])).toEqual([Int32Array.of(1, 2, 3)])
  })

  test('inputs of the wrong number, type or length are refused with both values', async () => {
    const { plan } = program()
    const model = await instantiateWasm(emitWasm(plan), plan)
    expect(() => model.run([])).toThrow(InputError)
    expect(() => model.run([])).toThrow(/1 inputs.*0/)
    expect(() => model.run([new Int8Array(4)])).toThrow(/"x".*i32.*i8/)
    expect(() => model.trace([new Int32Array(5)])).toThrow(/"x".*4.*5/)
  })

  test('random programs compute what their operators say, run after run', async () => {
    for (let seed = 1; seed <= 25; seed++) {
      const graph = inPlace(randomGraph(seed, { nodes: 4 + seed, state: seed % 2 === 0 }))
      const plan = makePlan(graph, TARGET)
      const model = await instantiateWasm(emitWasm(plan), plan)
      const oracle = reference(graph)
      const random = new Xorshift32(seed)
      for (let run = 0; run < 3; run++) {
        const inputs = graph.inputs.map((v) => random.fill(v.type))
        const expected = oracle.trace(inputs)
        if (run === 1) expect(model.run(inputs), graph.name).toEqual(expected.outputs)
        else expect(model.trace(inputs), graph.name).toEqual(expected)
      }
      oracle.reset()
      model.reset()
      const inputs = graph.inputs.map((v) => random.fill(v.type))
      expect(model.run(inputs), graph.name).toEqual(oracle.run(inputs))
    }
  })
})
