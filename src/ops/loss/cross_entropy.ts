// Softmax cross-entropy and where it leads: the mean over the rows of -log(softmax(logits)[label]), and its gradient with
// respect to the logits, (softmax(logits) - one hot) / rows. Labels may be shares of the classes as well, as distillation has them
// (Hinton et al. 2015). One operator for both results, since both need the exponentials.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node, TensorType } from '../../ir/graph.ts'
import type { Attrs, Call, Op } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { expf, logf } from '../../loops/float.ts'
import { count, type Expr, type Stmt } from '../../loops/ir.ts'
import * as M from '../../loops/math.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { parameters } from '../parameters.ts'
import { expectDtype } from '../quant.ts'

type CrossEntropy = Attrs & Record<string, never>

const matrix = ({ shape }: TensorType) => [count(shape.slice(0, -1)), shape.at(-1)!]

function infer([logits]: readonly (TensorType | undefined)[]): TensorType[] {
  return [
    { dtype: 'f32', shape: [] },
    { dtype: 'f32', shape: logits!.shape },
  ]
}

function lower(node: Node<CrossEntropy>): Call {
  const [x, label] = node.inputs.map((v) => v!)
  const [N, C] = matrix(x.type)
  const shares = label.type.dtype === 'f32'
  const X = L.buffer('x', 'f32', [N, C])
  const T = L.buffer('label', shares ? 'f32' : 'i32', shares ? [N, C] : [N])
  const Y = L.buffer('loss', 'f32', [1], 'write')
  const D = L.buffer('dx', 'f32', [N, C], 'write')
  const p = parameters('p', 'f32', { part: 1 / N })
  const [declareTotal, total] = L.declare('total', L.float(0))
  const body = L.loop('n', N, (n) => {
    const [declareMax, max] = L.declare('max', L.load(X, n, 0))
    const [declareSum, sum] = L.declare('sum', L.float(0))
    const [logSteps, log] = M.logf(sum, 'l')
    const [declareLog, logSum] = L.declare('log', log)
    const before = (c: Expr | number) => L.op('sub', logSum, L.op('sub', L.load(X, n, c), max))
    const towardsShares = (): Stmt[] => {
      const [declareAll, all] = L.declare('all', L.float(0))
      const [declareShare, share] = L.declare('share', L.float(0))
      return [
        declareAll,
        declareShare,
        L.loop('a', C, (c) => L.set(all, L.add(all, L.load(T, n, c)))),
        L.loop('d', C, (d) => [
          L.set(share, L.load(T, n, d)),
          L.set(total, L.add(total, L.mul(share, before(d)))),
          L.store(D, [n, d], L.op('sub', L.mul(L.op('div', L.load(D, n, d), sum), all), share)),
          L.store(D, [n, d], L.mul(L.load(D, n, d), p.of.part)),
        ]),
      ]
    }
    const towardsClass = (): Stmt[] => {
      const [declareAt, at] = L.declare('at', L.load(T, n))
      const known = L.and(L.ge(at, 0), L.lt(at, C))
      const place = L.clamp(at, 0, C - 1)
      return [
        declareAt,
        L.when(
          known,
          [
            L.loop('d', C, (d) => L.store(D, [n, d], L.mul(L.op('div', L.load(D, n, d), sum), p.of.part))),
            L.store(D, [n, place], L.op('sub', L.load(D, n, place), p.of.part)),
            L.set(total, L.add(total, before(place))),
          ],
          L.loop('z', C, (z) => L.store(D, [n, z], L.float(0))),
        ),
      ]
    }
    return [
      declareMax,
      L.loop('m', C, (c) => L.set(max, L.max(max, L.load(X, n, c)))),
      declareSum,
      L.loop('c', C, (c) => {
        const [steps, e] = M.expf(L.op('sub', L.load(X, n, c), max), 'e')
        return [...steps, L.store(D, [n, c], e), L.set(sum, L.add(sum, L.load(D, n, c)))]
      }),
      ...logSteps,
      declareLog,
      ...(shares ? towardsShares() : towardsClass()),
    ]
  })
  return {
    kernel: L.kernel(
      'softmax_cross_entropy',
      [X, T, ...p.bufs, Y, D],
      ...p.head,
      declareTotal,
      body,
      L.store(Y, [0], L.mul(total, p.of.part)),
    ),
    args: [{ value: x }, { value: label }, ...p.args, { value: node.outputs[0] }, { value: node.outputs[1] }],
  }
}

/**
 * The mean cross-entropy of logits x[N..., C] and classes label[N...] (i32) or shares of them label[N..., C] (f32), and its gradient
 * with respect to x: outputs f32 [] and f32 [N..., C]. A row whose label is no class counts nothing and has no gradient. f32; rows
 * add in their order.
 */
export const softmaxCrossEntropy: Op<CrossEntropy> = {
  name: 'softmax_cross_entropy',
  spelled: {},
  infer,

  check(node) {
    const where = layer(node)
    expectInputs(node, 2)
    const [x, label] = node.inputs.map((v) => v!.type)
    expectDtype(x, ['f32'], 'logits', where)
    expectDtype(label, ['i32', 'f32'], 'label', where)
    const each = label.dtype === 'f32' ? x.shape : x.shape.slice(0, -1)
    if (x.shape.length === 0 || count(label.shape) !== count(each))
      throw new ModelError(where, `logits are [${x.shape}], labels [${label.shape}]; expected one label for each row`)
    expectOutputs(node, infer([x]))
  },

  eval(node, [x, label]) {
    const f = Math.fround
    const [N, C] = matrix(node.inputs[0]!.type)
    const part = f(1 / N)
    const D = new Float32Array(N * C)
    let total = 0
    const shares = label instanceof Float32Array
    for (let n = 0; n < N; n++) {
      const row = (x as Float32Array).subarray(n * C, (n + 1) * C)
      const at = Number(label![n])
      if (!shares && (at < 0 || at >= C)) continue
      const max = row.reduce((m, v) => (m < v ? v : m), row[0])
      const e = row.map((v) => expf(f(v - max)))
      const sum = e.reduce((s, v) => f(s + v), 0)
      if (shares) {
        const wanted = label.subarray(n * C, (n + 1) * C)
        const all = wanted.reduce((s, t) => f(s + t), 0)
        const log = f(logf(sum))
        e.forEach((v, c) => {
          total = f(total + f(wanted[c] * f(log - f(row[c] - max))))
          D[n * C + c] = f(f(f(f(v / sum) * all) - wanted[c]) * part)
        })
        continue
      }
      e.forEach((v, c) => {
        D[n * C + c] = f(f(v / sum) * part)
      })
      D[n * C + at] -= part
      total = f(total + f(logf(sum) - f(row[at] - max)))
    }
    return [Float32Array.of(total * part), D]
  },

  lower,
  cost: (node) => costOf(node, 0),
}
