// Small operators with exact meanings, and random graphs made of them, so that tests of passes and plans depend on no
// real operator. All arithmetic is wrapping i32 on flat arrays.

import { ModelError } from '../../src/errors.ts'
import { Builder } from '../../src/ir/build.ts'
import { bytesOf, type Graph, inputsOf, type Node, type TensorType, type Value } from '../../src/ir/graph.ts'
import type { Attrs, Cost, Op } from '../../src/ir/op.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import {
  add,
  block,
  buffer,
  declare,
  type E,
  int,
  kernel,
  load,
  loop,
  mul,
  op,
  parallel,
  store,
} from '../../src/loops/build.ts'
import { type Buf, count, type Data } from '../../src/loops/ir.ts'
import type { Target } from '../../src/targets/target.ts'

export const TARGET: Target = { name: 'toy', emits: 'c', align: 4, recipes: [] }

export function i32(...shape: number[]): TensorType {
  return { dtype: 'i32', shape }
}

const size = (v: Value | TensorType | undefined) => count(('type' in v! ? v.type : v!).shape)
const flat = (name: string, v: Value, access: Buf['access'] = 'read') =>
  buffer(name, v.type.dtype === 'i8' ? 'i8' : 'i32', [size(v)], access)
const data = (d: Data | undefined) => d as Int32Array

function cost(node: Node): Cost {
  const sum = (values: readonly Value[]) => values.reduce((n, v) => n + bytesOf(v.type), 0)
  return {
    macs: size(node.outputs[0] ?? node.inputs[0]),
    bytesRead: sum(inputsOf(node)),
    bytesWritten: sum(node.outputs),
  }
}

function need(node: Node, ok: boolean, what: string): void {
  if (!ok) throw new ModelError(`${node.op.name} "${node.from}"`, what)
}

type Common = 'spelled' | 'cost'
function toy<A extends Attrs>(answers: Omit<Op<A>, Common>): Op<A> {
  return { spelled: {}, cost: (node) => cost(node as Node), ...answers }
}

/** y = sum over k of (2k + 1) x_k + bias; all inputs of one size. */
export const mix: Op<{ bias: number }> = toy({
  name: 'mix',
  check: (node) =>
    need(
      node as Node,
      node.inputs.length > 0 &&
        node.inputs.every((v) => v && v.type.dtype === 'i32' && size(v) === size(node.outputs[0])) &&
        Number.isInteger(node.attrs.bias),
      'inputs differ in size',
    ),
  infer: (inputs) => [i32(size(inputs[0]))],
  eval: (node, inputs) => [
    Int32Array.from(data(inputs[0]), (_, i) =>
      inputs.reduce((sum, x, k) => (sum + Math.imul(data(x)[i], 2 * k + 1)) | 0, node.attrs.bias),
    ),
  ],
  lower: (node) => {
    const xs = node.inputs.map((v, k) => flat(`x${k}`, v!))
    const y = flat('y', node.outputs[0], 'write')
    const sum = (i: E) => xs.reduce((e, x, k) => op('wadd', e, op('wmul', load(x, i), 2 * k + 1)), int(node.attrs.bias))
    return {
      kernel: kernel(
        `mix${xs.length}`,
        [...xs, y],
        parallel('i', size(node.outputs[0]), (i) => store(y, [i], sum(i))),
      ),
      args: [...node.inputs, node.outputs[0]].map((value) => ({ value: value! })),
    }
  },
  inPlace: (node) => node.inputs.map((_, k) => k),
})

/** One after the other. */
export const cat: Op = toy({
  name: 'cat',
  check: (node) =>
    need(node, node.inputs.reduce((n, v) => n + size(v), 0) === size(node.outputs[0]), 'sizes do not add up'),
  infer: (inputs) => [i32(inputs.reduce((n, t) => n + size(t), 0))],
  eval: (_, inputs) => [Int32Array.from(inputs.flatMap((x) => [...data(x)]))],
  lower: (node) => {
    const xs = node.inputs.map((v, k) => flat(`x${k}`, v!))
    const y = flat('y', node.outputs[0], 'write')
    let at = 0
    const copies = xs.map((x, k) => {
      const from = at
      at += x.shape[0]
      return parallel(`i${k}`, x.shape[0], (i) => store(y, [add(i, from)], load(x, i)))
    })
    return {
      kernel: kernel(`cat${xs.length}`, [...xs, y], ...copies),
      args: [...node.inputs, node.outputs[0]].map((value) => ({ value: value! })),
    }
  },
})

