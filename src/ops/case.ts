// Cases worth testing: each operator family lists small graphs, and the conformance tests run each on every runner
// against `eval`. Constants come from the case's own seed, inputs from the test's.

import { Builder } from '../ir/build.ts'
import { type Graph, type Quant, quantOf, type TensorType, type Value } from '../ir/graph.ts'
import { Xorshift32 } from '../ir/random.ts'
import { count } from '../loops/ir.ts'

/** One graph, usually of one node. `name` says what is special about it. */
export interface OpCase {
  readonly name: string
  graph(): Graph
}

/** A builder that also makes random constants. */
export class CaseBuilder extends Builder {
  readonly random: Xorshift32

  constructor(name: string, seed = 1) {
    super(name)
    this.random = new Xorshift32(seed * 2654435761)
  }

  /** Random int8 weights in [-127, 127] with one scale, or one for each slice of `axis`. */
  weights(name: string, shape: readonly number[], scale: number, axis?: number): Value {
    const data = Int8Array.from({ length: count(shape) }, () => this.random.between(-127, 127))
    const scales = Float64Array.from({ length: axis === undefined ? 1 : shape[axis] }, () =>
      Math.fround(scale * (0.5 + this.random.next() / 2 ** 32)),
    )
    const quant: Quant = { scale: scales, zero: new Int32Array(scales.length), ...(axis !== undefined && { axis }) }
    return this.const(name, { dtype: 'i8', shape, quant }, data)
  }

  /** The same of so many bits. */
  shortWeights(name: string, shape: readonly number[], scale: number, bits: 4 | 2, axis: number): Value {
    const { type, data } = this.weights(`${name}/bytes`, shape, scale, axis)
    const short = (data as Int8Array).map((w) => w >> (8 - bits))
    return this.const(name, { ...type, quant: { ...type.quant!, bits } }, short)
  }

  /** Random int8 weights with a zero point, as uint8 weights become. */
  asymmetricWeights(name: string, shape: readonly number[], scale: number, zero: number): Value {
    const data = Int8Array.from({ length: count(shape) }, () => this.random.between(-128, 127))
    return this.const(name, { dtype: 'i8', shape, quant: quantOf(scale, zero) }, data)
  }

  /** Random int32 biases in [-limit, limit]. */
  bias(name: string, n: number, limit = 20000): Value {
    return this.const(
      name,
      { dtype: 'i32', shape: [n] },
      Int32Array.from({ length: n }, () => this.random.between(-limit, limit)),
    )
  }

  /** Random int64 biases in [-limit, limit]. */
  longBias(name: string, n: number, limit = 2 ** 30): Value {
    const data = BigInt64Array.from({ length: n }, () => BigInt(this.random.between(-limit, limit)))
    return this.const(name, { dtype: 'i64', shape: [n] }, data)
  }

  /** Random float32 constants in [-1, 1]. */
  floats(name: string, shape: readonly number[]): Value {
    const type: TensorType = { dtype: 'f32', shape }
    return this.const(name, type, this.random.fill(type))
  }
}

/** Shorthand for an int8 tensor type. */
export function i8(shape: readonly number[], scale: number, zero: number): TensorType {
  return { dtype: 'i8', shape, quant: quantOf(scale, zero) }
}

/** Shorthand for an int16 tensor type. */
export function i16(shape: readonly number[], scale: number): TensorType {
  return { dtype: 'i16', shape, quant: quantOf(scale, 0) }
}

/** Shorthand for a float32 tensor type. */
export function f32(shape: readonly number[]): TensorType {
  return { dtype: 'f32', shape }
}

/** A case: `make` is given a fresh builder and returns the graph's outputs. */
export function opCase(name: string, make: (b: CaseBuilder) => Value | readonly Value[]): OpCase {
  return {
    name,
    graph() {
      const b = new CaseBuilder(name)
      return b.graph([make(b)].flat())
    },
  }
}
