import { quantOf, type TensorType, type Value } from '../../ir/graph.ts'
import { type CaseBuilder, f32, i8, i16, type OpCase, opCase } from '../case.ts'
import { DEFAULTS, GATES, gru, type Kind, lstm, type Recurrent, rnn } from './op.ts'

const OPS = { lstm, gru, rnn }
const [S, B, I, H] = [3, 2, 5, 4]

interface Form {
  readonly direction?: Recurrent['direction']
  readonly batchFirst?: boolean
  readonly given?: boolean
  readonly linearBeforeReset?: boolean
  readonly relu?: boolean
  readonly cellClip?: number
}

const FORMS: Readonly<Record<string, Form>> = {
  forward: {},
  'reverse, states, biases': { direction: 'reverse', given: true },
  'both directions, batch first': { direction: 'bidirectional', batchFirst: true, given: true },
  'linear before reset, ReLU, clipped': { linearBeforeReset: true, relu: true, given: true, cellClip: 0.25 },
}

function floatCase(kind: Kind, name: string, f: Form): OpCase {
  return opCase(`${kind} f32: ${name}`, (b) => {
    const D = f.direction === 'bidirectional' ? 2 : 1
    const G = GATES[kind]
    const x = b.input('x', f32(f.batchFirst ? [B, S, I] : [S, B, I]))
    const states = f.batchFirst ? [B, D, H] : [D, B, H]
    const inputs: (Value | undefined)[] = [x, b.floats('w', [D, G * H, I]), b.floats('r', [D, G * H, H])]
    if (f.given) {
      inputs.push(b.floats('b', [D, 2 * G * H]), b.input('h', f32(states)))
      if (kind === 'lstm') inputs.push(b.input('c', f32(states)), b.floats('p', [D, 3 * H]))
    }
    const each = DEFAULTS[kind].map((a, i) => (f.relu && i > 0 ? ('relu' as const) : a))
    return b.add(OPS[kind], inputs, {
      direction: f.direction ?? 'forward',
      activations: Array.from({ length: D }, () => each).flat(),
      batchFirst: f.batchFirst ?? false,
      linearBeforeReset: f.linearBeforeReset ?? false,
      cellClip: f.cellClip ?? 0,
    })
  })
}

function gateWeights(b: CaseBuilder, name: string, n: number): Value {
  const { type, data } = b.weights(`${name}_flat`, [4, H, n], 0.01, 0)
  return b.const(name, { ...type, shape: [1, 4, H, n], quant: { ...type.quant!, axis: 1 } }, data!)
}

function storedCase(dtype: 'i8' | 'i16', name: string, power: number, batchFirst: boolean, cellClip: number): OpCase {
  const wide = dtype === 'i16'
  return opCase(`lstm int${wide ? 16 : 8}: ${name}`, (b) => {
    const shape = batchFirst ? [B, S, I] : [S, B, I]
    const x = b.input('x', wide ? i16(shape, 0.0002) : i8(shape, 0.05, -3))
    const cell: TensorType = { dtype: 'i16', shape: [B, H], quant: quantOf(2 ** power, 0) }
    const inputs = [
      x,
      gateWeights(b, 'w', I),
      gateWeights(b, 'r', H),
      wide ? b.longBias('b', 4 * H, 2 ** 20) : b.bias('b', 4 * H, 3000),
      b.input('h', wide ? i16([B, H], 2 ** -15) : i8([B, H], 1 / 128, 4)),
      b.input('c', cell),
    ]
    return b.add(lstm, inputs, {
      direction: 'forward',
      activations: DEFAULTS.lstm,
      batchFirst,
      linearBeforeReset: false,
      cellClip,
    })
  })
}

export const cases: readonly OpCase[] = [
  ...(['lstm', 'gru', 'rnn'] as const).flatMap((kind) =>
    Object.entries(FORMS).map(([name, form]) => floatCase(kind, name, form)),
  ),
  ...(['i8', 'i16'] as const).flatMap((dtype) => [
    storedCase(dtype, 'a cell of scale 2^-11', -11, true, 0),
    storedCase(dtype, 'a fine cell, clipped, time first', -15, false, 0.5),
  ]),
]