/** y[t, i] = (t + 1) x[i] */
export const grow: Op<{ times: number }> = toy({
  name: 'grow',
  check: (node) =>
    need(node as Node, size(node.outputs[0]) === size(node.inputs[0]) * node.attrs.times, 'output has the wrong size'),
  infer: ([x], { times }) => [i32(size(x) * times)],
  eval: (node, [x]) => [
    Int32Array.from({ length: size(node.outputs[0]) }, (_, k) =>
      Math.imul(data(x)[k % size(node.inputs[0])], Math.floor(k / size(node.inputs[0])) + 1),
    ),
  ],
  lower: (node) => {
    const n = size(node.inputs[0])
    const x = flat('x', node.inputs[0]!)
    const y = buffer('y', 'i32', [node.attrs.times, n], 'write')
    return {
      kernel: kernel(
        'grow',
        [x, y],
        parallel('t', node.attrs.times, (t) =>
          parallel('i', n, (i) => store(y, [t, i], op('wmul', load(x, i), add(t, 1)))),
        ),
      ),
      args: [{ value: node.inputs[0]! }, { value: node.outputs[0] }],
    }
  },
})

/** The first `n` elements plus 7. */
export const head: Op<{ n: number }> = toy({
  name: 'head',
  check: (node) =>
    need(
      node as Node,
      size(node.outputs[0]) === node.attrs.n && node.attrs.n <= size(node.inputs[0]),
      'takes more than there is',
    ),
  infer: (_, { n }) => [i32(n)],
  eval: (node, [x]) => [
    data(x)
      .slice(0, node.attrs.n)
      .map((v) => v + 7),
  ],
  lower: (node) => {
    const x = flat('x', node.inputs[0]!)
    const y = flat('y', node.outputs[0], 'write')
    return {
      kernel: kernel(
        'head',
        [x, y],
        parallel('i', node.attrs.n, (i) => store(y, [i], op('wadd', load(x, i), 7))),
      ),
      args: [{ value: node.inputs[0]! }, { value: node.outputs[0] }],
    }
  },
  inPlace: () => [0],
})

/** The two halves. */
export const halve: Op = toy({
  name: 'halve',
  check: (node) => need(node, node.outputs.length === 2, 'has two outputs'),
  infer: ([x]) => [i32(Math.ceil(size(x) / 2)), i32(Math.floor(size(x) / 2))],
  eval: (node, [x]) => [data(x).slice(0, size(node.outputs[0])), data(x).slice(size(node.outputs[0]))],
  lower: (node) => {
    const x = flat('x', node.inputs[0]!)
    const [a, b] = [flat('a', node.outputs[0], 'write'), flat('b', node.outputs[1], 'write')]
    return {
      kernel: kernel(
        'halve',
        [x, a, b],
        parallel('i', a.shape[0], (i) => store(a, [i], load(x, i))),
        parallel('j', b.shape[0], (j) => store(b, [j], load(x, add(j, a.shape[0])))),
      ),
      args: [{ value: node.inputs[0]! }, { value: node.outputs[0] }, { value: node.outputs[1] }],
    }
  },
})

/** Another shape, given as a constant that the kernel does not read. */
export const reshape: Op = toy({
  name: 'reshape',
  check: (node) => need(node, size(node.inputs[0]) === size(node.outputs[0]), 'sizes differ'),
  infer: ([x]) => [i32(1, size(x))],
  eval: (_, [x]) => [data(x).slice()],
  lower: (node) => {
    const [outer, inner] = node.outputs[0].type.shape
    const x = flat('x', node.inputs[0]!)
    const y = buffer('y', 'i32', [outer, inner], 'write')
    return {
      kernel: kernel(
        'reshape',
        [x, y],
        parallel('a', outer, (a) => parallel('b', inner, (b) => store(y, [a, b], load(x, add(mul(a, inner), b))))),
      ),
      args: [{ value: node.inputs[0]! }, { value: node.outputs[0] }],
    }
  },
  inPlace: () => [0],
})

