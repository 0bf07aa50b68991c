// Nine released int8 models against TensorFlow Lite Micro: the hash of every operator's output on a generated input.

import { beforeAll, describe, expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import { emitWasm } from '../../src/emit/wasm/module.ts'
import { bytesOf, type Graph, inputsOf } from '../../src/ir/graph.ts'
import { fingerprint } from '../../src/ir/hash.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { deadChannels, narrowTo } from '../../src/passes/dead_channels.ts'
import { INFERENCE, runPasses } from '../../src/passes/index.ts'
import { makePlan } from '../../src/plan/make.ts'
import { hostCompiler, runHostC } from '../../src/run/host_c.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import type { RunningModel } from '../../src/run/model.ts'
import { reference } from '../../src/run/reference.ts'
import { instantiateWasm } from '../../src/run/wasm.ts'
import { targetOf } from '../../src/targets/index.ts'
import { describeShared, sharedJson, sharedModel } from './shared.ts'

/** How many operators of which kind fusion takes into a neighbour; everything else is computed and compared. */
const ABSORBED: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  ad_autoenc_int8: {},
  ic_resnet8_int8: {},
  kws_dscnn_int8: {},
  mcunet_person_det_int8: { pad: 5 },
  mcunet_vww1_int8: { pad: 4, transpose: 1, mean: 1 },
  mcunetv2_large_int8: { pad: 5, transpose: 1, mean: 1 },
  person_detect_int8: {},
  sww_1d_dscnn_int8: {},
  vww_mbv1_025_96_int8: {},
}

/** Multiply-accumulates and bytes of int8 weights that are left without dead channels. */
const LIVE: Readonly<Record<string, { macs: number; weights: number }>> = {
  ad_autoenc_int8: { macs: 264192, weights: 264192 },
  ic_resnet8_int8: { macs: 12501632, weights: 77360 },
  kws_dscnn_int8: { macs: 2656768, weights: 22016 },
  mcunet_person_det_int8: { macs: 18202380, weights: 159192 },
  mcunet_vww1_int8: { macs: 10931325, weights: 394626 },
  mcunetv2_large_int8: { macs: 216408304, weights: 1679409 },
  person_detect_int8: { macs: 7155582, weights: 207710 },
  sww_1d_dscnn_int8: { macs: 826368, weights: 46040 },
  vww_mbv1_025_96_int8: { macs: 3727313, weights: 29066 },
}

interface Golden {
  readonly model: string
  readonly macs: number
  readonly outputs: { readonly 1: readonly { readonly fnv1a: string }[] }
  readonly op_outputs?: {
    readonly 1?: readonly { readonly tensor: number; readonly fnv1a: string }[]
  }
}

describeShared('TensorFlow Lite Micro', () => {
  describe.each(Object.keys(ABSORBED))('%s', (name) => {
    const golden: Golden = sharedJson(`golden/tflm/${name}.json`)
    let graph: Graph
    beforeAll(() => {
      graph = sharedModel(golden.model)
    })
    const generated = () => {
      const random = new Xorshift32(1)
      return graph.inputs.map((v) => random.fill(v.type))
    }
    const wanted = golden.outputs[1].map((o) => o.fnv1a)
    const ops = golden.op_outputs?.[1] ?? []

    /** Checks outputs and every tensor of the trace; returns the tensor numbers that it saw. */
    const compare = (model: RunningModel): Set<number> => {
      const { outputs, tensors } = model.trace(generated())
      const hashes = new Map(tensors.map(({ value, data }) => [value.index, fingerprint(data)]))
      const seen = ops.filter(({ tensor }) => hashes.has(tensor))
      expect(seen.map(({ tensor }) => `${tensor} ${hashes.get(tensor)}`)).toEqual(
        seen.map(({ tensor, fnv1a }) => `${tensor} ${fnv1a}`),
      )
      expect(outputs.map(fingerprint)).toEqual(wanted)
      return new Set(seen.map(({ tensor }) => tensor))
    }

    test('costs the multiply-accumulates that the golden counts', () => {
      expect(graph.nodes.reduce((sum, node) => sum + node.op.cost(node).macs, 0)).toBe(golden.macs)
    })

    test('the reference computes every operator', () => {
      expect(compare(reference(graph)).size).toBe(ops.length)
    })

    test('WebAssembly computes every operator that fusion did not absorb', async () => {
      const program = compile(graph, { target: 'wasm', keepChannels: true })
      const seen = compare(await instantiate(program))
      const absorbed = new Set(program.absorbed.map((v) => v.index))
      expect(ops.filter(({ tensor }) => seen.has(tensor) === absorbed.has(tensor))).toEqual([])
      const kinds: Record<string, number> = {}
      for (const node of graph.nodes)
        if (node.outputs.some((v) => program.absorbed.includes(v))) kinds[node.op.name] = (kinds[node.op.name] ?? 0) + 1
      expect(kinds).toEqual(ABSORBED[name])
    })

    test('WebAssembly without dead channels computes the same', async () => {
      compare(await instantiate(compile(graph, { target: 'wasm' })))
      const exact = INFERENCE.map((p) => (p.pass === deadChannels ? { ...p, pass: narrowTo(1) } : p))
      const plan = makePlan(runPasses(graph, exact), targetOf('wasm'))
      compare(await instantiateWasm(emitWasm(plan), plan))
      const stored = [...new Set(plan.graph.nodes.flatMap(inputsOf))].filter((v) => v.storage === 'const')
      const weights = stored.reduce((sum, v) => sum + (v.type.dtype === 'i8' ? bytesOf(v.type) : 0), 0)
      expect({ macs: plan.macs, weights }).toEqual(LIVE[name])
    })

    test.skipIf(!hostCompiler())('C on this machine computes the same (needs a C compiler)', () => {
      const { plan } = compile(graph, { target: 'c' })
      compare(runHostC(plan))
    })
  })
})
