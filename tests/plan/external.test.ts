import { describe, expect, test } from 'vitest'
import { type CompileOptions, compile } from '../../src/emit/program.ts'
import { BudgetError, InputError } from '../../src/errors.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { runPasses } from '../../src/passes/index.ts'
import { bytesRead, SMALL, windowRam } from '../../src/plan/external.ts'
import { makePlan } from '../../src/plan/make.ts'
import type { External, Plan } from '../../src/plan/plan.ts'
import { reportOf } from '../../src/report/report.ts'
import { reportText } from '../../src/report/terminal.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { reference } from '../../src/run/reference.ts'
import { targetOf } from '../../src/targets/index.ts'
import { hashOf } from '../support/bits.ts'
import { heavy } from '../support/heavy.ts'

const graph = heavy()
const random = new Xorshift32(3)
const inputs = graph.inputs.map((v) => random.fill(v.type))
const expected = reference(graph).run(inputs).map(hashOf)

const planOf = (options: CompileOptions = {}, target = 'c'): Plan =>
  compile(graph, { target, stage: 'none', ...options }).plan
const outside = (options: CompileOptions = {}, target = 'c'): Plan & { external: External } => {
  const plan = planOf({ external: 'weights', ...options }, target)
  return { ...plan, external: plan.external! }
}
const TARGETS = ['c', 'cortex-m4', 'cortex-m55']
const run = (plan: Plan) => runPlan(plan, 0x5a).run(inputs).map(hashOf)

describe('constants in slow memory', () => {
  test.each(TARGETS)('give the same outputs on one arena, copies as late as they may be (%s)', (target) => {
    const more: readonly CompileOptions[] = [{ prefetch: 'none' }, { window: 800, prefetch: 'none' }, { flash: 4000 }]
    for (const options of [{}, { window: 800 }, ...(target === 'c' ? more : [])])
      expect(run(outside(options, target)), JSON.stringify(options)).toEqual(expected)
  })

  test('a copy that never comes, or lies over another buffer, changes the outputs', () => {
    const plan = outside()
    const spoilt = (fetches: External['fetches']) => {
      try {
        return run({ ...plan, external: { ...plan.external, fetches } })
      } catch (error) {
        return error // of sums that nobody proved
      }
    }
    const { fetches } = plan.external
    expect(spoilt(fetches)).toEqual(expected)
    expect(spoilt(fetches.slice(1))).not.toEqual(expected)
    const early = fetches.map((f) => ({ ...f, start: Math.max(0, f.needed - 3) }))
    expect(spoilt(early)).not.toEqual(expected)
  })

  test('each layer has its constants from one step before it to its own', () => {
    const { external, steps } = outside()
    for (const [i, step] of steps.entries())
      for (const [k, arg] of step.call.args.entries()) {
        const constant = 'data' in arg ? arg.data : 'value' in arg && arg.value.storage === 'const' && arg.value.data
        if (!constant || step.places[k].segment === 'weights') continue
        const place = step.places[k]
        const from = external.fetches.filter((f) => f.start <= i && i <= f.last)
        const holds = from.filter(
          (f) => f.place.offset <= place.offset && place.offset + place.bytes <= f.place.offset + f.place.bytes,
        )
        expect(holds.map((f) => [f.start, f.needed])).toEqual([[Math.max(0, i - 1), i]])
      }
  })

  test('reads every byte of the image once, and begins no copy before it may', () => {
    const { external, weights } = outside()
    const image = external.weights!.bytes.length
    expect(bytesRead(external)).toBeLessThanOrEqual(image)
    expect(bytesRead(external)).toBeGreaterThan(0.95 * image)
    expect(weights.bytes.length + image).toBeLessThan(1.05 * planOf().weightBytes)
    const sorted = [...external.fetches].sort((a, b) => a.offset - b.offset)
    sorted.forEach((f, i) => {
      expect(f.offset).toBeGreaterThanOrEqual(i ? sorted[i - 1].offset + sorted[i - 1].place.bytes : 0)
      expect([f.offset % 4, f.place.bytes % 4, f.place.offset % 8]).toEqual([0, 0, 0])
    })
    expect(external.fetches.map((f) => f.start)).toEqual(external.fetches.map((f) => f.start).sort((a, b) => a - b))
  })

  test('without reading ahead there is room for one layer, not for two', () => {
    const [next, none] = [outside(), outside({ prefetch: 'none' })]
    expect(none.external.fetches.every((f) => f.start === f.needed)).toBe(true)
    expect(windowRam(none.external, none.steps)).toBe(Math.max(...none.external.fetches.map((f) => f.place.bytes)))
    expect(windowRam(next.external, next.steps)).toBeGreaterThan(windowRam(none.external, none.steps))
    expect(none.arenaBytes).toBeLessThan(next.arenaBytes)
    for (const p of [next, none]) expect(p.arenaBytes).toBeGreaterThanOrEqual(p.lowerBoundBytes)
  })

  test('with a limit of flash the largest layers go, as many as it takes', () => {
    const all = planOf().weightBytes
    let before = Number.POSITIVE_INFINITY
    for (const flash of [all, all - 8, 5000, 3000, 1500]) {
      const plan = planOf({ external: 'weights', flash })
      expect(plan.weightBytes).toBeLessThanOrEqual(flash)
      expect(plan.weightBytes).toBeLessThanOrEqual(before)
      before = plan.weightBytes
      expect(plan.external === undefined).toBe(flash === all)
      if (!plan.external) continue
      const gone = plan.external.fetches.map((f) => f.place.bytes)
      const inside = plan.layers
        .map((l) => l.weightBytes)
        .filter((n) => n >= SMALL && !gone.some((g) => Math.abs(g - n) < 16))
      expect(Math.max(0, ...inside)).toBeLessThanOrEqual(Math.min(...gone))
    }
  })

  test.each(TARGETS)('a window splits layers over their output channels (%s)', (target) => {
    const whole = outside({}, target)
    for (const window of target === 'c' ? [1000, 600] : [600]) {
      const plan = outside({ window }, target)
      expect(Math.max(...plan.external.fetches.map((f) => f.place.bytes))).toBeLessThanOrEqual(window)
      expect(windowRam(plan.external, plan.steps)).toBeLessThanOrEqual(2 * window)
      expect(plan.external.fetches.length).toBeGreaterThan(whole.external.fetches.length)
      expect(run(plan)).toEqual(expected)
    }
    const { nodes } = outside({ window: 600 }, target).graph
    const splits = nodes.filter((n) => n.op.name === 'concat')
    expect(splits.filter((n) => n.gathers).map((n) => n.from)[0]).toBe('hidden')
    expect(splits.map((n) => n.from)).toContain('block_1/depthwise')
  })

  test('a layer that cannot be split far enough is named, with what it needs', () => {
    expect(() => outside({ window: 100 })).toThrow(BudgetError)
    expect(() => outside({ window: 100 })).toThrow(
      /^\w+ "[\w/ ]+": needs \d+ bytes of constants at a time, the window has 100$/,
    )
  })

  test('layers of fewer bytes than a copy is worth stay inside, and so do constants that are results', () => {
    const { weights, external } = outside()
    expect(weights.entries.reduce((n, e) => n + e.length, 0)).toBeLessThan(external.weights!.bytes.length / 20)
    const constant = graph.nodes.flatMap((n) => n.inputs).find((v) => v?.name === 'hidden/w')!
    const plan = makePlan(runPasses({ ...graph, outputs: [...graph.outputs, constant] }), targetOf('c'), {
      weights: true,
    })
    expect(plan.places.get(constant)?.segment).toBe('weights')
    expect(runPlan(plan).run(inputs).map(hashOf)).toEqual([...expected, hashOf(constant.data!)])
  })

  test('only programs in C have slow memory', () => {
    expect(() => planOf({ external: 'weights' }, 'wasm')).toThrow(InputError)
    expect(() => planOf({ external: 'weights' }, 'wasm')).toThrow('external: weights is not available for wasm')
    expect(() => planOf({ input: 'external' }, 'wasm')).toThrow('input: external is not available for wasm')
    expect(() => planOf({ window: 100 })).toThrow('window: is for constants in slow memory')
  })
})