/** Backwards, by way of working space. */
export const flip: Op = toy({
  name: 'flip',
  check: (node) => need(node, size(node.inputs[0]) === size(node.outputs[0]), 'sizes differ'),
  infer: ([x]) => [i32(size(x))],
  eval: (_, [x]) => [data(x).slice().reverse()],
  lower: (node) => {
    const n = size(node.inputs[0])
    const x = flat('x', node.inputs[0]!)
    const s = buffer('s', 'i32', [n], 'scratch')
    const y = flat('y', node.outputs[0], 'write')
    return {
      kernel: kernel(
        'flip',
        [x, s, y],
        parallel('i', n, (i) => store(s, [i], load(x, i))),
        parallel('j', n, (j) => store(y, [j], load(s, op('sub', n - 1, j)))),
      ),
      args: [{ value: node.inputs[0]! }, { scratch: true }, { value: node.outputs[0] }],
    }
  },
})

/** y[i] = w[i] x[i] + w[i]^2: `w` is a constant, its squares are derived data. */
export const scale: Op = toy({
  name: 'scale',
  check: (node) =>
    need(node, !!node.inputs[1]?.data && size(node.inputs[0]) === size(node.inputs[1]), 'weight is not a constant'),
  infer: ([x]) => [i32(size(x))],
  eval: (_, [x, w]) => [data(x).map((v, i) => (Math.imul(v, data(w)[i]) + Math.imul(data(w)[i], data(w)[i])) | 0)],
  lower: (node) => {
    const [x, w] = [flat('x', node.inputs[0]!), flat('w', node.inputs[1]!)]
    const d = buffer('d', 'i32', [size(node.inputs[1])])
    const y = flat('y', node.outputs[0], 'write')
    return {
      kernel: kernel(
        'scale',
        [x, w, d, y],
        parallel('i', size(node.inputs[0]), (i) => {
          const [declared, v] = declare('v', op('wmul', load(x, i), load(w, i)))
          return [declared, store(y, [i], op('wadd', v, load(d, i)))]
        }),
      ),
      args: [
        { value: node.inputs[0]! },
        { value: node.inputs[1]! },
        { data: data(node.inputs[1]!.data).map((v) => Math.imul(v, v)) },
        { value: node.outputs[0] },
      ],
    }
  },
  inPlace: () => [0],
})

/** i32 -> i8, the low bits. */
export const narrow: Op = toy({
  name: 'narrow',
  check: (node) => need(node, node.outputs[0].type.dtype === 'i8', 'gives i8'),
  infer: ([x]) => [{ dtype: 'i8', shape: [size(x)] }],
  eval: (_, [x]) => [Int8Array.from(data(x))],
  lower: (node) => {
    const [x, y] = [flat('x', node.inputs[0]!), flat('y', node.outputs[0], 'write')]
    return {
      kernel: kernel(
        'narrow',
        [x, y],
        loop('i', x.shape[0], (i) => store(y, [i], load(x, i))),
      ),
      args: [{ value: node.inputs[0]! }, { value: node.outputs[0] }],
    }
  },
  inPlace: () => [0],
})

/** i8 -> i32 */
export const widen: Op = toy({
  name: 'widen',
  check: (node) => need(node, node.inputs[0]?.type.dtype === 'i8', 'takes i8'),
  infer: ([x]) => [i32(size(x))],
  eval: (_, [x]) => [Int32Array.from(x as Int8Array)],
  lower: narrow.lower,
})

/** state += x */
export const accumulate: Op = toy({
  name: 'accumulate',
  check: (node) => need(node, size(node.inputs[0]) === size(node.inputs[1]), 'sizes differ'),
  infer: () => [],
  eval: (_, [state, x]) => {
    data(state).forEach((v, i) => {
      data(state)[i] = v + data(x)[i]
    })
    return []
  },
  lower: (node) => {
    const [s, x] = [flat('s', node.inputs[0]!, 'write'), flat('x', node.inputs[1]!)]
    return {
      kernel: kernel(
        'accumulate',
        [s, x],
        block(parallel('i', s.shape[0], (i) => store(s, [i], op('wadd', load(s, i), load(x, i))))),
      ),
      args: node.inputs.map((value) => ({ value: value! })),
    }
  },
  writesState: true,
})

