// Widens a tensor by constant elements before and after each axis: TFLite's PAD (the element that means zero) and PADV2.

import { ModelError } from '../../errors.ts'
import { layer } from '../../ir/build.ts'
import type { Node } from '../../ir/graph.ts'
import type { Attrs, Call, Op, TfliteNode } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { count, type Data, type Expr, newData, type Stmt } from '../../loops/ir.ts'
import { together } from '../channels.ts'
import { costOf, expectInputs, expectOutputs } from '../check.ts'
import { quantizeReal, rangeOf } from '../quant.ts'
import { constantNumbers, int32Constant, operand, reading } from '../tflite.ts'
import { elementOf, expectMoved } from './copy.ts'

/** Elements before and after each axis; `value` as stored. */
export type Pad = Attrs & { readonly low: readonly number[]; readonly high: readonly number[]; readonly value: number }

interface Axis {
  readonly extent: number
  readonly low: number
  readonly high: number
}

/** The loops of a padded copy: neighbouring axes without padding merge. */
function padAxes(shape: readonly number[], { low, high }: Pad): Axis[] {
  const axes: Axis[] = []
  shape.forEach((extent, d) => {
    const last = axes.at(-1)
    if (last && low[d] + high[d] === 0 && last.low + last.high === 0)
      axes[axes.length - 1] = { extent: last.extent * extent, low: 0, high: 0 }
    else axes.push({ extent, low: low[d], high: high[d] })
  })
  return axes.length ? axes : [{ extent: 1, low: 0, high: 0 }]
}

/** `length` elements of the padding. */
function filled(node: Node<Pad>, length: number): Data {
  const data = newData(elementOf(node.outputs[0]), length)
  return data instanceof BigInt64Array ? data.fill(BigInt(node.attrs.value)) : data.fill(node.attrs.value)
}

function lower(node: Node<Pad>): Call {
  const [x, y] = [node.inputs[0]!, node.outputs[0]]
  const axes = padAxes(x.type.shape, node.attrs)
  const wide = axes.map((a) => a.low + a.extent + a.high)
  const V = L.buffer('v', elementOf(x), [1])
  const X = L.buffer(
    'x',
    elementOf(x),
    axes.map((a) => a.extent),
  )
  const Y = L.buffer('y', elementOf(y), wide, 'write')
  const [declare, value] = L.declare('value', L.load(V, 0))

  let fills = 0
  /** Elements `from` to `from + extent` of axis d = at.length, and everything inside. */
  const fill = (at: readonly Expr[], from: number, extent: number): Stmt[] => {
    if (extent === 0) return []
    const names = wide.slice(at.length).map((_, d) => `f${fills}_${d}`)
    fills++
    return [
      L.loops(names, [extent, ...wide.slice(at.length + 1)], (first, ...rest) =>
        L.store(Y, [...at, L.add(first, from), ...rest], value),
      ),
    ]
  }
  const copy = (from: readonly Expr[], at: readonly Expr[]): Stmt[] => {
    if (at.length === axes.length) return [L.store(Y, at, L.load(X, ...from))]
    const { extent, low, high } = axes[at.length]
    return [
      ...fill(at, 0, low),
      L.parallel(`i${at.length}`, extent, (i) => copy([...from, i], [...at, L.add(i, low)])),
      ...fill(at, low + extent, high),
    ]
  }
  return {
    kernel: L.kernel('pad', [X, V, Y], declare, ...copy([], [])),
    args: [{ value: x }, { data: filled(node, 1) }, { value: y }],
  }
}

function padsChannels({ attrs: { low, high } }: Node<Pad>): boolean {
  return low.at(-1) !== 0 || high.at(-1) !== 0
}

function readPad(node: TfliteNode, value: number | undefined): readonly [Pad, string] {
  const where = reading('pad', node)
  const x = operand(node, 0, 'input', where)
  const paddings = constantNumbers(node, 1, 'paddings', where)
  if (paddings.length !== 2 * x.type.shape.length)
    throw new ModelError(where, `paddings have ${paddings.length} numbers, input has ${x.type.shape.length} dimensions`)
  const low = paddings.filter((_, i) => i % 2 === 0)
  const high = paddings.filter((_, i) => i % 2 === 1)
  return [{ low, high, value: value ?? x.type.quant?.zero[0] ?? 0 }, where]
}

