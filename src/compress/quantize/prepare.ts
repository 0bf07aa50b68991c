// The float32 graph that is quantised: everything that integers cannot do apart is one node. Numbers that were quantised at
// run time are real again, constants are folded, pads and activations are fused, and the factors and shifts of batch
// normalisation are in the weights and the bias (Jacob et al. 2018).

import { type Graph, type Node, type Pass, readers, type Value } from '../../ir/graph.ts'
import type { Effect, Weighted } from '../../ir/op.ts'
import { count } from '../../loops/ir.ts'
import { fold } from '../../passes/fold.ts'
import { fuse } from '../../passes/fuse.ts'
import { runPasses } from '../../passes/index.ts'
import { layout } from '../../passes/layout.ts'
import { prune } from '../../passes/prune.ts'
import { real } from '../../passes/real.ts'
import { channelOf } from './weights.ts'

/**
 * Factors and shifts of channels after sums without an activation go into these: the factors into weights and bias, the
 * shifts into the bias. Before `fuse`, which would give an activation to the last of them.
 */
const foldChannels: Pass = (graph) => {
  let g = graph
  for (let next = foldOne(g); next; next = foldOne(g)) g = next
  return g
}

function foldOne(graph: Graph): Graph | undefined {
  const reading = readers(graph)
  for (const node of graph.nodes) {
    const sums = node.op.quantize?.(node)?.weights
    const [y] = node.outputs
    const [reader, ...others] = reading.get(y) ?? []
    if (!sums || !reader || others.length > 0 || graph.outputs.includes(y)) continue
    if (sums.clamp.min !== undefined || sums.clamp.max !== undefined) continue
    const inputs = foldedInto(node, sums, reader.op.effect?.(reader))
    if (!inputs) continue
    const merged: Node = { ...node, inputs, outputs: reader.outputs }
    return { ...graph, nodes: graph.nodes.flatMap((n) => (n === node ? [] : n === reader ? [merged] : [n])) }
  }
  return undefined
}

/** The inputs of `node` with a factor or a shift taken over. */
function foldedInto(node: Node, { input, axis }: Weighted, effect: Effect | undefined): Node['inputs'] | undefined {
  const [w, b] = [node.inputs[input], node.inputs[input + 1]]
  if (w?.storage !== 'const' || w.type.dtype !== 'f32' || (b && b.storage !== 'const')) return undefined
  const changed = (v: Value, to: (x: number, i: number) => number): Value => ({
    ...v,
    data: Float32Array.from(v.data as Float32Array, to),
  })
  const inputs = [...node.inputs]
  if (effect?.does === 'scale') {
    const factor = effect.factor.data as Float32Array
    inputs[input] = changed(w, (x, i) => x * factor[channelOf(w.type.shape, axis, i)])
    if (b) inputs[input + 1] = changed(b, (x, c) => x * factor[c])
    return inputs
  }
  if (effect?.does !== 'bias') return undefined
  const shift = effect.bias.data as Float32Array
  inputs[input + 1] = b ? changed(b, (x, c) => x + shift[c]) : effect.bias
  return inputs
}

/** Constants of float32 that several nodes read, once for each: so that each may change its own. */
const ownConstants: Pass = (graph) => {
  const taken = new Set<Value>()
  const names = new Set(graph.nodes.flatMap((node) => node.inputs.map((v) => v?.name)))
  const own = (v: Value | undefined): Value | undefined => {
    if (v?.storage !== 'const' || count(v.type.shape) === 0) return v
    if (!taken.has(v)) {
      taken.add(v)
      return v
    }
    let name = v.name
    for (let i = 1; names.has(name); i++) name = `${v.name}#${i}`
    names.add(name)
    return { ...v, name }
  }
  return { ...graph, nodes: graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map(own) })) }
}

/** What happens to a model before it is quantised, in order. Outputs stay the same but for the rounding of float32. */
export function prepare(graph: Graph): Graph {
  return runPasses(
    graph,
    [real, prune, fold, layout, fold, foldChannels, fuse, ownConstants].map((pass) => ({ name: '', pass })),
  )
}
