// The LSTM in integers, as TensorFlow Lite Micro computes it: int8 or int16 activations, int8 weights, gates and cell in
// int16, each partial result rounded and saturated to 16 bits. Gates have scale 2^-12 before and 2^-15 after their
// activation. Sums of int16 are int64 and requantised with 16 bits of the multiplier.

import type { Node, Value } from '../../ir/graph.ts'
import type { Call } from '../../ir/op.ts'
import { requant } from '../../loops/arith.ts'
import * as L from '../../loops/build.ts'
import { type Buf, type Data, type Expr, newData } from '../../loops/ir.ts'
import { numbers, reduced, requantizeWide, requantizeWideExpr } from '../accumulate.ts'
import { elemOfValue, outputElem } from '../check.ts'
import { argumentOf, logistic16, logistic16Steps, logisticTable, tanh16, tanh16Steps } from '../curve.ts'
import { parameters } from '../parameters.ts'
import { quantizeMultiplier, rangeOf } from '../quant.ts'
import { Bindings } from './lower.ts'
import { type Recurrent, sizes } from './op.ts'

const GATE_SCALE = 2 ** -12
const UNIT = 2 ** -15

const saturate = (x: number) => Math.max(-32768, Math.min(32767, x))

/** Everything that scales and zero points decide. */
function constants(node: Node<Recurrent>) {
  const [x, w, r, , h, c] = (node.inputs as Value[]).map((v) => v?.type)
  const [sx, sh, sc] = [x, h, c].map((t) => t.quant!.scale[0])
  const wide = x.dtype === 'i16'
  const perGate = (s: number, weights: typeof w) =>
    Array.from(weights.quant!.scale, (sw) => {
      const m = quantizeMultiplier(Math.fround(s * sw) / GATE_SCALE)
      return wide ? reduced(m.multiplier, m.shift) : m
    })
  const { cellClip } = node.attrs
  return {
    wide,
    range: rangeOf(x.dtype),
    zx: x.quant!.zero[0],
    zh: h.quant!.zero[0],
    input: perGate(sx, w),
    recurrent: perGate(sh, r),
    forget: quantizeMultiplier((UNIT * sc) / sc),
    cell: quantizeMultiplier((UNIT * UNIT) / sc),
    hidden: quantizeMultiplier((UNIT * UNIT) / sh),
    clip: cellClip > 0 ? Math.trunc(saturate(Math.fround(cellClip) / sc)) : 32768,
    tanh: argumentOf(Math.log2(sc)),
  }
}

export function evalStored(node: Node<Recurrent>, inputs: readonly (Data | undefined)[]): Data[] {
  const [X, W, R] = inputs.slice(0, 3).map(numbers)
  const bias = inputs[3] && Float64Array.from(inputs[3] as ArrayLike<number | bigint>, Number)
  const h = (inputs[4] as Int8Array | Int16Array).slice()
  const c = (inputs[5] as Int16Array).slice()
  const { S, B, I, H } = sizes(node)
  const { batchFirst } = node.attrs
  const q = constants(node)
  const Y = numbers(newData(outputElem(node), S * B * H))
  const { min, max } = q.range
  const plus = (a: number, b: number) => (q.wide ? a + b : (a + b) | 0)
  const scaled = (a: number, m: { multiplier: number; shift: number }) =>
    saturate(q.wide ? requantizeWide(a, m) : requant(a, m.multiplier, m.shift))
  for (let t = 0; t < S; t++)
    for (let b = 0; b < B; b++) {
      const x = (batchFirst ? b * S + t : t * B + b) * I
      const before = h.slice(b * H, (b + 1) * H)
      const gate = (g: number, j: number): number => {
        const row = g * H + j
        let a = bias ? bias[row] : 0
        for (let k = 0; k < I; k++) a = plus(a, (X[x + k] - q.zx) * W[row * I + k])
        let r = 0
        for (let k = 0; k < H; k++) r = plus(r, (before[k] - q.zh) * R[row * H + k])
        return saturate(scaled(a, q.input[g]) + scaled(r, q.recurrent[g]))
      }
      for (let j = 0; j < H; j++) {
        const kept = saturate(requant(logistic16(gate(2, j)) * c[b * H + j], q.forget.multiplier, q.forget.shift))
        const product = logistic16(gate(0, j)) * tanh16(gate(3, j))
        const added = saturate(requant(product, q.cell.multiplier, q.cell.shift))
        const cell = Math.max(-q.clip, Math.min(q.clip, saturate(kept + added)))
        c[b * H + j] = cell
        const out = tanh16(cell, q.tanh) * logistic16(gate(1, j))
        const hidden = (q.zh + requant(out, q.hidden.multiplier, q.hidden.shift)) | 0
        h[b * H + j] = Math.max(min, Math.min(max, hidden))
      }
      Y.set(h.subarray(b * H, (b + 1) * H), (batchFirst ? b * S + t : t * B + b) * H)
    }
  return [Y, h, c]
}

