// What a layer's products look like at sampled positions of its output: second moments of the inputs that the quantised model
// gives it, and how these and the wanted sums (the float32 model's) vary together. From these alone follow the mean error
// of each channel and the squared error of any rounding of the weights.

import type { Node } from '../../ir/graph.ts'
import type { Xorshift32 } from '../../ir/random.ts'
import { count } from '../../loops/ir.ts'
import { formOf } from './rewrite.ts'

/** Output channels that have the same inputs, and the weights of each in the order of these inputs. */
export interface Group {
  readonly channels: readonly number[]
  /** [channel of the group][input] */
  readonly weights: readonly Int32Array[]
}

/** The groups of a layer. Throws our own fault where the node has no products. */
export function groupsOf(node: Node): Group[] {
  const sums = formOf(node)!.weights!
  const w = node.inputs[sums.input]!
  const C = w.type.shape[sums.axis]
  const groups = new Map<string, { channels: number[]; weights: Int32Array[] }>()
  for (let o = 0; o < C; o++) {
    const weights: number[] = []
    const inputs: number[] = []
    sums.products!(0, o, (weight, channel) => {
      weights.push(weight)
      inputs.push(channel)
    })
    // Windows are alike for all channels: the same input channels are the same inputs.
    const key = `${inputs[0]} ${inputs.at(-1)} ${inputs.length}`
    const group = groups.get(key)
    if (group) {
      group.channels.push(o)
      group.weights.push(Int32Array.from(weights))
    } else groups.set(key, { channels: [o], weights: [Int32Array.from(weights)] })
  }
  return [...groups.values()]
}

/** The rows of the output that are looked at in each sample, about `wanted` in all. */
export function positions(node: Node, samples: number, wanted: number, random: Xorshift32): Int32Array[] {
  const y = node.outputs[0].type.shape
  const rows = count(y) / y.at(-1)!
  const each = Math.max(1, Math.min(rows, Math.round(wanted / samples)))
  return Array.from({ length: samples }, () =>
    each === rows
      ? Int32Array.from({ length: rows }, (_, i) => i)
      : Int32Array.from({ length: each }, () => random.between(0, rows - 1)),
  )
}

/** Sums over positions, for one group of K inputs and O channels. */
export class Moments {
  readonly group: Group
  readonly K: number
  n = 0
  /** Of inputs, and of the products of two of them (symmetric, K x K). */
  readonly sum: Float64Array
  readonly square: Float64Array
  /** Of what is wanted less what the float32 weights make of the quantised inputs, and that times the inputs, [O][K]. */
  readonly residual: Float64Array
  readonly cross: readonly Float64Array[]
  private readonly real: readonly Float64Array[]
  private readonly squares: boolean

  /** `squares`: whether second moments are wanted, or means alone. */
  constructor(node: Node, group: Group, squares: boolean) {
    const W = node.inputs[formOf(node)!.weights!.input]!.data as Float32Array
    this.group = group
    this.K = group.weights[0].length
    this.squares = squares
    this.sum = new Float64Array(this.K)
    this.square = new Float64Array(squares ? this.K * this.K : 0)
    this.residual = new Float64Array(group.channels.length)
    this.cross = group.channels.map(() => new Float64Array(squares ? this.K : 0))
    this.real = group.weights.map((indices) => Float64Array.from(indices, (i) => W[i]))
  }

  /** Inputs at one position, and the wanted sums without bias of the group's channels. */
  add(x: Float64Array, wanted: Float64Array): void {
    const { K, sum, square, residual, cross, real } = this
    this.n++
    for (let k = 0; k < K; k++) sum[k] += x[k]
    for (let o = 0; o < real.length; o++) {
      const w = real[o]
      let r = wanted[o]
      for (let k = 0; k < K; k++) r -= w[k] * x[k]
      residual[o] += r
      if (!this.squares) continue
      const c = cross[o]
      for (let k = 0; k < K; k++) c[k] += r * x[k]
    }
    if (!this.squares) return
    for (let i = 0; i < K; i++) {
      const xi = x[i]
      if (xi === 0) continue
      for (let j = 0, at = i * K; j <= i; j++) square[at + j] += xi * x[j]
    }
  }

  /**
   * Mean products of inputs, and of residuals and inputs; without their means where the bias takes these over (`centred`).
   * Symmetric and full.
   */
  quadratic(centred: boolean): { C: Float64Array; R: readonly Float64Array[] } {
    const { K, n, sum, square, residual, cross } = this
    const C = new Float64Array(K * K)
    for (let i = 0; i < K; i++)
      for (let j = 0; j <= i; j++) {
        const v = square[i * K + j] / n - (centred ? (sum[i] / n) * (sum[j] / n) : 0)
        C[i * K + j] = v
        C[j * K + i] = v
      }
    const R = cross.map((c, o) => c.map((v, k) => v / n - (centred ? (residual[o] / n) * (sum[k] / n) : 0)))
    return { C, R }
  }

  /** The mean error of each channel of the group with weights off by `off` [channel][input]: to be added to its bias. */
  meanError(off: readonly Float64Array[]): Float64Array {
    const { sum, residual, n } = this
    return residual.map((r, o) => (r - off[o].reduce((s, d, k) => s + d * sum[k], 0)) / n)
  }
}
