import { describe, expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import { bytesOf, type Graph } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { verify } from '../../src/ir/verify.ts'
import type { Data } from '../../src/loops/ir.ts'
import { packElements, unpackElements } from '../../src/loops/sub_byte.ts'
import { makePlan } from '../../src/plan/make.ts'
import { missingDeviceTools, runDevice } from '../../src/run/device.ts'
import { hostCompiler, runHostC, SANITIZED } from '../../src/run/host_c.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import type { Trace } from '../../src/run/model.ts'
import { reference } from '../../src/run/reference.ts'
import { targetOf } from '../../src/targets/index.ts'
import { type Bits, LAYERS, layerNet, mixedNet, together } from '../support/sub_byte.ts'

const BITS: readonly Bits[] = [8, 4, 2]
const NETS: readonly Graph[] = [
  ...LAYERS.flatMap((layer) =>
    BITS.flatMap((x) =>
      BITS.flatMap((w) => (layer === 'pointwise' && w === 4 ? BITS : [x]).map((y) => layerNet({ layer, x, w, y }))),
    ),
  ),
  ...LAYERS.map((layer) => layerNet({ layer, x: 4, w: 2, y: 8, size: 5, channels: 7, outputs: 5 })),
  mixedNet(),
]

const inputsOf = (graph: Graph): Data[] => {
  const random = new Xorshift32(7)
  return graph.inputs.map((v) => random.fill(v.type))
}

function expectSame(got: Trace, want: Trace, where: string): void {
  const known = new Map(want.tensors.map(({ value, data }) => [value.name, data]))
  for (const { value, data } of got.tensors)
    expect([...data], `${where}: ${value.name}`).toEqual([...known.get(value.name)!])
  got.outputs.forEach((data, i) => {
    expect([...data], `${where}: output ${i}`).toEqual([...want.outputs[i]])
  })
}

describe('operands below 8 bits', () => {
  test('are packed and unpacked, with what fills up the last byte 0', () => {
    const data = [-8, 7, -1, 0, 3]
    const bytes = packElements(data, { bits: 4, signed: true })
    expect([...bytes]).toEqual([0xf0, 0x87, 0x0b])
    expect([...unpackElements(bytes, 4, 5)].map((x) => x - 8)).toEqual(data)
    expect([...packElements([3, 0, 1, 2, 3], { bits: 2, signed: false })]).toEqual([0b10010011, 3])
  })

  test.each(['c', 'cortex-m4', 'cortex-m55', 'wasm', 'wasm-relaxed'])('mean the same in the loops for %s', (target) => {
    for (const graph of NETS) {
      const inputs = inputsOf(graph)
      const plan = makePlan(verify(graph), targetOf(target))
      expectSame(runPlan(plan, 0xa5).trace(inputs), reference(graph).trace(inputs), graph.name)
    }
  })

  test('mean the same in WebAssembly', async () => {
    for (const graph of NETS) {
      const inputs = inputsOf(graph)
      const model = await instantiate(compile(graph))
      expect(model.run(inputs), graph.name).toEqual(reference(graph).run(inputs))
    }
  })

  test('take their bits in the arena and in the weight segment', () => {
    for (const w of [4, 2] as const) {
      const sizes = ([8, w] as const).map((bits) => {
        const graph = layerNet({ layer: 'pointwise', x: bits, w: bits, y: bits, channels: 64, outputs: 64, size: 16 })
        const { weights, arenaBytes } = makePlan(graph, targetOf('cortex-m4'))
        const [x] = graph.nodes.at(-1)!.inputs
        expect(bytesOf(x!.type)).toBe((16 * 16 * 64 * bits) / 8)
        return { weights: weights.bytes.length, arena: arenaBytes }
      })
      expect(sizes[1].weights).toBeLessThan(sizes[0].weights - 64 * 64 * (1 - w / 8) + 400)
      expect(sizes[1].arena).toBeGreaterThan(0)
    }
  })
})

describe.skipIf(!hostCompiler())('operands below 8 bits in C', () => {
  test('mean the same, under sanitizers', () => {
    const graph = together(NETS)
    const inputs = inputsOf(graph)
    const got = runHostC(makePlan(graph, targetOf('c')), { flags: SANITIZED }).trace(inputs)
    expectSame(got, reference(graph).trace(inputs), graph.name)
  })
})

describe.skipIf(missingDeviceTools().length > 0)('operands below 8 bits on a board', () => {
  test.each(['cortex-m4', 'cortex-m7'])('mean the same on a %s', (on) => {
    const graph = together(NETS)
    const inputs = inputsOf(graph)
    const [got] = runDevice(makePlan(graph, targetOf(on)), on, [inputs])
    expect(got).toEqual(reference(graph).run(inputs))
  })
})
