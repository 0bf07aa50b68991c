// Compile-time differentiation: appends to a graph the nodes that compute the gradients of a number with respect to chosen
// values, from the last node to the first. Only what leads to a chosen value is built, and what is summed from several
// readers is summed in their order, last first.

import { ModelError } from '../errors.ts'
import { type Builder, layer } from '../ir/build.ts'
import { inputsOf, type Node, type Value } from '../ir/graph.ts'
import { add } from '../ops/binary/op.ts'
import { gradOf } from './rules.ts'

/** Values that depend on one of `wanted`, these included; a state that is written depends on what is written into it. */
export function dependents(nodes: readonly Node[], wanted: ReadonlySet<Value>): Set<Value> {
  const found = new Set(wanted)
  for (const node of nodes) if (inputsOf(node).some((v) => found.has(v))) for (const v of written(node)) found.add(v)
  return found
}

/** What a node gives to those after it: outputs, or the state that it writes. */
const written = ({ op, inputs, outputs }: Node): readonly Value[] => (op.writesState ? [inputs[0]!] : outputs)

/** Masks depend on what learns as well; nothing flows back through them. */
function learnable({ type: { dtype } }: Value, stored: boolean): boolean {
  return dtype === 'f32' || (stored && ['i8', 'i32', 'u8'].includes(dtype))
}

/**
 * Appends the gradients with respect to `wanted` of the number whose gradients with respect to some values of `nodes` are
 * `seeds` (f32, of the values' shapes); gradients of what is quantised are with respect to the stored integers. A value without an entry in the result has none: the number does not depend on it.
 * What a state held before the run is a constant. Throws ModelError for a layer on the way that has no rule.
 */
export function differentiate(
  build: Builder,
  nodes: readonly Node[],
  seeds: ReadonlyMap<Value, Value>,
  wanted: ReadonlySet<Value>,
): Map<Value, Value> {
  const needed = dependents(nodes, wanted)
  const gradients = new Map(seeds)
  const give = (v: Value, g: Value, from: string) => {
    const so = gradients.get(v)
    gradients.set(v, so ? build.one(add, [so, g], { clamp: {} }, { from }) : g)
  }
  for (const node of [...nodes].reverse()) {
    const given = written(node).map((v) => gradients.get(v))
    const wants = node.inputs.map((v, i) => v !== undefined && needed.has(v) && !(node.op.writesState && i === 0))
    if (given.every((g) => g === undefined) || !wants.includes(true)) continue
    const stored = [...inputsOf(node), ...node.outputs].some((v) => needed.has(v) && v.type.quant)
    const grad = gradOf(node.op, stored ? 'stored' : 'reals')
    const strange = [...inputsOf(node), ...node.outputs].find((v) => needed.has(v) && !learnable(v, stored))
    if (!grad || strange)
      throw new ModelError(
        layer(node),
        strange
          ? `"${strange.name}" is ${strange.type.dtype}, gradients are of f32, and of int8 with scales`
          : `cannot be learned through: ${node.op.name}${stored ? ' of int8' : ''} has no gradient`,
        'let only later layers learn',
      )
    build.from = `${node.from}/gradient`
    grad(build, node, given, wants).forEach((g, i) => {
      if (g && wants[i]) give(node.inputs[i]!, g, build.from)
    })
  }
  build.from = ''
  return new Map([...wanted].flatMap((v) => (gradients.has(v) ? [[v, gradients.get(v)!] as const] : [])))
}
