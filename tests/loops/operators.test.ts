import { describe, expect, test } from 'vitest'
import { interpret } from '../../src/loops/interpret.ts'
import { type Data, type Kernel, newData } from '../../src/loops/ir.ts'
import { reduceLanes, vectorize } from '../../src/loops/lanes.ts'
import { pack, stage } from '../../src/loops/layout.ts'
import { printKernel } from '../../src/loops/print.ts'
import { interchange, split, unroll, unrollJam, unswitch } from '../../src/loops/schedule.ts'
import { findLoop, loopNames } from '../../src/loops/walk.ts'
import type { OpCase } from '../../src/ops/case.ts'
import { bind, CASES, difference, executions, FILLS, inputsOfGraph } from '../ops/harness.ts'

interface Scheduled {
  readonly kernel: Kernel
  readonly bind: (args: readonly Data[]) => Data[]
}

const unchanged = (kernel: Kernel): Scheduled => ({ kernel, bind: (args) => [...args] })

function packReversed(kernel: Kernel, k: number): Scheduled | undefined {
  const { name, shape } = kernel.bufs[k]
  const packed = pack(kernel, name, shape.map((_, d) => d).reverse())
  return (
    packed && { kernel: packed.kernel, bind: (args) => args.map((data, i) => (i === k ? packed.pack(data) : data)) }
  )
}

/** Every schedule of every loop and buffer, once. */
function* schedules(kernel: Kernel): Generator<[string, Scheduled | undefined]> {
  const plain = (k: Kernel | undefined) => k && unchanged(k)
  for (const v of loopNames(kernel)) {
    yield ['split', plain(split(kernel, v, 3))]
    yield ['interchange', plain(interchange(kernel, v))]
    if (findLoop(kernel, v)!.extent <= 4) yield ['unroll', plain(unroll(kernel, v))]
    yield ['unswitch', plain(unswitch(kernel, v))]
    yield ['unrollJam', plain(unrollJam(kernel, v, 2))]
    yield ['vectorize', plain(vectorize(kernel, v, 4))]
    yield ['reduceLanes', plain(reduceLanes(kernel, v))]
    for (const { name, elem } of kernel.bufs) {
      const staged = stage(kernel, v, name, elem === 'i8' ? 'i16' : elem)
      const size = staged?.scratch.shape.reduce((n, d) => n * d, 1) ?? 0
      yield [
        'stage',
        staged && { kernel: staged.kernel, bind: (args) => [...args, newData(staged.scratch.elem, size)] },
      ]
    }
  }
  for (const k of kernel.bufs.keys()) {
    const packed = packReversed(kernel, k)
    yield ['pack', packed]
    for (const v of packed ? loopNames(kernel) : []) {
      const wide = vectorize(packed!.kernel, v, 4)
      yield ['vectorize packed', wide && { ...packed!, kernel: wide }]
    }
  }
}

describe('every schedule keeps the bits of every operator', () => {
  const applied = new Set<string>()

  function check(c: OpCase): void {
    const graph = c.graph()
    for (const e of executions(graph, inputsOfGraph(graph, FILLS[0]))) {
      const { kernel } = bind(e)
      for (const [name, scheduled] of schedules(kernel)) {
        if (!scheduled) continue
        applied.add(name)
        const { args, outputs } = bind(e)
        interpret(scheduled.kernel, scheduled.bind(args))
        e.outputs.forEach((data, i) => {
          const at = difference(data, outputs[i])
          if (at) expect.fail(`${name}, output ${i}, ${at}\n${printKernel(scheduled.kernel)}`)
        })
      }
    }
  }

  for (const c of CASES) test(c.name, () => check(c))

  test('every schedule applied to some operator', () => {
    expect([...applied].sort()).toEqual(
      [
        'split',
        'interchange',
        'unroll',
        'unrollJam',
        'vectorize',
        'reduceLanes',
        'stage',
        'pack',
        'vectorize packed',
        'unswitch',
      ].sort(),
    )
  })
})
