// The meaning of the f32 recurrent layers, every step rounded to float32. Sums run over the elements in order; biases are
// added to the finished sums.

import type { Node } from '../../ir/graph.ts'
import { logisticf, tanhf } from '../../loops/float.ts'
import type { Data } from '../../loops/ir.ts'
import { type Activation, isReverse, type Kind, type Recurrent, sizes } from './op.ts'

const f = Math.fround

function activate(name: Activation, x: number): number {
  if (name === 'sigmoid') return logisticf(x)
  return name === 'tanh' ? tanhf(x) : Math.max(0, x)
}

function dot(w: Float32Array, at: number, x: ArrayLike<number>, from: number, n: number): number {
  let acc = 0
  for (let k = 0; k < n; k++) acc = f(acc + f(x[from + k] * w[at + k]))
  return acc
}

export function evalFloat(node: Node<Recurrent>, inputs: readonly (Data | undefined)[]): Data[] {
  const [X, W, R, bias, h0, c0, P] = inputs as (Float32Array | undefined)[] as Float32Array[]
  const { S, B, I, H, D, G } = sizes(node)
  const { attrs } = node
  const { batchFirst, linearBeforeReset, cellClip } = attrs
  const kind = node.op.name as Kind
  const Y = new Float32Array(S * B * D * H)
  const lastH = new Float32Array(B * D * H)
  const lastC = new Float32Array(B * D * H)
  const each = attrs.activations.length / D

  for (let d = 0; d < D; d++)
    for (let b = 0; b < B; b++) {
      const act = (k: number, x: number) => activate(attrs.activations[d * each + k], x)
      const at = (batchFirst ? b * D + d : d * B + b) * H
      const h = h0 ? h0.slice(at, at + H) : new Float32Array(H)
      const c = c0 ? c0.slice(at, at + H) : new Float32Array(H)
      const wb = (g: number, j: number) => (bias ? bias[(d * 2 * G + g) * H + j] : 0)
      const rb = (g: number, j: number) => (bias ? bias[((d * 2 + 1) * G + g) * H + j] : 0)
      const peep = (k: number, j: number, cell: number) => f(P[(d * 3 + k) * H + j] * cell)
      for (let s = 0; s < S; s++) {
        const t = isReverse(attrs, d) ? S - 1 - s : s
        const x = (batchFirst ? b * S + t : t * B + b) * I
        const fromX = (g: number, j: number) => {
          const sum = dot(W, ((d * G + g) * H + j) * I, X, x, I)
          return bias ? f(sum + wb(g, j)) : sum
        }
        const fromH = (g: number, j: number, states: Float32Array) => {
          const sum = dot(R, ((d * G + g) * H + j) * H, states, 0, H)
          return bias ? f(sum + rb(g, j)) : sum
        }
        const old = h.slice()
        const gate = (g: number, j: number, states = old) => f(fromX(g, j) + fromH(g, j, states))
        const reset = kind === 'gru' ? old.map((v, j) => f(act(0, gate(1, j)) * v)) : old
        for (let j = 0; j < H; j++) {
          if (kind === 'lstm') {
            const before = c[j]
            const with_ = (g: number, k: number, cell: number) => (P ? f(gate(g, j) + peep(k, j, cell)) : gate(g, j))
            const i = act(0, with_(0, 0, before))
            const forget = act(0, with_(2, 2, before))
            let cell = f(f(forget * before) + f(i * act(1, gate(3, j))))
            if (cellClip > 0) cell = Math.max(-f(cellClip), Math.min(f(cellClip), cell))
            c[j] = cell
            h[j] = f(act(0, with_(1, 1, cell)) * act(2, cell))
          } else if (kind === 'gru') {
            const z = act(0, gate(0, j))
            const candidate = linearBeforeReset
              ? f(fromX(2, j) + f(act(0, gate(1, j)) * fromH(2, j, old)))
              : gate(2, j, reset)
            h[j] = f(f(f(1 - z) * act(1, candidate)) + f(z * old[j]))
          } else h[j] = act(0, gate(0, j))
        }
        Y.set(h, (batchFirst ? (b * S + t) * D + d : (t * D + d) * B + b) * H)
      }
      lastH.set(h, at)
      lastC.set(c, at)
    }
  return kind === 'lstm' ? [Y, lastH, lastC] : [Y, lastH]
}
