// Random models of real operators: branches, residuals, explicit pads, activations of their own, quantise/dequantise
// pairs, several outputs. What the passes look for occurs often, and so does what merely looks like it.

import { type Graph, type Quant, quantOf, sameShape, type TensorType, type Value } from '../../src/ir/graph.ts'
import * as ops from '../../src/ops/all.ts'
import { CaseBuilder } from '../../src/ops/case.ts'
import type { Clamp } from '../../src/ops/quant.ts'

const CLAMPS: readonly Clamp[] = [{}, { min: 0 }, { min: 0, max: 6 }, { min: -1, max: 1 }]

class RandomNet {
  readonly b: CaseBuilder
  readonly pool: Value[] = []

  constructor(seed: number) {
    this.b = new CaseBuilder(`random ${seed}`, seed)
  }

  private chance(percent: number): boolean {
    return this.b.random.between(1, 100) <= percent
  }

  private pick<T>(list: readonly T[]): T {
    return list[this.b.random.between(0, list.length - 1)]
  }

  private quant(like: TensorType): Quant | undefined {
    return like.quant && quantOf(this.pick([0.02, 0.05, 0.11, 0.3]), this.b.random.between(-128, 127))
  }

  private filter(shape: readonly number[], like: TensorType, axis: number): Value {
    return like.quant ? this.b.weights('w', shape, 0.01, this.chance(70) ? axis : undefined) : this.b.floats('w', shape)
  }

  private bias(n: number, like: TensorType): Value | undefined {
    if (this.chance(25)) return undefined
    if (!like.quant) return this.b.floats('b', [n])
    const { data } = this.b.bias('given', n, 3000)
    const saturating = (data as Int32Array).map((b) => (b % 4 === 0 ? Math.sign(b) * 2 ** 29 : b))
    return this.b.const('b', { dtype: 'i32', shape: [n] }, saturating)
  }

  private padded(x: Value): Value {
    const zero = x.type.quant?.zero[0] ?? 0
    const value = this.chance(80) ? zero : x.type.quant ? Math.max(-128, zero - 1) : 0.5
    const attrs = { low: [0, 1, 1, 0], high: [0, 1, this.b.random.between(0, 1), 0], value }
    return this.b.one(ops.pad, [x], attrs, { quant: x.type.quant })
  }

  private image(x: Value): Value {
    const { b } = this
    const wide = this.chance(35) ? this.padded(x) : x
    const [, h, w, c] = wide.type.shape
    const kernel = [Math.min(h, this.pick([1, 1, 2, 3])), Math.min(w, this.pick([1, 1, 2, 3]))]
    const stride = this.pick([
      [1, 1],
      [1, 1],
      [2, 2],
      [1, 2],
    ])
    const pad = this.chance(50) ? [0, 0, 0, 0] : [kernel[0] >> 1, kernel[1] >> 1, kernel[0] >> 1, kernel[1] >> 1]
    const window = { stride, dilation: [1, 1], pad, clamp: this.pick(CLAMPS) }
    const quant = this.quant(x.type)
    switch (b.random.between(0, 5)) {
      case 0:
      case 1: {
        const o = this.pick([3, 4, 8, c])
        const filter = this.filter([o, ...kernel, c], x.type, 0)
        return b.one(ops.conv2d, [wide, filter, this.bias(o, x.type)], { ...window, groups: 1 }, { quant })
      }
      case 2: {
        const filter = this.filter([1, ...kernel, c], x.type, 3)
        return b.one(ops.depthwiseConv2d, [wide, filter, this.bias(c, x.type)], window, { quant })
      }
      case 3:
      case 4: {
        const op = this.pick([ops.averagePool2d, ops.maxPool2d])
        const attrs = { kernel, stride, pad: [0, 0, 0, 0], clamp: this.pick(CLAMPS) }
        return b.one(op, [wide], attrs, { quant: x.type.quant })
      }
      default: {
        const size = [this.b.random.between(1, 6), this.b.random.between(1, 6)]
        const attrs = { size, alignCorners: false, halfPixelCenters: this.chance(50) }
        return b.one(ops.resizeNearest, [x], attrs, { quant: x.type.quant })
      }
    }
  }

