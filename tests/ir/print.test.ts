import { expect, test } from 'vitest'
import { Builder } from '../../src/ir/build.ts'
import { quantOf } from '../../src/ir/graph.ts'
import { printGraph } from '../../src/ir/print.ts'
import { inPlace } from '../../src/passes/in_place.ts'
import { accumulate, halve, head, i32, scale } from '../support/toy_ops.ts'

test('a graph prints as inputs, stored tensors, one line for each node, outputs', () => {
  const build = new Builder('little')
  const x = build.input('x', i32(4))
  const s = build.state('s', i32(4), new Int32Array(4))
  const w = build.const('w', i32(4), Int32Array.of(1, 2, 3, 4))
  const y = build.one(scale, [x, w], {}, { from: 'first', quant: quantOf(0.5, -3) })
  build.add(accumulate, [s, y], {}, { from: 'keep' })
  const [a, b] = build.add(halve, [y], {}, { from: 'cut' })
  const z = build.one(head, [a], { n: 2 }, { from: 'top' })
  expect(printGraph(inPlace(build.graph([z, b])))).toBe(
    [
      'graph little',
      '  input x: i32[4]',
      '  const w: i32[4] #3e141bc1',
      '  state s: i32[4] #69691905',
      '  first = scale(x, const w) i32[4] s=0.5 z=-3 in place of x',
      '  accumulate(state s, first)',
      '  cut, cut:1 = halve(first) i32[2]; i32[2]',
      '  top = head(cut) {n: 2} i32[2] in place of cut',
      '  output top, cut:1',
      '',
    ].join('\n'),
  )
})

test('attributes print in alphabetical order with their special values, absent ones not at all', () => {
  const build = new Builder()
  const x = build.input('x', i32(1))
  const odd = { ...head, infer: () => [i32(1)], check: () => {} }
  const attrs = { n: 1, low: -0, high: Number.POSITIVE_INFINITY, gone: undefined, deep: { list: ['a', true] } }
  const graph = build.graph([build.one(odd, [undefined, x, undefined], attrs)])
  expect(printGraph(graph)).toContain(
    'head = head(-, x) {deep: {list: ["a", true]}, high: Infinity, low: -0, n: 1} i32[1]\n',
  )
})