/** No sum of `terms` products of an int8 difference and an int8 weight, plus a bias, leaves int32. */
function fits(terms: number, bias: Value | undefined): boolean {
  if (bias && bias.storage !== 'const') return false
  const most = bias ? (bias.data as Int32Array).reduce((m, v) => Math.max(m, Math.abs(v)), 0) : 0
  return most + terms * 255 * 128 < 2 ** 31
}

export function lowerStored(node: Node<Recurrent>): Call {
  const [x, w, r, bias, h0, c0] = node.inputs as Value[]
  const { S, B, I, H } = sizes(node)
  const { batchFirst } = node.attrs
  const q = constants(node)
  const bind = new Bindings()
  const data = (name: string, elem: Buf['elem'], values: Data) =>
    bind.add(L.buffer(name, elem, [values.length]), { data: values })
  const elem = outputElem(node)
  const { min, max } = q.range
  const X = bind.add(L.buffer('x', elem, batchFirst ? [B, S, I] : [S, B, I]), { value: x })
  const W = bind.add(L.buffer('w', 'i8', [4, H, I]), { value: w })
  const R = bind.add(L.buffer('r', 'i8', [4, H, H]), { value: r })
  const BIAS = bias && bind.add(L.buffer('bias', elemOfValue(bias), [4, H]), { value: bias })
  const H0 = bind.add(L.buffer('h0', elem, [B, H]), { value: h0 })
  const C0 = bind.add(L.buffer('c0', 'i16', [B, H]), { value: c0 })
  const multiplierX = data(
    'mx',
    'i32',
    Int32Array.from(q.input, (m) => m.multiplier),
  )
  const shiftX = data(
    'sx',
    'i8',
    Int8Array.from(q.input, (m) => m.shift),
  )
  const multiplierH = data(
    'mh',
    'i32',
    Int32Array.from(q.recurrent, (m) => m.multiplier),
  )
  const shiftH = data(
    'sh',
    'i8',
    Int8Array.from(q.recurrent, (m) => m.shift),
  )
  const table = data('table', 'i32', logisticTable())
  const p = parameters('q', 'i32', {
    zx: q.zx,
    zh: q.zh,
    mf: q.forget.multiplier,
    sf: q.forget.shift,
    mc: q.cell.multiplier,
    sc: q.cell.shift,
    mo: q.hidden.multiplier,
    so: q.hidden.shift,
    clip: q.clip,
    mt: q.tanh.multiplier,
    st: q.tanh.shift,
    half: q.tanh.shift > 0 ? 2 ** (q.tanh.shift - 1) : 0,
  })
  bind.add(p.bufs[0], p.args[0])
  const Y = bind.add(L.buffer('y', elem, batchFirst ? [B, S, H] : [S, B, H], 'write'), { value: node.outputs[0] })
  const YH = bind.add(L.buffer('h', elem, [B, H], 'write'), { value: node.outputs[1] })
  const YC = bind.add(L.buffer('c', 'i16', [B, H], 'write'), { value: node.outputs[2] })
  const GATE = bind.add(L.buffer('gate', 'i16', [4, H], 'scratch'), { scratch: true })

  const saturated = (e: Expr) => L.clamp(e, -32768, 32767)
  const addX = q.wide || fits(I, bias) ? 'add' : 'wadd'
  const addH = q.wide || fits(H, undefined) ? 'add' : 'wadd'
  const first = L.loops(['fb', 'fj'], [B, H], (b, j) => [
    L.store(YH, [b, j], L.load(H0, b, j)),
    L.store(YC, [b, j], L.load(C0, b, j)),
  ])
  const steps = L.loop('t', S, (t) =>
    L.loop('b', B, (b) => {
      const at = (last: Expr) => (batchFirst ? [b, t, last] : [t, b, last])
      const gates = L.loops(['g', 'n'], [4, H], (g, n) => {
        const zero = q.wide ? L.long(0) : L.int(0)
        const [startX, ax] = L.declare('ax', BIAS ? L.load(BIAS, g, n) : zero)
        const [startH, ah] = L.declare('ah', zero)
        const scaled = q.wide ? requantizeWideExpr : L.requant
        const fromX = scaled(ax, L.load(multiplierX, g), L.load(shiftX, g))
        const fromH = scaled(ah, L.load(multiplierH, g), L.load(shiftH, g))
        const product = (v: Expr, zeroPoint: Expr, weight: Expr) =>
          q.wide ? L.op('extend', L.mul(v, weight)) : L.mul(L.sub(v, zeroPoint), weight)
        return [
          startX,
          L.loop('i', I, (i) => L.set(ax, L.op(addX, ax, product(L.load(X, ...at(i)), p.of.zx, L.load(W, g, n, i))))),
          startH,
          L.loop('k', H, (k) => L.set(ah, L.op(addH, ah, product(L.load(YH, b, k), p.of.zh, L.load(R, g, n, k))))),
          L.store(GATE, [g, n], saturated(L.add(saturated(fromX), saturated(fromH)))),
        ]
      })
      const update = L.parallel('j', H, (j) => {
        const [is, i] = logistic16Steps(table, L.load(GATE, 0, j), 'gi')
        const [os, o] = logistic16Steps(table, L.load(GATE, 1, j), 'go')
        const [fs, f] = logistic16Steps(table, L.load(GATE, 2, j), 'gf')
        const [gs, g] = tanh16Steps(table, L.load(GATE, 3, j), 'gg')
        const kept = saturated(L.requant(L.mul(f, L.load(YC, b, j)), p.of.mf, p.of.sf))
        const added = saturated(L.requant(L.mul(i, g), p.of.mc, p.of.sc))
        const [keepCell, cell] = L.declare(
          'cell',
          L.clamp(saturated(L.add(kept, added)), L.op('neg', p.of.clip), p.of.clip),
        )
        const [ts, tanh] = tanh16Steps(table, cell, 'gt', { multiplier: p.of.mt, shift: p.of.st, half: p.of.half })
        const hidden = L.op('wadd', L.requant(L.mul(tanh, o), p.of.mo, p.of.so), p.of.zh)
        return [
          ...is,
          ...fs,
          ...gs,
          keepCell,
          ...os,
          ...ts,
          L.store(YC, [b, j], cell),
          L.store(YH, [b, j], L.clamp(hidden, min, max)),
        ]
      })
      return [gates, update, L.parallel('yj', H, (j) => L.store(Y, at(j), L.load(YH, b, j)))]
    }),
  )
  return { kernel: L.kernel(q.wide ? 'lstm_int16' : 'lstm_int8', bind.bufs, ...p.head, first, steps), args: bind.args }
}
