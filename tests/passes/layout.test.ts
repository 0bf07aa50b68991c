import { describe, expect, it } from 'vitest'
import { Builder } from '../../src/ir/build.ts'
import type { Graph, Value } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { verify } from '../../src/ir/verify.ts'
import {
  add,
  clamp,
  concat,
  conv2d,
  logistic,
  mean,
  mul,
  pad,
  reshape,
  slice,
  softmax,
  transpose,
} from '../../src/ops/all.ts'
import { CaseBuilder, f32 } from '../../src/ops/case.ts'
import { layout } from '../../src/passes/layout.ts'
import { reference } from '../../src/run/reference.ts'

const PERMS = [
  [0, 2, 3, 1],
  [0, 3, 1, 2],
  [0, 1, 3, 2],
  [3, 2, 1, 0],
  [1, 0, 2, 3],
]

function transposes(g: Graph): number {
  return g.nodes.filter((node) => node.op.name === 'transpose').length
}

/** A random graph of transpositions and of operators that may let them pass. */
function random(seed: number): Graph {
  const b = new CaseBuilder(`layout ${seed}`, seed)
  const { random } = b
  const pool: Value[] = [b.input('x', f32([1, 3, 2, 4])), b.input('z', f32([2, 3, 2, 1]))]
  const pick = <T>(list: readonly T[]): T => list[random.between(0, list.length - 1)]
  const four = () => pick(pool.filter((v) => v.type.shape.length === 4))
  const steps: (() => Value)[] = [
    () => b.one(transpose, [four()], { perm: pick(PERMS) }),
    () => b.one(transpose, [four()], { perm: pick(PERMS) }),
    () => b.one(transpose, [pool.at(-1)!], { perm: pool.at(-1)!.type.shape.map((_, d, s) => s.length - 1 - d) }),
    () => b.one(clamp, [pick(pool)], { min: -0.5, max: 0.5 }),
    () => b.one(logistic, [pick(pool)], {}),
    () => b.one(softmax, [pick(pool)], { beta: 1 }),
    () => {
      const x = four()
      const [n, c, h, w] = x.type.shape
      const other = pick([
        x,
        b.floats('k', [c, 1, 1]),
        b.floats('k', [w]),
        b.floats('k', []),
        b.floats('k', [n, c, h, w]),
      ])
      return b.one(pick([add, mul]), [x, other], { clamp: {} })
    },
    () => {
      const x = four()
      const same = pool.filter((v) => v.type.shape.length === 4 && `${v.type.shape}` === `${x.type.shape}`)
      return b.one(concat, [x, pick(same), pick(same)], { axis: random.between(0, 3) })
    },
    () => b.one(pad, [four()], { low: [0, 1, 0, 2], high: [1, 0, 0, 1], value: 0.25 }),
    () => {
      const x = four()
      const size = x.type.shape.map((d) => random.between(1, d))
      return b.one(slice, [x], { begin: size.map((s, d) => x.type.shape[d] - s), step: [1, 1, 1, 1], size })
    },
    () => b.one(mean, [four()], { axes: pick([[1], [2, 3], [1, 2], [0, 3]]), keepDims: random.between(0, 1) === 1 }),
    () => {
      const { shape } = four().type
      const x = pool.find((v) => v.type.shape === shape)!
      const full = shape.filter((d) => d !== 1)
      return b.one(reshape, [x], { shape: pick([full, [1, ...full], [...full, 1], [-1]]) })
    },
  ]
  for (let i = 0; i < 14; i++) pool.push(pick(steps)())
  return b.graph([...new Set([pool.at(-1)!, pick(pool.slice(2)), pick(pool.slice(2))])])
}

describe('layout', () => {
  it('keeps every bit of random graphs, and never adds transpositions that do work to a chain', () => {
    let fewer = 0
    for (let seed = 1; seed <= 150; seed++) {
      const g = random(seed)
      const moved = verify(layout(g))
      const fill = new Xorshift32(seed)
      const inputs = g.inputs.map((v) => fill.fill(v.type))
      expect(reference(moved).run(inputs), `seed ${seed}`).toEqual(reference(g).run(inputs))
      expect(moved.outputs.map((v) => v.name)).toEqual(g.outputs.map((v) => v.name))
      if (transposes(moved) < transposes(g)) fewer++
    }
    expect(fewer).toBeGreaterThan(75)
  })

  it('lets the transpositions between two convolutions cancel, through what stands between them', () => {
    const b = new CaseBuilder('two')
    const window = { stride: [1, 1], dilation: [1, 1], pad: [1, 1, 1, 1], groups: 1, clamp: {} }
    const conv = (x: Value) => {
      const last = b.one(transpose, [x], { perm: [0, 2, 3, 1] })
      return b.one(transpose, [b.one(conv2d, [last, b.floats('w', [3, 3, 3, 3])], window)], { perm: [0, 3, 1, 2] })
    }
    const first = conv(b.input('x', f32([1, 3, 5, 4])))
    const scaled = b.one(mul, [b.one(logistic, [first], {}), b.floats('s', [3, 1, 1])], { clamp: {} })
    const sum = b.one(add, [conv(scaled), first], { clamp: {} })
    const g = layout(b.graph([sum]))
    expect(g.nodes.map((n) => n.op.name)).toEqual([
      'transpose',
      'conv2d',
      'logistic',
      'mul',
      'conv2d',
      'add',
      'transpose',
    ])
  })

  it('leaves graphs without transpositions alone', () => {
    const b = new Builder()
    const g = b.graph([b.one(clamp, [b.input('x', f32([2]))], { min: 0 })])
    expect(layout(g)).toBe(g)
  })
})
