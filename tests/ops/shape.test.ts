import { describe, expect, test } from 'vitest'
import { Builder } from '../../src/ir/build.ts'
import type { Node, TensorType, Value } from '../../src/ir/graph.ts'
import type { Attrs, Op, OptionValue, TfliteSpelling } from '../../src/ir/op.ts'
import type { Data, Kernel, Stmt } from '../../src/loops/ir.ts'
import { f32, i8 } from '../../src/ops/case.ts'
import { clamp } from '../../src/ops/clamp/op.ts'
import { concat } from '../../src/ops/shape/concat.ts'
import { pad } from '../../src/ops/shape/pad.ts'
import { reshape } from '../../src/ops/shape/reshape.ts'
import { transpose } from '../../src/ops/shape/transpose.ts'
import { assign } from '../../src/ops/state/op.ts'
import { fuse } from '../../src/passes/fuse.ts'
import { bothResults, one } from './run_one.ts'

const upTo = (n: number) => Float32Array.from({ length: n }, (_, i) => i + 1)

test('pad puts its value around the input', () => {
  const { eval: y } = bothResults(one(pad, [f32([2, 2])], { low: [1, 0], high: [0, 1], value: 9 }), [upTo(4)])
  expect([...y]).toEqual([9, 9, 9, 1, 2, 9, 3, 4, 9])
})

test('transpose puts axis perm[d] of the input at axis d', () => {
  const { eval: y } = bothResults(one(transpose, [f32([2, 3])], { perm: [1, 0] }), [upTo(6)])
  expect([...y]).toEqual([1, 4, 2, 5, 3, 6])
  const { y: out } = one(transpose, [f32([2, 3, 4])], { perm: [2, 0, 1] })
  expect(out.type.shape).toEqual([4, 2, 3])
})

test('concat puts its inputs one after another along the axis', () => {
  const { eval: y } = bothResults(one(concat, [f32([2, 1]), f32([2, 2])], { axis: 1 }), [upTo(2), upTo(4)])
  expect([...y]).toEqual([1, 1, 2, 2, 3, 4])
})

test('reshape finds the dimension that is left open', () => {
  expect(one(reshape, [f32([2, 3, 4])], { shape: [4, -1] }).y.type.shape).toEqual([4, 6])
})

function depth(s: Stmt): number {
  if (s.s === 'for') return 1 + depth(s.body)
  return s.s === 'block' ? Math.max(0, ...s.body.map(depth)) : 0
}

test('transpose needs only the loops of axes that really move', () => {
  const loops = (shape: number[], perm: number[]) => {
    const { node } = one(transpose, [f32(shape)], { perm })
    return depth((node.op.lower(node).kernel as Kernel).body)
  }
  expect(loops([1, 4, 5, 3], [0, 3, 1, 2])).toBe(2)
  expect(loops([2, 3, 4, 5], [0, 1, 2, 3])).toBe(1)
  expect(loops([2, 3, 4, 5], [1, 0, 3, 2])).toBe(4)
})

test('a transpose of axes of one element is a copy, of others it is not', () => {
  const effectOf = (shape: number[], perm: number[]) => {
    const { node } = one(transpose, [f32(shape)], { perm })
    return [node.op.effect!(node)?.does, node.op.inPlace!(node)]
  }
  expect(effectOf([1, 6, 1, 4], [0, 2, 1, 3])).toEqual(['copy', [0]])
  expect(effectOf([6, 4], [1, 0])).toEqual(['transpose', []])
})

test('reshapes in a row become one, and none where the shape comes back', () => {
  const build = (last: number[]) => {
    const b = new Builder()
    const x = b.one(clamp, [b.input('x', f32([2, 6]))], { min: 0 })
    const y = b.one(reshape, [b.one(reshape, [x], { shape: [12] })], { shape: last })
    return fuse(b.graph([b.one(clamp, [y], { max: 1 })])).nodes.map((n) => n.op.name)
  }
  expect(build([3, 4])).toEqual(['clamp', 'reshape', 'clamp'])
  expect(build([2, 6])).toEqual(['clamp'])
})

describe('what would change the meaning is refused', () => {
  const q = (scale: number, zero = 0) => i8([2, 3], scale, zero)
  test.each([
    ['pad to another scale', () => one(pad, [q(1)], { low: [0, 0], high: [0, 0], value: 0 }, { types: [q(2)] })],
    ['reshape to another zero point', () => one(reshape, [q(1)], { shape: [2, 3] }, { types: [q(1, 5)] })],
    ['concat of two scales', () => one(concat, [q(1), q(2)], { axis: 0 })],
    ['concat of two ranks', () => one(concat, [f32([2]), f32([2, 1])], { axis: 0 })],
    ['concat along no axis', () => one(concat, [f32([2])], { axis: 1 })],
    ['reshape to more elements', () => one(reshape, [f32([2, 3])], { shape: [7] })],
    ['reshape with an open dimension that does not divide', () => one(reshape, [f32([2, 3])], { shape: [4, -1] })],
    ['transpose by no permutation', () => one(transpose, [f32([2, 3])], { perm: [0, 0] })],
    ['negative padding', () => one(pad, [f32([4])], { low: [-1], high: [0], value: 0 })],
    ['a padding value that int8 does not hold', () => one(pad, [q(1)], { low: [0, 0], high: [0, 0], value: 200 })],
  ])('%s', (_, make) => {
    expect(make).toThrow(expect.objectContaining({ name: 'ModelError' }))
  })
})

