// The loops of the f32 recurrent layers. The outputs for the last states hold the running ones; the gates' sums of one
// step and row of the batch stand in scratch.

import type { Node } from '../../ir/graph.ts'
import type { Arg, Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import type { Buf, Expr, Stmt } from '../../loops/ir.ts'
import * as expressions from '../../loops/math.ts'
import { parameters } from '../parameters.ts'
import { isReverse, type Kind, type Recurrent, sizes } from './op.ts'

/** What a kernel is bound to, collected as its buffers are made. */
export class Bindings {
  readonly bufs: Buf[] = []
  readonly args: Arg[] = []

  add(buf: Buf, arg: Arg): Buf {
    this.bufs.push(buf)
    this.args.push(arg)
    return buf
  }
}

export function lowerFloat(node: Node<Recurrent>): Call {
  const { S, B, I, H, D, G } = sizes(node)
  const { attrs } = node
  const { batchFirst, linearBeforeReset, cellClip } = attrs
  const kind = node.op.name as Kind
  const [x, w, r, bias, h0, c0, p] = node.inputs
  const bind = new Bindings()
  const states = batchFirst ? [B, D, H] : [D, B, H]
  const read = (name: string, shape: number[], value = x) => bind.add(L.buffer(name, 'f32', shape), { value: value! })
  const write = (name: string, shape: number[], i: number) =>
    bind.add(L.buffer(name, 'f32', shape, 'write'), { value: node.outputs[i] })
  const scratch = (name: string, shape: number[]) =>
    bind.add(L.buffer(name, 'f32', shape, 'scratch'), { scratch: true })

  const X = read('x', batchFirst ? [B, S, I] : [S, B, I])
  const W = read('w', [D, G, H, I], w)
  const R = read('r', [D, G, H, H], r)
  const BIAS = bias && read('bias', [D, 2, G, H], bias)
  const H0 = h0 && read('h0', states, h0)
  const C0 = c0 && read('c0', states, c0)
  const P = p && read('p', [D, 3, H], p)
  const clips = parameters(
    'clip',
    'f32',
    cellClip > 0 ? { low: -cellClip, high: cellClip } : ({} as { low: 0; high: 0 }),
  )
  clips.bufs.forEach((buf, i) => {
    bind.add(buf, clips.args[i])
  })
  const Y = write('y', batchFirst ? [B, S, D, H] : [S, D, B, H], 0)
  const YH = write('h', states, 1)
  const YC = kind === 'lstm' ? write('c', states, 2) : undefined
  const rows = kind === 'gru' && linearBeforeReset ? 4 : G
  const GATE = scratch('gate', [rows, H])
  const RESET = kind === 'gru' && !linearBeforeReset ? scratch('reset', [H]) : undefined

  const direction = (d: number): Stmt[] => {
    const at = (b: Expr, j: Expr) => (batchFirst ? [b, d, j] : [d, b, j])
    const each = attrs.activations.length / D

    const activated = (k: number, v: Expr, name: string): readonly [readonly Stmt[], Expr] => {
      const which = attrs.activations[d * each + k]
      if (which === 'relu') return [[], L.max(v, L.float(0))]
      return (which === 'sigmoid' ? expressions.logisticf : expressions.tanhf)(v, `${name}${d}`)
    }
    const sum = (name: string, n: number, product: (k: Expr) => Expr): [Stmt[], Expr] => {
      const [start, acc] = L.declare(`${name}${d}`, L.float(0))
      return [[start, L.loop(`${name}k${d}`, n, (k) => L.set(acc, L.add(acc, product(k))))], acc]
    }
    const fromX = (name: string, t: Expr, b: Expr, g: Expr | number, j: Expr): [Stmt[], Expr] => {
      const [stmts, acc] = sum(`${name}x`, I, (k) =>
        L.mul(batchFirst ? L.load(X, b, t, k) : L.load(X, t, b, k), L.load(W, d, g, j, k)),
      )
      return [stmts, BIAS ? L.add(acc, L.load(BIAS, d, 0, g, j)) : acc]
    }
    const fromH = (name: string, state: (k: Expr) => Expr, g: Expr | number, j: Expr): [Stmt[], Expr] => {
      const [stmts, acc] = sum(`${name}h`, H, (k) => L.mul(state(k), L.load(R, d, g, j, k)))
      return [stmts, BIAS ? L.add(acc, L.load(BIAS, d, 1, g, j)) : acc]
    }
    /** Rows 0 to n - 1 of the scratch: the whole sums of that many gates. */
    const gates = (t: Expr, b: Expr, n: number): Stmt =>
      L.loops([`g${d}`, `n${d}`], [n, H], (g, j) => {
        const [xs, sx] = fromX('g', t, b, g, j)
        const [hs, sh] = fromH('g', (k) => L.load(YH, ...at(b, k)), g, j)
        return [...xs, ...hs, L.store(GATE, [g, j], L.add(sx, sh))]
      })

    const lstmStep = (t: Expr, b: Expr): Stmt[] => [
      gates(t, b, 4),
      L.parallel(`j${d}`, H, (j) => {
        const [keepC, c] = L.declare(`was${d}`, L.load(YC!, ...at(b, j)))
        const withCell = (g: number, k: number, cell: Expr) => {
          const v = L.load(GATE, g, j)
          return P ? L.add(v, L.mul(L.load(P, d, k, j), cell)) : v
        }
        const [is, i] = activated(0, withCell(0, 0, c), 'i')
        const [fs, f] = activated(0, withCell(2, 2, c), 'f')
        const [gs, g] = activated(1, L.load(GATE, 3, j), 'a')
        const next = L.add(L.mul(f, c), L.mul(i, g))
        const [keepCell, cell] = L.declare(
          `cell${d}`,
          cellClip > 0 ? L.max(L.min(next, clips.of.high), clips.of.low) : next,
        )
        const [os, o] = activated(0, withCell(1, 1, cell), 'o')
        const [ts, tanh] = activated(2, cell, 't')
        return [
          keepC,
          ...is,
          ...fs,
          ...gs,
          keepCell,
          ...os,
          ...ts,
          L.store(YC!, at(b, j), cell),
          L.store(YH, at(b, j), L.mul(o, tanh)),
        ]
      }),
    ]
    const gruStep = (t: Expr, b: Expr): Stmt[] => {
      const state = (k: Expr) => L.load(YH, ...at(b, k))
      const candidate = RESET
        ? [
            L.parallel(`q${d}`, H, (j) => {
              const [rs, reset] = activated(0, L.load(GATE, 1, j), 'q')
              return [...rs, L.store(RESET, [j], L.mul(reset, state(j)))]
            }),
            L.parallel(`m${d}`, H, (j) => {
              const [xs, sx] = fromX('m', t, b, 2, j)
              const [hs, sh] = fromH('m', (k) => L.load(RESET, k), 2, j)
              return [...xs, ...hs, L.store(GATE, [2, j], L.add(sx, sh))]
            }),
          ]
        : [
            L.parallel(`m${d}`, H, (j) => {
              const [xs, sx] = fromX('m', t, b, 2, j)
              const [hs, sh] = fromH('m', state, 2, j)
              return [...xs, ...hs, L.store(GATE, [2, j], sx), L.store(GATE, [3, j], sh)]
            }),
          ]
      return [
        gates(t, b, 2),
        ...candidate,
        L.parallel(`j${d}`, H, (j) => {
          const [zs, z] = activated(0, L.load(GATE, 0, j), 'z')
          const [keepZ, zr] = L.declare(`update${d}`, z)
          const [rs, reset] = RESET ? [[], L.float(0)] : activated(0, L.load(GATE, 1, j), 's')
          const v = RESET ? L.load(GATE, 2, j) : L.add(L.load(GATE, 2, j), L.mul(reset, L.load(GATE, 3, j)))
          const [as, a] = activated(1, v, 'a')
          const next = L.add(L.mul(L.op('sub', L.float(1), zr), a), L.mul(zr, state(j)))
          return [...zs, keepZ, ...rs, ...as, L.store(YH, at(b, j), next)]
        }),
      ]
    }
    const rnnStep = (t: Expr, b: Expr): Stmt[] => [
      gates(t, b, 1),
      L.parallel(`j${d}`, H, (j) => {
        const [as, a] = activated(0, L.load(GATE, 0, j), 'a')
        return [...as, L.store(YH, at(b, j), a)]
      }),
    ]
    const step = { lstm: lstmStep, gru: gruStep, rnn: rnnStep }[kind]

    return [
      L.loops([`fb${d}`, `fj${d}`], [B, H], (b, j) => [
        L.store(YH, at(b, j), H0 ? L.load(H0, ...at(b, j)) : L.float(0)),
        ...(YC ? [L.store(YC, at(b, j), C0 ? L.load(C0, ...at(b, j)) : L.float(0))] : []),
      ]),
      L.loop(`s${d}`, S, (s) =>
        L.loop(`b${d}`, B, (b) => {
          const t = isReverse(attrs, d) ? L.op('sub', S - 1, s) : s
          return [
            ...step(t, b),
            L.parallel(`y${d}`, H, (j) =>
              L.store(Y, batchFirst ? [b, t, d, j] : [t, d, b, j], L.load(YH, ...at(b, j))),
            ),
          ]
        }),
      ),
    ]
  }

  const body = Array.from({ length: D }, (_, d) => direction(d)).flat()
  return { kernel: L.kernel(kind, bind.bufs, ...clips.head, ...body), args: bind.args }
}