function paddings({ outputs, attrs: { low, high } }: Node<Pad>) {
  return int32Constant(
    `${outputs[0].name}/paddings`,
    low.flatMap((l, d) => [l, high[d]]),
    [low.length, 2],
  )
}

/**
 * x with `low` elements before and `high` behind each axis, all equal to `value`, as stored. The scale stays. TFLite
 * PAD, PADV2, ONNX Pad.
 */
export const pad: Op<Pad> = {
  name: 'pad',

  spelled: {
    tflite: [
      {
        name: 'PAD',
        code: 34,
        options: { id: 22, fields: {} },
        read(build, node) {
          const [attrs] = readPad(node, undefined)
          return build.add(pad, [node.inputs[0]], attrs, node.result)
        },
        write(node) {
          const x = node.inputs[0]!
          if (node.attrs.value !== (x.type.quant?.zero[0] ?? 0)) return undefined
          return { inputs: [x, paddings(node)], options: {} }
        },
      },
      {
        name: 'PADV2',
        code: 60,
        options: { id: 43, fields: {} },
        read(build, node) {
          const where = reading('pad', node)
          const [value] = constantNumbers(node, 2, 'padding value', where)
          const [attrs] = readPad(node, value)
          return build.add(pad, [node.inputs[0]], attrs, node.result)
        },
        write(node) {
          const x = node.inputs[0]!
          const value = {
            name: `${node.outputs[0].name}/value`,
            type: { ...x.type, shape: [1] },
            storage: 'const' as const,
            data: filled(node, 1),
          }
          return { inputs: [x, paddings(node), value], options: {} }
        },
      },
    ],
  },

  infer: ([x], { low, high }) => [{ ...x!, shape: x!.shape.map((d, i) => d + low[i] + high[i]) }],

  check(node) {
    const where = layer(node)
    expectInputs(node, 1)
    const x = node.inputs[0]!.type
    const { low, high, value } = node.attrs
    if (low.length !== x.shape.length || high.length !== x.shape.length)
      throw new ModelError(where, `pads ${low.length} dimensions, input has ${x.shape.length}`)
    const bad = [...low, ...high].find((p) => !Number.isInteger(p) || p < 0)
    if (bad !== undefined) throw new ModelError(where, `padding is ${bad}, paddings are whole numbers from 0`)
    expectOutputs(node, pad.infer([x], node.attrs))
    expectMoved(node)
    const { min, max } = rangeOf(x.dtype)
    if (x.dtype !== 'f32' && !(Number.isInteger(value) && value >= min && value <= max))
      throw new ModelError(where, `padding value is ${value}, ${x.dtype} holds ${min} to ${max}`)
  },

  eval(node, [x]) {
    const { low } = node.attrs
    const [shape, wide] = [node.inputs[0]!.type.shape, node.outputs[0].type.shape]
    const Y = filled(node, count(wide))
    const at = shape.map(() => 0)
    for (let i = 0; i < x!.length; i++) {
      const to = at.reduce((p, c, d) => p * wide[d] + c + low[d], 0)
      Y[to] = x![i]
      for (let d = shape.length - 1; d >= 0 && ++at[d] === shape[d]; d--) at[d] = 0
    }
    return [Y]
  },

  lower,
  quantize: ({ attrs }) => ({
    output: 'shared',
    attrs({ scale, zero }) {
      return { ...attrs, value: quantizeReal(attrs.value, scale[0], zero[0]) }
    },
  }),
  cost: (node) => costOf(node, 0),
  permute({ attrs: { low, high, value } }, perm) {
    const back = perm.map((_, d) => perm.indexOf(d))
    return { attrs: { low: back.map((d) => low[d]), high: back.map((d) => high[d]), value }, perm }
  },
  effect: ({ attrs: { low, high, value } }) => ({ does: 'pad', low, high, value }),

  bounds(node, [x]) {
    const { value } = node.attrs
    if (!x || padsChannels(node)) return undefined
    return { least: x.least.map((v) => Math.min(v, value)), most: x.most.map((v) => Math.max(v, value)) }
  },

  narrow: (node, free) => (padsChannels(node) ? undefined : together(node, free)),
}