test('a report shows the windows among the buffers, and what a run reads', () => {
  const plan = outside()
  const report = reportOf(graph, targetOf('c'), plan)
  const windows = report.plan!.buffers.filter((b) => b.kind === 'window')
  expect(windows.map((b) => b.name)).toEqual(
    plan.external.fetches.map((f) => `constants of ${plan.steps[f.needed].node.from}`),
  )
  for (const [k, b] of windows.entries()) {
    expect(b.read, b.name).toEqual([b.last])
    expect(b.last - b.first).toBe(k === 0 ? 0 : 1)
  }
  const { imageBytes, bytesRead: read, reads, windowBytes } = report.plan!.external!
  expect([imageBytes, reads]).toEqual([plan.external.weights!.bytes.length, windows.length])
  const said = reportText(report, { title: 'heavy', all: true, passes: false })
  const figures = [imageBytes, read, windowBytes].map((n) => n.toLocaleString('en-US'))
  expect(said).toContain(
    `${figures[0]} B in slow memory, a run reads ${figures[1]} B in ${reads} copies into at most ${figures[2]} B of RAM: 1 ms at 10 MB/s`,
  )
})

describe('layers by rows', () => {
  const byRows = (options: CompileOptions) => planOf({ stage: 'rows', ...options })

  test('rows of the input are read before they are needed, each that is needed once', () => {
    for (const prefetch of ['next', 'none'] as const) {
      const { external, streamed, ...plan } = byRows({ input: 'external', prefetch })
      const rows = external!.fetches.map((f) => f.offset / streamed!.rowBytes)
      expect([...rows].sort((a, b) => a - b)).toEqual(streamed!.rows.flatMap((row, r) => (row ? [r] : [])))
      for (const f of external!.fetches) {
        expect(f.needed).toBe(streamed!.rows[f.offset / streamed!.rowBytes]!.before)
        expect(f.start).toBe(prefetch === 'next' ? Math.max(0, f.needed - 1) : f.needed)
      }
      expect(run({ external, streamed, ...plan })).toEqual(expected)
    }
    const [ahead, late, pushed] = [
      byRows({ input: 'external' }),
      byRows({ input: 'external', prefetch: 'none' }),
      byRows({ input: 'streamed' }),
    ]
    expect(late.arenaBytes).toBe(pushed.arenaBytes)
    expect(ahead.arenaBytes).toBeGreaterThanOrEqual(late.arenaBytes)
  })

  test('blocks of one layer share their constants, which are read once', () => {
    const plan = byRows({ input: 'streamed', external: 'weights' })
    expect(plan.graph.nodes.filter((n) => n.from === 'block_1/pointwise').length).toBeGreaterThan(2)
    expect(bytesRead(plan.external!)).toBeLessThanOrEqual(plan.external!.weights!.bytes.length)
    expect(Math.max(...plan.external!.fetches.map((f) => f.last - f.needed))).toBeGreaterThan(1)
    expect(run(plan)).toEqual(expected)
  })

  test('both at once, and split, give the same outputs', () => {
    for (const options of [{}, { window: 700 }, { prefetch: 'none' as const, window: 700 }])
      expect(run(byRows({ input: 'external', external: 'weights', ...options }))).toEqual(expected)
  })
})
