// Reproducible tensors: xorshift32 (Marsaglia 2003), the generator of the golden inputs. One generator runs on over all
// tensors it fills, in row-major order.

import { f32ToF16 } from '../loops/float.ts'
import { count, type Data, newData } from '../loops/ir.ts'
import { bitsOf, elemOf, type TensorType } from './graph.ts'

export class Xorshift32 {
  private state: number

  /** `seed` is the initial state; 0, which the generator cannot leave, becomes 1. */
  constructor(seed: number) {
    this.state = seed >>> 0 || 1
  }

  /** The next uint32. */
  next(): number {
    let x = this.state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.state = x >>> 0
    return this.state
  }

  /** A whole number in [lo, hi]. */
  between(lo: number, hi: number): number {
    return lo + (this.next() % (hi - lo + 1))
  }

  /**
   * Fills a tensor: int8, uint8 and less from the top 8 bits or less, int16 from the top 16, bool the top bit, f32 = int32 / 2^31 in
   * [-1, 1], f64 the same without rounding, f16 the nearest to the f32, i32 and i64 = x mod 4.
   */
  fill(type: TensorType): Data {
    const data = newData(elemOf(type.dtype) ?? 'u8', count(type.shape))
    for (let i = 0; i < data.length; i++) {
      const x = this.next()
      if (data instanceof BigInt64Array) data[i] = BigInt(x % 4)
      else if (data instanceof Float32Array || data instanceof Float64Array) data[i] = (x | 0) / 2 ** 31
      else if (data instanceof Uint16Array) data[i] = f32ToF16((x | 0) / 2 ** 31)
      else if (data instanceof Int32Array) data[i] = x % 4
      else if (data instanceof Int16Array) data[i] = x >>> 16
      else data[i] = x >>> (type.dtype === 'bool' ? 31 : 32 - bitsOf(type.dtype))
    }
    return data
  }
}
