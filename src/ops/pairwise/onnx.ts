// How ONNX writes elementwise operators with several operands: any number of them, and before operator set 7 a second
// operand that is placed at an axis instead of aligned at the end.

import { ModelError } from '../../errors.ts'
import type { Builder } from '../../ir/build.ts'
import type { DType, Value } from '../../ir/graph.ts'
import type { Attrs, OnnxNode, OnnxSpelling, Op } from '../../ir/op.ts'
import { cast } from '../cast/op.ts'
import { numberAttr } from '../onnx.ts'
import { reshape } from '../shape/reshape.ts'
import { operand, operands, reading } from '../tflite.ts'

type Plain = Attrs & Record<string, never>

const FLOATS: readonly DType[] = ['f32', 'f16', 'f64']

/** The operands, the second one with ones behind its dimensions where an old file places it at an axis. */
export function legacyBroadcast(build: Builder, node: OnnxNode): readonly (Value | undefined)[] {
  if (node.opset >= 7 || numberAttr(node, 'broadcast', 0) === 0) return operands(node, 2, 'elementwise')
  const where = reading('broadcast', node)
  const [a, b] = [operand(node, 0, 'the first operand', where), operand(node, 1, 'the second operand', where)]
  const axis = numberAttr(node, 'axis', a.type.shape.length - b.type.shape.length)
  const behind = a.type.shape.length - axis - b.type.shape.length
  if (behind < 0)
    throw new ModelError(where, `operand [${b.type.shape}] does not fit into [${a.type.shape}] at axis ${axis}`)
  if (behind === 0) return [a, b]
  return [a, build.one(reshape, [b], { shape: [...b.type.shape, ...new Array<number>(behind).fill(1)] })]
}

/** The operands, the slopes of an old file along axis 1. */
export function perChannel(build: Builder, node: OnnxNode): readonly (Value | undefined)[] {
  const where = reading('PRelu', node)
  const [x, slope] = [operand(node, 0, 'the input', where), operand(node, 1, 'the slope', where)]
  const [rank, C] = [x.type.shape.length, slope.type.shape[0]]
  if (node.opset >= 7 || slope.type.shape.length !== 1 || C === 1 || rank <= 2) return [x, slope]
  return [x, build.one(reshape, [slope], { shape: [C, ...new Array<number>(rank - 2).fill(1)] })]
}

/** The node's operands combined from the first to the last; one operand alone is itself. */
export function chain<A extends Attrs>(build: Builder, node: OnnxNode, op: Op<A>, attrs: A, last = node.result): Value {
  const where = reading(op.name, node)
  const first = operand(node, 0, 'an operand', where)
  const all = node.inputs.map((_, i) => operand(node, i, 'an operand', where))
  if (all.length === 1) return build.one(reshape, all, { shape: first.type.shape }, last)
  return all.reduce((sum, v, i) => build.one(op, [sum, v], attrs, i === all.length - 1 ? last : {}))
}

/** `Max` and the like: any number of operands. */
export function variadic<A extends Attrs>(name: string, op: () => Op<A>, attrs = {} as A): OnnxSpelling<A> {
  return {
    name,
    read: (build, node) => [chain(build, node, op(), attrs)],
    write: ({ inputs }) => ({ inputs, attrs: {} }),
  }
}

/** `Pow`, whose exponent may have a type of its own: whole numbers to a float power are computed in float32. */
export function powSpelling(op: () => Op<Plain>): OnnxSpelling<Plain> {
  return {
    name: 'Pow',
    read(build, node) {
      const where = reading('pow', node)
      const inputs = legacyBroadcast(build, node)
      const [base, exponent] = [0, 1].map((i) => operand({ inputs }, i, 'an operand', where))
      const [x, n] = [base.type.dtype, exponent.type.dtype]
      const as = (v: Value, to: DType) => (v.type.dtype === to ? v : build.one(cast, [v], { to }))
      if (!FLOATS.includes(n) || FLOATS.includes(x)) return build.add(op(), [base, as(exponent, x)], {}, node.result)
      return build.add(cast, [build.one(op(), [as(base, 'f32'), as(exponent, 'f32')], {})], { to: x }, node.result)
    },
    write: ({ inputs }) => ({ inputs, attrs: {} }),
  }
}
