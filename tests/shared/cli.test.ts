// The command line on a released model: the JSON that tools rely on, with the tensor numbers of the user's file.

import { expect, test } from 'vitest'
import { hostCompiler } from '../../src/run/host_c.ts'
import { answered, folder, typed } from '../cli/console.ts'
import { describeShared, sharedJson, sharedPath } from './shared.ts'

describeShared('the command line on mcunet_vww1_int8', () => {
  const golden = sharedJson('golden/tflm/mcunet_vww1_int8.json')
  const model = sharedPath(golden.model)
  const hashes = new Map<number, string>(
    golden.op_outputs[1].map((o: { tensor: number; fnv1a: string }) => [o.tensor, o.fnv1a]),
  )

  test('inspect counts the layers and multiply-accumulates of the file', async () => {
    const { format, layers, macs, inputs } = await answered('inspect', model)
    expect([format, layers.length, macs]).toEqual(['tflite', golden.op_types.length, golden.macs])
    expect(inputs[0]).toMatchObject({ tensor: golden.io[0].tensor, shape: golden.io[0].shape, dtype: 'i8' })
  })

  const runners = ['wasm', 'reference', ...(hostCompiler() ? ['host-c'] : [])]
  test.each(runners)('trace and absorbed tensors are together all that the file computes, on %s', async (on) => {
    const { trace, absorbed, outputs } = await answered('run', model, '--seed', '1', '--trace', '--on', on)
    expect([...trace.map((t: { tensor: number }) => t.tensor), ...absorbed].sort()).toEqual([...hashes.keys()].sort())
    for (const { tensor, fnv1a } of trace) expect([tensor, fnv1a]).toEqual([tensor, hashes.get(tensor)])
    expect(absorbed).toHaveLength(18) // 6 by fusion, 12 have fewer channels
    expect(outputs[0].data).toEqual(golden.outputs[1][0].int8)
  })

  test('compile keeps to a budget or names the layer that does not', async () => {
    const { plan } = await answered('compile', model, '--target', 'cortex-m4', '--sram', '256K', '-o', folder())
    expect(plan.arenaBytes).toBeLessThanOrEqual(256 * 1024)
    const { code, err } = await typed('compile', model, '--sram', '10K', '-o', folder())
    expect(code).toBe(1)
    expect(err).toMatch(/needs \d+ bytes of RAM, limit is 10240; peak at \w+ "/)
  })
})