  private elementwise(x: Value): Value {
    const { b } = this
    const mates = this.pool.filter((v) => v.type.dtype === x.type.dtype && sameShape(v.type.shape, x.type.shape))
    const last = x.type.shape.at(-1)!
    switch (b.random.between(0, 6)) {
      case 0:
      case 1: {
        const op = this.pick([ops.add, ops.add, ops.sub, ops.mul])
        const y = this.pick(mates)
        return b.one(op, [x, y], { clamp: this.pick(CLAMPS) }, { quant: this.quant(x.type) })
      }
      case 2: {
        const c = x.type.quant
          ? b.const(
              'k',
              { dtype: 'i8', shape: [last], quant: quantOf(0.1, 3) },
              Int8Array.from({ length: last }, () => b.random.between(-128, 127)),
            )
          : b.floats('k', [last])
        const term = this.chance(30) ? b.one(ops.clamp, [c], { min: 0 }, { quant: c.type.quant }) : c
        return b.one(ops.add, [x, term], { clamp: {} }, { quant: this.quant(x.type) })
      }
      case 3:
        return b.one(ops.clamp, [x], this.pick(CLAMPS), { quant: this.chance(70) ? x.type.quant : this.quant(x.type) })
      case 4: {
        const op = this.pick([ops.logistic, ops.tanh])
        return b.one(op, [x], {})
      }
      case 5: {
        if (x.type.quant) {
          const real = b.one(ops.dequantize, [x], {})
          const back = this.chance(60) ? x.type.quant : this.quant(x.type)
          return this.chance(70) ? b.one(ops.quantize, [real], { dtype: 'i8' }, { quant: back }) : real
        }
        return b.one(ops.quantize, [x], { dtype: 'i8' }, { quant: quantOf(1 / 64, this.b.random.between(-20, 20)) })
      }
      default:
        return b.one(ops.softmax, [x], { beta: 1 })
    }
  }

  private shaped(x: Value): Value {
    const { b } = this
    const { shape } = x.type
    switch (b.random.between(0, 3)) {
      case 0: {
        const flat = [shape[0], shape.slice(1).reduce((p, d) => p * d, 1)]
        return b.one(ops.reshape, [x], { shape: flat }, { quant: x.type.quant })
      }
      case 1: {
        const perm = shape.map((_, i) => i)
        for (let i = perm.length - 1; i > 0; i--) {
          const j = b.random.between(0, i)
          ;[perm[i], perm[j]] = [perm[j], perm[i]]
        }
        return b.one(ops.transpose, [x], { perm }, { quant: x.type.quant })
      }
      case 2: {
        const axes = shape.length === 4 ? this.pick([[1, 2], [1], [3]]) : [shape.length - 1]
        return b.one(
          ops.mean,
          [x],
          { axes, keepDims: true },
          { quant: this.chance(50) ? x.type.quant : this.quant(x.type) },
        )
      }
      default:
        return b.one(ops.concat, [x, x], { axis: shape.length - 1 }, { quant: x.type.quant })
    }
  }

  private dense(x: Value): Value {
    const k = x.type.shape.slice(1).reduce((p, d) => p * d, 1)
    const n = this.pick([3, 4, 10])
    const filter = this.filter([n, k], x.type, 0)
    const attrs = { clamp: this.pick(CLAMPS), keepDims: false }
    return this.b.one(ops.fullyConnected, [x, filter, this.bias(n, x.type)], attrs, { quant: this.quant(x.type) })
  }

  private grow(): Value {
    const x = this.chance(65) ? this.pool.at(-1)! : this.pick(this.pool)
    const kind = this.b.random.between(1, 100)
    if (x.type.shape.length === 4 && kind <= 55) return this.image(x)
    if (kind <= 80) return this.elementwise(x)
    return kind <= 90 && x.type.shape.length <= 4 ? this.shaped(x) : this.dense(x)
  }

  build(): Graph {
    const { b } = this
    const inputs = this.chance(80) ? 1 : 2
    for (let i = 0; i < inputs; i++) {
      const shape = [1, b.random.between(3, 8), b.random.between(3, 8), this.pick([1, 3, 8])]
      const type: TensorType = this.chance(60)
        ? { dtype: 'i8', shape, quant: quantOf(0.05, b.random.between(-128, 127)) }
        : { dtype: 'f32', shape }
      this.pool.push(b.input(`x${i}`, type))
    }
    const size = b.random.between(2, 12)
    for (let i = 0; i < size; i++) {
      const v = this.grow()
      if (v.type.shape.reduce((p, d) => p * d, 1) <= 4096) this.pool.push(v)
    }
    const computed = this.pool.slice(inputs)
    const outputs = new Set([computed.at(-1) ?? this.pool[0]])
    if (computed.length > 1 && this.chance(30)) outputs.add(this.pick(computed))
    return b.graph([...outputs])
  }
}

/** A model that verifies, the same for the same seed. */
export function randomGraph(seed: number): Graph {
  return new RandomNet(seed).build()
}
