import { expect, test } from 'vitest'
import { type CompileOptions, compile } from '../../src/emit/program.ts'
import { fingerprint } from '../../src/ir/hash.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { bytesRead, windowRam } from '../../src/plan/external.ts'
import { hostCompiler, runHostC } from '../../src/run/host_c.ts'
import { describeShared, sharedJson, sharedModel } from './shared.ts'

const hasCompiler = hostCompiler() !== undefined

describeShared('real models with their weights in slow memory', () => {
  test.skipIf(!hasCompiler).each([
    ['kws_dscnn_int8', { stage: 'none' }],
    ['kws_dscnn_int8', { stage: 'none', window: 2048 }],
    ['mcunet_vww1_int8', { stage: 'rows', window: 8192, input: 'external' }],
    ['vww_mbv1_025_96_int8', { stage: 'none', flash: 16_000, prefetch: 'none' }],
  ] as readonly (readonly [string, CompileOptions])[])('%s, %o: the golden outputs', (name, options) => {
    const golden = sharedJson(`golden/tflm/${name}.json`)
    const graph = sharedModel(golden.model)
    const { plan } = compile(graph, { target: 'cortex-m7', external: 'weights', ...options })
    const random = new Xorshift32(1)
    const inputs = graph.inputs.map((v) => random.fill(v.type))
    expect(runHostC(plan).run(inputs).map(fingerprint)).toEqual(
      golden.outputs['1'].map((o: { fnv1a: string }) => o.fnv1a),
    )
    const { external } = plan
    expect(bytesRead(external!)).toBeGreaterThan(0)
    if (options.window && options.stage === 'none')
      expect(windowRam(external!, plan.steps)).toBeLessThanOrEqual(2 * options.window)
    if (options.flash) expect(plan.weightBytes).toBeLessThanOrEqual(options.flash)
  })
})
