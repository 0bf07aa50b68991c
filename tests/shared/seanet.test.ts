// One-operator int16 models cut from a speech codec, and small .tflite graphs of single operators, against TensorFlow Lite
// Micro: generated inputs, and for the codec's layers the recorded ones.

import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { fingerprint } from '../../src/ir/hash.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { count, type Data } from '../../src/loops/ir.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { reference } from '../../src/run/reference.ts'
import { describeShared, sharedJson, sharedModel, sharedPath } from './shared.ts'

interface Tensor {
  readonly dtype: string
  readonly shape: readonly number[]
}

interface Invoke {
  readonly inputs: readonly { readonly fnv1a: string }[]
  readonly outputs: readonly {
    readonly fnv1a?: string
    readonly values?: readonly number[]
    readonly first64?: readonly number[]
  }[]
}

interface Golden {
  readonly model: string
  readonly ops: readonly string[]
  readonly outputs: readonly Tensor[]
  readonly invokes: readonly Invoke[]
  /** On the recorded inputs, its hash, and how far it is from the recorded output. */
  readonly csv?: { readonly fnv1a: string; readonly max_abs_diff: number }
}

function goldens(file: string): readonly Golden[] {
  return sharedJson(`golden/tflm_more/${file}.json`).models
}

/** Floats agree as far as two builds of the golden's own kernels do. */
function expectOutputs(golden: Golden, outputs: readonly Data[]): void {
  golden.invokes[0].outputs.forEach((wanted, i) => {
    if (wanted.fnv1a !== undefined) {
      expect(fingerprint(outputs[i]), `output ${i}`).toBe(wanted.fnv1a)
      return
    }
    const values = wanted.values ?? wanted.first64 ?? []
    expect(values.length, `output ${i}`).toBeGreaterThan(0)
    const largest = Math.max(...values.map(Math.abs))
    const worst = Math.max(...values.map((v, k) => Math.abs(v - Number(outputs[i][k]))))
    expect(worst, `output ${i}`).toBeLessThanOrEqual(2e-5 * largest + 1e-7)
  })
}

async function compare(golden: Golden): Promise<void> {
  const graph = sharedModel(golden.model)
  const random = new Xorshift32(1)
  const inputs = graph.inputs.map((v) => random.fill(v.type))
  expect(inputs.map(fingerprint)).toEqual(golden.invokes[0].inputs.map((v) => v.fnv1a))
  const once = reference(graph).run(inputs)
  expectOutputs(golden, once)
  const program = compile(graph, { target: 'wasm' })
  const compiled = (await instantiate(program)).run(inputs)
  expect(compiled.map(fingerprint)).toEqual(once.map(fingerprint))
}

const numbersIn = (path: string) => readFileSync(path, 'utf8').split(',').map(Number)

/** The numbers beside a layer: its inputs as the codec's own run recorded them, and the output. */
function recorded({ model, outputs }: Golden, graph: Graph): { inputs: readonly Data[]; wanted: readonly number[] } {
  const name = model.split('/').at(-1)!.replace('.tflite', '')
  const folder = sharedPath(model).replace(/[^/]*$/, '')
  const files = readdirSync(folder).filter((file) => file.startsWith(`${name}_input`))
  const inputs = graph.inputs.map(({ type }) => {
    const kind = `_${type.dtype.replace('i', 'int')}.csv`
    const data = files.filter((file) => file.endsWith(kind)).map((file) => numbersIn(folder + file))
    const own = data.filter((d) => d.length === count(type.shape))
    files.splice(
      files.findIndex((file) => file.endsWith(kind)),
      1,
    )
    return type.dtype === 'i16' ? Int16Array.from(own[0]) : Int32Array.from(own[0])
  })
  return { inputs, wanted: numbersIn(`${folder}${name}_golden_${outputs[0].dtype}.csv`) }
}

const FAMILIES = ['add', 'sub', 'leaky_relu', 'conv', 'transpose_conv', 'pad', 'strided_slice', 'quantize']

describeShared('layers of a speech codec in int16', () => {
  const all = goldens('seanet_int16')
  describe.each(FAMILIES)('%s', (family) => {
    const own = all.filter((g) => g.model.includes(`/${family}/`))
    test.each(own.map((g) => [g.model.split('/').at(-1)!, g] as const))(
      '%s gives the bits of the golden',
      async (_, g) => {
        await compare(g)
      },
    )
    test.each(own.map((g) => [g.model.split('/').at(-1)!, g] as const))(
      '%s gives what TensorFlow Lite Micro gives on the recorded inputs',
      (_, g) => {
        const graph = sharedModel(g.model)
        const { inputs, wanted } = recorded(g, graph)
        const [got] = reference(graph).run(inputs)
        expect(fingerprint(got)).toBe(g.csv!.fnv1a)
        expect(Math.max(...wanted.map((v, i) => Math.abs(v - Number(got[i]))))).toBe(g.csv!.max_abs_diff)
      },
    )
  })
})

/** Small graphs by file: those whose operators are elementwise. */
const SINGLE: Readonly<Record<string, readonly string[]>> = {
  ops_litert: [
    'mul_quant',
    'simple_add_dynamic_shape',
    'simple_floor_op',
    'simple_logical_or_op',
    'simple_quantized_ops',
    'single_add_default_a16w8_recipe_quantized',
    'single_add_default_a8w8_recipe_quantized',
    'single_mul_default_a16w8_recipe_quantized',
    'single_rsqrt_default_a8w8_recipe_quantized',
    'sqrt_mean_mul_ops',
    'simple_log_softmax_op',
  ],
  ops_litert_js: ['add_c1_c7', 'mixed_input_model', 'multi_signature_model'],
  ops_quantizer: ['add_with_const_input', 'minimum', 'multi_input_add_reshape'],
}

describeShared('graphs of single operators', () => {
  describe.each(Object.keys(SINGLE))('%s', (file) => {
    const all = new Map(goldens(file).map((g) => [g.model.split('/').at(-1)!.replace('.tflite', ''), g]))
    test.each(SINGLE[file])('%s gives the outputs of the golden', async (name) => {
      await compare(all.get(name)!)
    })
  })
})
