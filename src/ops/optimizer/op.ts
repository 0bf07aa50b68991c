// Updates of what learns, in place: a param from its gradient and the learning rate. Each is one pass over the param; what
// an optimizer remembers is state of its own.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import { type Node, sameShape } from '../../ir/graph.ts'
import type { Attrs, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, type Expr, type Stmt } from '../../loops/ir.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { parameters } from '../parameters.ts'
import { expectDtype } from '../quant.ts'

type Numbers<T> = Readonly<Record<string, T>>

interface Update {
  readonly name: string
  /** What is remembered for each element, besides the param: states of the param's shape. */
  readonly memory: readonly string[]
  /** Attributes, all numbers. */
  readonly attrs: readonly string[]
  /** The new memory, then the new param, of one element; all float32. */
  eval(p: number, g: number, rate: number, memory: readonly number[], attrs: Numbers<number>): readonly number[]
  steps(
    p: Expr,
    g: Expr,
    rate: Expr,
    memory: readonly Expr[],
    attrs: Numbers<Expr>,
  ): readonly [readonly Stmt[], readonly Expr[]]
}

type UpdateAttrs = Attrs & Numbers<number>

/** The inputs are param, gradient, learning rate (one element), and the memory. */
function update(u: Update): Op<UpdateAttrs> {
  const numbersOf = (node: Node<UpdateAttrs>) =>
    Object.fromEntries(u.attrs.map((k) => [k, Math.fround(node.attrs[k])])) as Numbers<number>
  return {
    name: u.name,
    spelled: {},
    infer: () => [],

    check(node) {
      const where = layer(node)
      expectInputs(node, 3 + u.memory.length)
      expectOutputs(node, [])
      const [param, g, rate, ...memory] = node.inputs.map((v) => v!)
      for (const v of [param, ...memory])
        if (v.storage !== 'param' && v.storage !== 'state')
          throw new ModelError(where, `writes "${v.name}", which is ${v.storage}, not state or param`)
      for (const v of [param, g, rate, ...memory]) expectDtype(v.type, ['f32'], `"${v.name}"`, where)
      for (const v of [g, ...memory])
        if (!sameShape(v.type.shape, param.type.shape))
          throw new ModelError(where, `"${v.name}" is [${v.type.shape}], param "${param.name}" [${param.type.shape}]`)
      if (count(rate.type.shape) !== 1)
        throw new ModelError(where, `learning rate is [${rate.type.shape}], expected 1 element`)
      const bad = u.attrs.find((k) => !Number.isFinite(node.attrs[k]))
      if (bad) throw new ModelError(where, `has ${bad} ${node.attrs[bad]}, expected a number`)
    },

    /** Changes the data of param and memory. */
    eval(node, [param, g, rate, ...memory]) {
      const attrs = numbersOf(node)
      const [P, G] = [param as Float32Array, g as Float32Array]
      const M = memory as Float32Array[]
      P.forEach((p, i) => {
        const next = u.eval(
          p,
          G[i],
          Number(rate![0]),
          M.map((m) => m[i]),
          attrs,
        )
        M.forEach((m, k) => {
          m[i] = next[k]
        })
        P[i] = next[M.length]
      })
      return []
    },

    lower(node) {
      const [param, g, rate, ...memory] = node.inputs.map((v) => v!)
      const n = count(param.type.shape)
      const G = L.buffer('g', 'f32', [n])
      const R = L.buffer('rate', 'f32', [1])
      const M = u.memory.map((name) => L.buffer(name, 'f32', [n], 'write'))
      const P = L.buffer('p', 'f32', [n], 'write')
      const p = parameters('q', 'f32', numbersOf(node))
      const head = u.attrs.length > 0 ? p : { bufs: [], args: [], head: [], of: {} }
      const [declareRate, step] = L.declare('step', L.load(R, 0))
      const body = L.parallel('i', n, (i) => {
        const [steps, next] = u.steps(
          L.load(P, i),
          L.load(G, i),
          step,
          M.map((m) => L.load(m, i)),
          head.of,
        )
        return [...steps, ...[...M, P].map((buf, k) => L.store(buf, [i], next[k]))]
      })
      return {
        kernel: L.kernel(u.name, [G, R, ...head.bufs, ...M, P], ...head.head, declareRate, body),
        args: [{ value: g }, { value: rate }, ...head.args, ...memory.map((value) => ({ value })), { value: param }],
      }
    },

    cost: (node) => costOf(node, 0),
    writesState: true,
  }
}

const f = Math.fround

/** param -= rate * gradient. Inputs: param, gradient, rate. f32. */
export const sgd: Op<UpdateAttrs> = update({
  name: 'sgd',
  memory: [],
  attrs: [],
  eval: (p, g, rate) => [f(p - f(rate * g))],
  steps: (p, g, rate) => [[], [L.op('sub', p, L.mul(rate, g))]],
})

/** v = momentum * v + gradient; param -= rate * v. Inputs: param, gradient, rate, v. f32. Sutskever et al. 2013, as PyTorch's. */
export const momentum: Op<UpdateAttrs> = update({
  name: 'momentum',
  memory: ['v'],
  attrs: ['momentum'],
  eval(p, g, rate, [v], a) {
    const next = f(f(a.momentum * v) + g)
    return [next, f(p - f(rate * next))]
  },
  steps(p, g, rate, [v], a) {
    const [declare, next] = L.declare('next', L.add(L.mul(a.momentum, v), g))
    return [[declare], [next, L.op('sub', p, L.mul(rate, next))]]
  },
})

/**
 * m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; param -= rate * m / (sqrt(v) + epsilon). Inputs: param, gradient, rate, m, v.
 * f32. The corrections for the first steps are the caller's, in the rate: rate * sqrt(1 - b2^t) / (1 - b1^t) (Kingma and Ba 2015, section 2).
 */
export const adam: Op<UpdateAttrs> = update({
  name: 'adam',
  memory: ['m', 'v'],
  attrs: ['beta1', 'beta2', 'rest1', 'rest2', 'epsilon'],
  eval(p, g, rate, [m, v], a) {
    const m1 = f(f(a.beta1 * m) + f(a.rest1 * g))
    const v1 = f(f(a.beta2 * v) + f(a.rest2 * f(g * g)))
    return [m1, v1, f(p - f(f(rate * m1) / f(f(Math.sqrt(v1)) + a.epsilon)))]
  },
  steps(p, g, rate, [m, v], a) {
    const [declareG, d] = L.declare('d', g)
    const [declareM, m1] = L.declare('m1', L.add(L.mul(a.beta1, m), L.mul(a.rest1, d)))
    const [declareV, v1] = L.declare('v1', L.add(L.mul(a.beta2, v), L.mul(a.rest2, L.mul(d, d))))
    const step = L.op('div', L.mul(rate, m1), L.add(L.op('sqrt', v1), a.epsilon))
    return [
      [declareG, declareM, declareV],
      [m1, v1, L.op('sub', p, step)],
    ]
  },
})