export const TOYS: ReadonlyMap<string, Op> = new Map(
  [mix, cat, grow, head, halve, reshape, flip, scale, narrow, widen, accumulate].map((o) => [o.name, o as Op]),
)

export interface RandomOptions {
  readonly nodes: number
  /** Operators offer to work in place. */
  readonly inPlace?: boolean
  /** Reads and writes of a state tensor among the nodes. */
  readonly state?: boolean
}

/** A graph of about `nodes` random toy nodes. Values nobody reads become outputs, two of three times. */
export function randomGraph(seed: number, { nodes, inPlace = true, state = false }: RandomOptions): Graph {
  const random = new Xorshift32(seed)
  const build = new Builder(`random${seed}`)
  const use = <A extends Attrs>(o: Op<A>): Op<A> => (inPlace ? o : { ...o, inPlace: undefined })
  const values = Array.from({ length: random.between(1, 2) }, (_, k) =>
    build.input(`in${k}`, i32(random.between(1, 8))),
  )
  const kept = state ? build.state('kept', i32(4), Int32Array.of(1, 2, 3, 4)) : undefined
  const read = new Set<Value>()
  const pick = (): Value => {
    const recent = random.between(0, 2) > 0
    const v = values[random.between(recent ? Math.max(0, values.length - 3) : 0, values.length - 1)]
    read.add(v)
    return v
  }
  const wide = (): Value => {
    const v = pick()
    return v.type.dtype === 'i8' ? build.one(use(widen), [v], {}) : v
  }
  for (let k = 0; k < nodes; k++) {
    const x = wide()
    const n = size(x)
    const alike = values.filter((v) => v.type.dtype === 'i32' && size(v) === n)
    switch (random.between(0, state ? 11 : 9)) {
      case 0:
      case 1: {
        const y = alike.length > 0 ? alike[random.between(0, alike.length - 1)] : x
        read.add(y)
        values.push(build.one(use(mix), [x, y], { bias: random.between(0, 9) }))
        break
      }
      case 2:
        if (n <= 32) values.push(build.one(use(cat), [x, wide()], {}))
        break
      case 3:
        if (n <= 16) values.push(build.one(use(grow), [x], { times: random.between(1, 4) }))
        break
      case 4:
        values.push(build.one(use(head), [x], { n: random.between(1, n) }))
        break
      case 5:
        values.push(...build.add(use(halve), [x], {}).filter((v) => size(v) > 0))
        break
      case 6: {
        const shape = build.const(`shape${k}`, i32(2), Int32Array.of(1, n))
        values.push(build.one(use(reshape), [x, shape], {}))
        break
      }
      case 7:
        values.push(build.one(use(flip), [x], {}))
        break
      case 8: {
        const w = build.const(
          `w${k}`,
          i32(n),
          Int32Array.from({ length: n }, () => random.between(-3, 3)),
        )
        values.push(build.one(use(scale), [x, w], {}))
        break
      }
      case 9:
        values.push(build.one(use(narrow), [x], {}))
        break
      default: {
        const four = build.one(use(grow), [build.one(use(head), [x], { n: 1 })], { times: 4 })
        if (random.between(0, 1) === 0) build.add(use(accumulate), [kept, four], {})
        else values.push(build.one(use(mix), [four, kept], { bias: 1 }))
      }
    }
  }
  const outputs = values.filter((v) => !read.has(v) && random.between(0, 2) > 0)
  return build.graph(outputs.length > 0 ? outputs : [values[values.length - 1]])
}

/** Reproducible inputs for a graph of toys. */
export function randomInputs(graph: Graph, seed: number): Data[] {
  const random = new Xorshift32(seed)
  return graph.inputs.map((v) => Int32Array.from({ length: size(v) }, () => random.between(-1000, 1000)))
}