describe('assign', () => {
  const b = new Builder()
  const state = b.state('s', f32([2]), Float32Array.of(1, 2))
  test('changes the state', () => {
    const g = new Builder()
    g.add(assign, [state, g.input('x', f32([2]))], {})
    const [node] = g.graph([]).nodes
    const data: Data = Float32Array.of(1, 2)
    expect(node.op.eval(node, [data, Float32Array.of(7, 8)])).toEqual([])
    expect([...data]).toEqual([7, 8])
  })
  test('refuses what is not state, and other types', () => {
    const g = new Builder()
    const x = g.input('x', f32([2]))
    expect(() => g.add(assign, [x, x], {})).toThrow(/not state/)
    expect(() => g.add(assign, [state, g.input('y', f32([3]))], {})).toThrow(/f32\[3\]/)
  })
})

describe('TFLite spellings', () => {
  const spelling = <A extends Attrs>(op: Op<A>, name: string) =>
    op.spelled.tflite!.find((s) => s.name === name) as unknown as TfliteSpelling
  const b = new Builder()
  const ints = (shape: number[], values: number[]): Value =>
    b.const('c', { dtype: 'i32', shape }, Int32Array.from(values))

  /** Reads one operator on `types` (graph inputs) and `rest` (constants), and returns the node. */
  const read = <A extends Attrs>(
    op: Op<A>,
    name: string,
    x: TensorType,
    rest: Value[],
    y: TensorType,
    options: Record<string, OptionValue> = {},
  ): Node => {
    const g = new Builder()
    const result = { types: [y], from: 'layer' }
    const outputs = spelling(op, name).read!(g, { inputs: [g.input('x', x), ...rest], options, result })
    return g.graph(outputs).nodes[0]
  }
  const written = (node: Node) =>
    node.op.spelled.tflite!.flatMap((s) => {
      const record = s.write?.(node, { producer: () => undefined, readers: () => [], isOutput: () => true })
      return record && 'inputs' in record
        ? [[s.name, record.inputs.slice(1).map((v) => [...v!.data!].map(Number)), record.options]]
        : []
    })

  test('pads become attributes and constants again', () => {
    const x = i8([1, 2, 3], 0.1, -7)
    const y = i8([1, 5, 3], 0.1, -7)
    const paddings = ints([3, 2], [0, 0, 1, 2, 0, 0])
    const node = read(pad, 'PAD', x, [paddings], y)
    expect(node.attrs).toEqual({ low: [0, 1, 0], high: [0, 2, 0], value: -7 })
    expect(node.inputs).toHaveLength(1)
    expect(written(node)[0]).toEqual(['PAD', [[0, 0, 1, 2, 0, 0]], {}])
    const five = b.const('v', i8([1], 0.1, -7), Int8Array.of(5))
    const other = read(pad, 'PADV2', x, [paddings, five], y)
    expect(other.attrs.value).toBe(5)
    expect(written(other)).toEqual([['PADV2', [[0, 0, 1, 2, 0, 0], [5]], {}]])
  })

  test('a shape that is computed at run time is refused', () => {
    const g = new Builder()
    const paddings = g.input('p', { dtype: 'i32', shape: [1, 2] })
    expect(() => read(pad, 'PAD', f32([2]), [paddings], f32([3]))).toThrow(/needs a constant/)
  })

  test('squeeze and expand_dims are reshapes', () => {
    expect(read(reshape, 'SQUEEZE', f32([1, 3, 1]), [], f32([3]), { squeeze_dims: [] }).attrs).toEqual({ shape: [3] })
    const node = read(reshape, 'EXPAND_DIMS', f32([3]), [ints([], [0])], f32([1, 3]))
    expect(node.attrs).toEqual({ shape: [1, 3] })
    expect(node.inputs).toHaveLength(1)
    expect(written(node)).toEqual([['RESHAPE', [[1, 3]], { new_shape: [1, 3] }]])
  })

  test('transpose keeps its permutation', () => {
    const node = read(transpose, 'TRANSPOSE', f32([2, 3]), [ints([2], [1, 0])], f32([3, 2]))
    expect(written(node)).toEqual([['TRANSPOSE', [[1, 0]], {}]])
  })

  test('concat counts a negative axis from the end', () => {
    const options = { axis: -1, fused_activation_function: 0 }
    expect(read(concat, 'CONCATENATION', f32([2, 3]), [], f32([2, 3]), options).attrs).toEqual({ axis: 1 })
    expect(() =>
      read(concat, 'CONCATENATION', f32([2, 3]), [], f32([2, 3]), { axis: 0, fused_activation_function: 1 }),
    ).toThrow(/activation/)
  })

  test('each activation is written as the operator it was read from', () => {
    for (const name of ['RELU', 'RELU6', 'RELU_N1_TO_1', 'RELU_0_TO_1'])
      expect(written(read(clamp, name, f32([2]), [], f32([2])))).toEqual([[name, [], {}]])
    const { node } = one(clamp, [f32([2])], { max: 3 })
    expect(written(node)).toEqual([])
  })
})
