// Weights stored in fewer bytes, activations in float32: float16 weights, widened where they are read, and int8 weights beside
// activations that are quantised at run time (TensorFlow Lite's dynamic range).

import { ModelError } from '../../errors.ts'
import { Builder } from '../../ir/build.ts'
import type { Graph, Node, Value } from '../../ir/graph.ts'
import { verify } from '../../ir/verify.ts'
import { f32ToF16 } from '../../loops/float.ts'
import { cast } from '../../ops/cast/op.ts'
import { prepare } from './prepare.ts'
import { formOf } from './rewrite.ts'
import { storeWeights, weightScales } from './weights.ts'

/** Elements from which weights are stored in int8, as TensorFlow Lite's converter does. */
const LEAST_ELEMENTS = 1024

export interface StoredModel {
  readonly graph: Graph
  readonly float: Graph
  /** Nodes whose weights stay float32. */
  readonly floats: readonly { readonly node: Node; readonly reason: string }[]
}

/** Appends the nodes of a graph to a builder; `node` may append something else and return its outputs. */
function rebuilt(
  graph: Graph,
  other: (build: Builder, node: Node, inputs: Node['inputs']) => readonly Value[] | undefined,
): Graph {
  const build = new Builder(graph.name)
  const to = new Map<Value, Value>(graph.inputs.map((v) => [v, build.input(v.name, v.type, v.index)]))
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((v) => v && (to.get(v) ?? v))
    const names = node.outputs.map((v) => v.name)
    const types = node.outputs.map((v) => v.type)
    const results =
      other(build, node, inputs) ?? build.add(node.op, inputs, node.attrs, { names, types, from: node.from })
    node.outputs.forEach((v, i) => {
      to.set(v, results[i])
    })
  }
  return verify(build.graph(graph.outputs.map((v) => to.get(v) ?? v)))
}

/** Every float32 constant becomes float16, to the nearest; those beyond its range are refused with ModelError. */
export function toFloat16(graph: Graph): StoredModel {
  const float = prepare(graph)
  const known = new Map<Value, Value>()
  const widened = (build: Builder, v: Value | undefined): Value | undefined => {
    if (v?.storage !== 'const' || v.type.dtype !== 'f32') return v
    let wide = known.get(v)
    if (!wide) {
      const data = Uint16Array.from(v.data as Float32Array, f32ToF16)
      const lost = (v.data as Float32Array).find((x) => Math.abs(x) >= 65520)
      if (lost !== undefined) throw new ModelError(`constant "${v.name}"`, `holds ${lost}, float16 ends at 65504`)
      const half = build.const(v.name, { dtype: 'f16', shape: v.type.shape }, data)
      wide = build.one(cast, [half], { to: 'f32' }, { names: [`${v.name}/real`], from: v.name })
      known.set(v, wide)
    }
    return wide
  }
  const result = rebuilt(float, (build, node, inputs) => {
    const own = inputs.map((v) => widened(build, v))
    const names = node.outputs.map((v) => v.name)
    return build.add(node.op, own, node.attrs, { names, types: node.outputs.map((v) => v.type), from: node.from })
  })
  return { graph: result, float, floats: [] }
}

/** Weights in int8 with one scale for each channel or tensor; activations are quantised while the model runs. */
export function toDynamic(graph: Graph, perChannel: boolean): StoredModel {
  const float = prepare(graph)
  const floats: { node: Node; reason: string }[] = []
  const result = rebuilt(float, (build, node, [x]) => {
    const sums = formOf(node)?.weights
    if (!sums) return undefined
    const [w, b] = [node.inputs[sums.input]!, node.inputs[sums.input + 1]]
    const size = w.data!.length
    if (!sums.dynamic || size < LEAST_ELEMENTS) {
      const reason = sums.dynamic
        ? `has ${size} weights, fewer than ${LEAST_ELEMENTS}`
        : 'has no form with int8 weights'
      floats.push({ node, reason })
      return undefined
    }
    const channels = w.type.shape[sums.axis]
    const scale = weightScales(w, sums, 8, perChannel, new Float64Array(channels))
    const { data, quant } = storeWeights(w, sums, 8, scale)
    const weights = build.const(w.name, { dtype: 'i8', shape: w.type.shape, quant }, data)
    const names = node.outputs.map((v) => v.name)
    return sums.dynamic(build, [x!, weights, b], { names, types: node.outputs.map((v) => v.type), from: node.from })
  })
  return { graph: result, float, floats }
}
