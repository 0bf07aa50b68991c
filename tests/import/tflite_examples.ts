// One use of each TFLite operator that is read as several nodes, or that has a spelling of its own which is never written:
// what it is given and, for inputs that count 0, 1, 2, ..., what TensorFlow Lite makes of them.

import { ModelError } from '../../src/errors.ts'
import type { Builder } from '../../src/ir/build.ts'
import type { TensorType, Value } from '../../src/ir/graph.ts'
import type { TfliteNode } from '../../src/ir/op.ts'

export interface Example {
  readonly inputs: readonly Value[]
  readonly options?: TfliteNode['options']
  readonly outputs: readonly TensorType[]
}

interface Use {
  /** `typed` gives the type under test a shape. */
  make(b: Builder, typed: (shape: readonly number[]) => TensorType): Example
  /** The elements of all outputs, one after another. */
  readonly expected: readonly number[]
}

function ints(b: Builder, name: string, values: readonly number[], shape: readonly number[] = [values.length]): Value {
  return b.const(name, { dtype: 'i32', shape }, Int32Array.from(values))
}

const i32 = (shape: readonly number[]): TensorType => ({ dtype: 'i32', shape })

export const EXAMPLES: Readonly<Record<string, Use>> = {
  BATCH_TO_SPACE_ND: {
    make: (b, typed) => ({
      inputs: [b.input('x', typed([4, 1, 2, 1])), ints(b, 'block', [2, 2]), ints(b, 'crops', [0, 0, 1, 0], [2, 2])],
      outputs: [typed([1, 2, 3, 1])],
    }),
    expected: [2, 1, 3, 6, 5, 7],
  },
  SPACE_TO_BATCH_ND: {
    make: (b, typed) => ({
      inputs: [b.input('x', typed([1, 2, 4, 1])), ints(b, 'block', [2, 2]), ints(b, 'pads', [0, 0, 0, 0], [2, 2])],
      outputs: [typed([4, 1, 2, 1])],
    }),
    expected: [0, 2, 1, 3, 4, 6, 5, 7],
  },
  DEPTH_TO_SPACE: {
    make: (b, typed) => ({
      inputs: [b.input('x', typed([1, 1, 2, 4]))],
      options: { block_size: 2 },
      outputs: [typed([1, 2, 4, 1])],
    }),
    expected: [0, 1, 4, 5, 2, 3, 6, 7],
  },
  SPACE_TO_DEPTH: {
    make: (b, typed) => ({
      inputs: [b.input('x', typed([1, 2, 4, 1]))],
      options: { block_size: 2 },
      outputs: [typed([1, 1, 2, 4])],
    }),
    expected: [0, 1, 4, 5, 2, 3, 6, 7],
  },
  BROADCAST_ARGS: {
    make: (b) => ({ inputs: [ints(b, 'a', [3, 1]), ints(b, 'b', [2, 1, 4])], outputs: [i32([3])] }),
    expected: [2, 3, 4],
  },
  RANGE: {
    make: (b) => ({ inputs: [1, 8, 3].map((v, i) => ints(b, `v${i}`, [v], [])), outputs: [i32([3])] }),
    expected: [1, 4, 7],
  },
  RANK: { make: (b, typed) => ({ inputs: [b.input('x', typed([3, 2, 5]))], outputs: [i32([])] }), expected: [3] },
  SHAPE: {
    make: (b, typed) => ({ inputs: [b.input('x', typed([3, 2, 5]))], options: { out_type: 2 }, outputs: [i32([3])] }),
    expected: [3, 2, 5],
  },
  FILL: {
    make: (b) => ({ inputs: [ints(b, 'dims', [2, 2]), ints(b, 'value', [7], [])], outputs: [i32([2, 2])] }),
    expected: [7, 7, 7, 7],
  },
  ZEROS_LIKE: {
    make: (b, typed) => ({ inputs: [b.input('x', typed([3]))], outputs: [typed([3])] }),
    expected: [0, 0, 0],
  },
  EMBEDDING_LOOKUP: {
    make: (b, typed) => ({
      inputs: [ints(b, 'ids', [2, 0]), b.input('table', typed([3, 2]))],
      outputs: [typed([2, 2])],
    }),
    expected: [4, 5, 0, 1],
  },
  PACK: {
    make: (b, typed) => ({
      inputs: [b.input('x', typed([3])), b.input('y', typed([3]))],
      options: { values_count: 2, axis: 1 },
      outputs: [typed([3, 2])],
    }),
    expected: [0, 0, 1, 1, 2, 2],
  },
  UNPACK: {
    make: (b, typed) => ({
      inputs: [b.input('x', typed([2, 3]))],
      options: { num: 3, axis: 1 },
      outputs: [typed([2]), typed([2]), typed([2])],
    }),
    expected: [0, 3, 1, 4, 2, 5],
  },
  SPLIT: {
    make: (b, typed) => ({
      inputs: [ints(b, 'axis', [1], []), b.input('x', typed([2, 4]))],
      options: { num_splits: 2 },
      outputs: [typed([2, 2]), typed([2, 2])],
    }),
    expected: [0, 1, 4, 5, 2, 3, 6, 7],
  },
  SPLIT_V: {
    make: (b, typed) => ({
      inputs: [b.input('x', typed([2, 4])), ints(b, 'sizes', [1, -1]), ints(b, 'axis', [1], [])],
      options: { num_splits: 2 },
      outputs: [typed([2, 1]), typed([2, 3])],
    }),
    expected: [0, 4, 1, 2, 3, 5, 6, 7],
  },
  TILE: {
    make: (b, typed) => ({
      inputs: [b.input('x', typed([2, 2])), ints(b, 'multiples', [1, 2])],
      outputs: [typed([2, 4])],
    }),
    expected: [0, 1, 0, 1, 2, 3, 2, 3],
  },
  MIRROR_PAD: {
    make: (b, typed) => ({
      inputs: [b.input('x', typed([2, 3])), ints(b, 'paddings', [0, 1, 2, 0], [2, 2])],
      options: { mode: 0 },
      outputs: [typed([3, 5])],
    }),
    expected: [2, 1, 0, 1, 2, 5, 4, 3, 4, 5, 2, 1, 0, 1, 2],
  },
  RESIZE_BILINEAR: {
    make: (b, typed) => ({
      inputs: [b.input('x', typed([1, 1, 3, 1])), ints(b, 'size', [1, 5])],
      options: { align_corners: true, half_pixel_centers: false },
      outputs: [typed([1, 1, 5, 1])],
    }),
    expected: [0, 0.5, 1, 1.5, 2],
  },
  SQUEEZE: {
    make: (b, typed) => ({ inputs: [b.input('x', typed([1, 3, 1]))], outputs: [typed([3])] }),
    expected: [0, 1, 2],
  },
  EXPAND_DIMS: {
    make: (b, typed) => ({ inputs: [b.input('x', typed([3])), ints(b, 'axis', [0], [])], outputs: [typed([1, 3])] }),
    expected: [0, 1, 2],
  },
  REVERSE_V2: {
    make: (b, typed) => ({ inputs: [b.input('x', typed([2, 2])), ints(b, 'axes', [1])], outputs: [typed([2, 2])] }),
    expected: [1, 0, 3, 2],
  },
  SLICE: {
    make: (b, typed) => ({
      inputs: [b.input('x', typed([2, 3])), ints(b, 'begin', [1, 0]), ints(b, 'size', [-1, 2])],
      outputs: [typed([1, 2])],
    }),
    expected: [3, 4],
  },
  PADV2: {
    make: (b, typed) => {
      const value = b.const('value', { ...typed([]), dtype: 'f32', quant: undefined }, Float32Array.of(0))
      return {
        inputs: [b.input('x', typed([2])), ints(b, 'paddings', [1, 0], [1, 2]), value],
        outputs: [typed([3])],
      }
    },
    expected: [0, 0, 1],
  },
  SELECT: {
    make: (b, typed) => {
      const rows = b.const('rows', { dtype: 'bool', shape: [2] }, Uint8Array.of(0, 1))
      return { inputs: [rows, b.input('x', typed([2, 2])), b.input('y', typed([2, 2]))], outputs: [typed([2, 2])] }
    },
    expected: [0, 1, 2, 3],
  },
  UNIDIRECTIONAL_SEQUENCE_RNN: {
    make(b, typed) {
      if (typed([]).dtype !== 'f32') throw new ModelError('rnn', 'is of float32 only')
      const floats = (name: string, shape: readonly number[], values: readonly number[]) =>
        b.const(name, typed(shape), Float32Array.from(values))
      const x = b.input('x', typed([1, 3, 1]))
      const w = [floats('w', [2, 1], [1, -1]), floats('r', [2, 2], [1, 0, 0.5, 1]), floats('bias', [2], [0, 2])]
      const h = b.state('h', typed([1, 2]), Float32Array.of(1, 0))
      return {
        inputs: [x, ...w, h],
        options: { time_major: false, fused_activation_function: 1 },
        outputs: [typed([1, 3, 2])],
      }
    },
    expected: [1, 2.5, 2, 4, 4, 5],
  },
  ADD_N: {
    make: (b, typed) => ({
      inputs: [0, 1, 2].map((i) => b.input(`x${i}`, typed([3]))),
      outputs: [typed([3])],
    }),
    expected: [0, 3, 6],
  },
}
