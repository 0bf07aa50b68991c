// What the operators of TensorFlow Lite Micro's signal library share: they are custom operators of a .tflite file, their
// tensors are vectors.

import { ModelError } from '../../errors.ts'
import type { Builder } from '../../ir/build.ts'
import { type DType, type Node, sameShape, type TensorType, type Value } from '../../ir/graph.ts'
import type { Attrs, Op, OptionField, TfliteNode, TfliteRecord, TfliteSpelling } from '../../ir/op.ts'
import { expectDtype } from '../quant.ts'
import { reading } from '../tflite.ts'

const CUSTOM = 32

/**
 * A custom operator whose options are the attributes, by their names, and `implied`: those that the types of its tensors
 * say already, and that a file must not say differently.
 */
export function custom<A extends Attrs>(
  name: string,
  op: () => Op<A>,
  options: Readonly<Record<keyof A & string, 'i32' | 'bool'>>,
  implied: Readonly<Record<string, (inputs: readonly (Value | undefined)[], outputs: readonly Value[]) => number>> = {},
) {
  const types = [...Object.entries<'i32' | 'bool'>(options), ...Object.keys(implied).map((k) => [k, 'i32'] as const)]
  const fields = types.map(([option, type], slot): [string, OptionField] => [option, { slot, type }])
  return {
    name,
    code: CUSTOM,
    options: { id: 0, fields: Object.fromEntries(fields) },
    read(build: Builder, node: TfliteNode): readonly Value[] {
      const attrs = Object.fromEntries(Object.keys(options).map((option) => [option, node.options[option]])) as A
      const outputs = build.add(op(), node.inputs, attrs, node.result)
      for (const [option, of] of Object.entries(implied)) {
        const said = node.options[option]
        const is = of(node.inputs, outputs)
        if (said !== is) throw new ModelError(reading(name, node), `${option} is ${said}, its tensors say ${is}`)
      }
      return outputs
    },
    write: ({ inputs, outputs, attrs }: Node<A>): TfliteRecord => ({
      inputs,
      options: {
        ...attrs,
        ...Object.fromEntries(Object.entries(implied).map(([option, of]) => [option, of(inputs, outputs)])),
      },
    }),
  } satisfies TfliteSpelling<A>
}

/** The attribute is a whole number in [lo, hi]. */
export function expectWhole(value: number, lo: number, hi: number, what: string, where: string): void {
  if (!Number.isInteger(value) || value < lo || value > hi)
    throw new ModelError(where, `${what} is ${value}, expected a whole number in [${lo}, ${hi}]`)
}

/** The length of a vector of that element type. */
export function vectorOf(type: TensorType, dtype: DType, what: string, where: string): number {
  expectDtype(type, [dtype], what, where)
  if (type.shape.length !== 1 || type.shape[0] < 1)
    throw new ModelError(where, `${what} is [${type.shape}], expected 1 dimension with at least one element`)
  return type.shape[0]
}

/** Both have one shape. */
export function expectSame(a: TensorType, b: TensorType, what: string, where: string): void {
  if (!sameShape(a.shape, b.shape)) throw new ModelError(where, `${what} is [${b.shape}], the input [${a.shape}]`)
}
