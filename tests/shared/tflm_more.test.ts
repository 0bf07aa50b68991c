// Every further model and graph that TensorFlow Lite Micro runs (nine are in tflm.test.ts): integer outputs by their hash, floats within a tolerance,
// each operator's output, stateful models over three runs.

import { describe, expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { fingerprint } from '../../src/ir/hash.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import type { Data } from '../../src/loops/ir.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import type { RunningModel } from '../../src/run/model.ts'
import { reference } from '../../src/run/reference.ts'
import { describeShared, sharedJson, sharedModel, sharedNames } from './shared.ts'

interface Invoke {
  readonly inputs: readonly { readonly fnv1a: string }[]
  readonly outputs: readonly {
    readonly n: number
    readonly fnv1a?: string
    readonly values?: readonly number[]
    readonly first64?: readonly number[]
  }[]
  readonly op_outputs: readonly {
    readonly tensor: number
    readonly dtype: string
    readonly fnv1a?: string
    readonly first4?: readonly number[]
    readonly sum_abs?: number
  }[]
}

interface Golden {
  readonly model: string
  readonly invokes: readonly Invoke[]
}

/** The largest difference allowed where the reference's largest value is `most`. */
const allowed = (most: number) => 1e-5 * most + 1e-7
const size = (x: number | bigint) => Math.abs(Number(x))

function recordsOf(file: string): Golden[] {
  const json = sharedJson(`golden/tflm_more/${file}`)
  return 'models' in json ? json.models : [json]
}

function expectOutput(golden: Invoke['outputs'][number], got: Data, where: string): void {
  expect(got.length, where).toBe(golden.n)
  if (golden.fnv1a) {
    expect(fingerprint(got), where).toBe(golden.fnv1a)
    return
  }
  const wanted = golden.values ?? golden.first64!
  const most = wanted.reduce((m, v) => Math.max(m, size(v)), 0)
  const worst = wanted.reduce((m, v, i) => Math.max(m, Math.abs(v - Number(got[i]))), 0)
  expect(worst, where).toBeLessThanOrEqual(allowed(most))
}

/** Runs all invokes on one model and compares; returns how many operators' outputs were seen. */
function compare({ invokes }: Golden, graph: Graph, model: RunningModel): number {
  const random = new Xorshift32(1)
  let seen = 0
  invokes.forEach((invoke, k) => {
    const inputs = graph.inputs.map((v) => random.fill(v.type))
    expect(inputs.map(fingerprint)).toEqual(invoke.inputs.map((i) => i.fnv1a))
    const { outputs, tensors } = model.trace(inputs)
    const byTensor = new Map(tensors.map(({ value, data }) => [value.index, data]))
    for (const op of invoke.op_outputs) {
      const got = byTensor.get(op.tensor)
      if (!got) continue
      seen++
      const where = `run ${k}, tensor ${op.tensor}`
      if (op.fnv1a) expect(fingerprint(got), where).toBe(op.fnv1a)
      else if (op.sum_abs !== undefined) {
        let sum = 0
        for (const v of got) sum += size(v)
        expect(Math.abs(sum - op.sum_abs), where).toBeLessThanOrEqual(1e-5 * op.sum_abs + 1e-7 * got.length)
      }
    }
    invoke.outputs.forEach((o, i) => {
      expectOutput(o, outputs[i], `run ${k}, output ${i}`)
    })
  })
  return seen
}

function files(): string[] {
  return sharedNames('golden/tflm_more').filter((f) => /^(?!real_|refused|seanet).*\.json$/.test(f))
}

describeShared('TensorFlow Lite Micro, further models', () => {
  const compared = new Set(sharedNames('golden/tflm').map((f) => sharedJson(`golden/tflm/${f}`).model))
  const records = files()
    .flatMap(recordsOf)
    .filter((r) => !compared.has(r.model))

  describe.each(records.map((r) => [r.model, r] as const))('%s', (model, golden) => {
    test('the reference computes every operator', () => {
      const graph = sharedModel(model)
      const all = golden.invokes.reduce((n, { op_outputs }) => n + op_outputs.length, 0)
      expect(compare(golden, graph, reference(graph))).toBe(all)
    })

    test('WebAssembly', async () => {
      const graph = sharedModel(model)
      compare(golden, graph, await instantiate(compile(graph, { target: 'wasm' })))
    })
  })
})
