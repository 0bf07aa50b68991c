import { quantOf, type TensorType } from '../../ir/graph.ts'
import { f32, i8, i16, type OpCase, opCase } from '../case.ts'
import { type FullyConnected, fullyConnected } from './op.ts'

interface Shape {
  input: number[]
  weight: [number, number]
  attrs?: Partial<FullyConnected>
  bias?: boolean
  perChannel?: boolean
  /** The output shape that the file gives, where it is not the one that TensorFlow Lite computes. */
  output?: number[]
}

const SHAPES: Record<string, Shape> = {
  'one row, inputs divisible by 8': { input: [1, 32], weight: [8, 32] },
  'odd sizes': { input: [1, 13], weight: [5, 13] },
  'four rows, ReLU': { input: [4, 16], weight: [7, 16], attrs: { clamp: { min: 0 } } },
  'an image as one row, ReLU6': { input: [1, 3, 4, 2], weight: [6, 24], attrs: { clamp: { min: 0, max: 6 } } },
  'an image as six rows': { input: [1, 3, 2, 8], weight: [3, 8] },
  'leading dimensions kept': { input: [2, 3, 8], weight: [4, 8], attrs: { keepDims: true } },
  'one dimension, no bias': { input: [12], weight: [3, 12], bias: false },
  'one output': { input: [3, 9], weight: [1, 9], attrs: { clamp: { min: -1, max: 1 } } },
  'a scale for each output': { input: [2, 24], weight: [6, 24], perChannel: true },
  'output shaped by the file': { input: [1, 6, 4], weight: [5, 4], output: [2, 3, 5] },
}

const COMPUTED: readonly OpCase[] = [
  opCase('fully_connected int8: weights and bias computed while the model runs', (b) => {
    const x = b.input('x', i8([2, 9], 0.05, 7))
    const w = b.input('w', i8([4, 9], 0.02, 0))
    const bias = b.input('b', { dtype: 'i32', shape: [4] })
    const attrs = { clamp: {}, keepDims: false }
    return b.one(fullyConnected, [x, w, bias], attrs, { quant: quantOf(0.2, -4) })
  }),
  opCase('fully_connected int8: a sum that leaves int32', (b) => {
    const x = b.input('x', i8([1, 8], 0.05, -128))
    const w = b.weights('w', [3, 8], 0.01)
    const bias = b.const('b', { dtype: 'i32', shape: [3] }, Int32Array.of(2 ** 31 - 1, -(2 ** 31), 2 ** 31 - 2000))
    const attrs = { clamp: {}, keepDims: false }
    return b.one(fullyConnected, [x, w, bias], attrs, { quant: quantOf(2000, 0) })
  }),
]

/** One weight of 1 and a multiplier of 1/2: every odd input is half way between two outputs. */
const TIES: readonly OpCase[] = [-128, 0, 127].map((zero) =>
  opCase(`fully_connected int8, scaled in float: halves, zero point ${zero}`, (b) => {
    const x = b.const(
      'x',
      i8([256, 1], 1, 0),
      Int8Array.from({ length: 256 }, (_, i) => i - 128),
    )
    const w = b.const('w', i8([1, 1], 1, 0), Int8Array.of(1))
    return b.one(fullyConnected, [x, w], { clamp: {}, keepDims: true, scaling: 'float' }, { quant: quantOf(2, zero) })
  }),
)

/** Sums beyond 2^24, which float32 does not hold, and products beyond every output. */
const LARGE: readonly OpCase[] = [1e-9, 1e-4, 1e6, 3e38].map((scale) =>
  opCase(`fully_connected int8, scaled in float: large sums, output scale ${scale}`, (b) => {
    const x = b.input('x', i8([3, 8], 1, -128))
    const bias = b.const('b', { dtype: 'i32', shape: [3] }, Int32Array.of(2 ** 31 - 1, -(2 ** 31), 2 ** 24 + 1))
    const attrs = { clamp: {}, keepDims: true, scaling: 'float' } as const
    return b.one(fullyConnected, [x, b.weights('w', [3, 8], 0.01), bias], attrs, { quant: quantOf(scale, 3) })
  }),
)

const SHAPED: readonly OpCase[] = Object.entries(SHAPES).flatMap(([name, s]) => {
  const attrs: FullyConnected = { clamp: {}, keepDims: false, ...s.attrs }
  const [N] = s.weight
  const types = (t: (shape: number[]) => TensorType) => (s.output ? { types: [t(s.output)] } : {})
  return [
    opCase(`fully_connected int8: ${name}`, (b) => {
      const x = b.input('x', i8(s.input, 0.05, -3))
      const w = b.weights('w', s.weight, 0.01, s.perChannel ? 0 : undefined)
      const bias = s.bias === false ? undefined : b.bias('b', N)
      return b.one(fullyConnected, [x, w, bias], attrs, {
        quant: quantOf(0.09, 5),
        ...types((shape) => i8(shape, 0.09, 5)),
      })
    }),
    opCase(`fully_connected int16: ${name}`, (b) => {
      const x = b.input('x', i16(s.input, 0.001))
      const w = b.weights('w', s.weight, 0.01, s.perChannel ? 0 : undefined)
      const bias = s.bias === false ? undefined : b.longBias('b', N)
      return b.one(fullyConnected, [x, w, bias], attrs, {
        quant: quantOf(0.002, 0),
        ...types((shape) => i16(shape, 0.002)),
      })
    }),
    opCase(`fully_connected int8, weights with a zero point: ${name}`, (b) => {
      const x = b.input('x', i8(s.input, 0.05, -3))
      const w = b.asymmetricWeights('w', s.weight, 0.01, 17)
      const bias = s.bias === false ? undefined : b.bias('b', N)
      return b.one(fullyConnected, [x, w, bias], attrs, {
        quant: quantOf(0.09, 5),
        ...types((shape) => i8(shape, 0.09, 5)),
      })
    }),
    ...(s.output
      ? []
      : [
          opCase(`fully_connected int8, scaled in float: ${name}`, (b) => {
            const x = b.input('x', i8(s.input, 0.05, -3))
            const w = s.perChannel ? b.weights('w', s.weight, 0.01, 0) : b.asymmetricWeights('w', s.weight, 0.01, 17)
            const bias = s.bias === false ? undefined : b.bias('b', N)
            return b.one(fullyConnected, [x, w, bias], { ...attrs, scaling: 'float' }, { quant: quantOf(0.09, 5) })
          }),
          opCase(`fully_connected int8, the sums themselves: ${name}`, (b) => {
            const w = b.asymmetricWeights('w', s.weight, 1, 17)
            return b.one(fullyConnected, [b.input('x', i8(s.input, 1, -3)), w], {
              ...attrs,
              clamp: {},
              scaling: 'none',
            })
          }),
        ]),
    opCase(`fully_connected f32: ${name}`, (b) => {
      const x = b.input('x', f32(s.input))
      const bias = s.bias === false ? undefined : b.floats('b', [N])
      return b.one(fullyConnected, [x, b.floats('w', s.weight), bias], attrs, types(f32))
    }),
  ]
})

export const cases: readonly OpCase[] = [...SHAPED, ...COMPUTED, ...TIES, ...LARGE]
