// The oracle: runs a graph node by node with each operator's own meaning. State is kept between runs; an operator that
// writes state changes the data of its input 0.

import { bug } from '../errors.ts'
import { layer } from '../ir/build.ts'
import { elemOf, type Graph, type Value, valuesOf } from '../ir/graph.ts'
import { count, type Data, newData } from '../loops/ir.ts'
import { checkInputs } from './check.ts'
import type { Port, RunningModel, Trace } from './model.ts'

export function portOf({ name, type }: Value): Port {
  return { name, type }
}

/** The elements of a value that is parts of others. */
function joined(v: Value, dataOf: (v: Value) => Data): Data | undefined {
  if (!v.parts) return undefined
  const data = newData(elemOf(v.type.dtype)!, count(v.type.shape))
  const size = data.length / v.type.shape[1]
  let at = 0
  for (const { value, from, rows } of v.parts) {
    const part = dataOf(value).subarray(from * size, (from + rows) * size)
    data.set(part as never, at)
    at += part.length
  }
  return data
}

/** A graph that runs as its operators' `eval` says. */
export function reference(graph: Graph): RunningModel {
  const inputs = graph.inputs.map(portOf)
  const outputs = graph.outputs.map(portOf)
  const kept = valuesOf(graph).filter((v) => v.data && v.storage !== 'const')
  const state = new Map<Value, Data>()
  const reset = () => {
    for (const v of kept) state.set(v, v.data!.slice())
  }
  reset()

  const trace = (given: readonly Data[]): Trace => {
    checkInputs(inputs, given)
    const known = new Map<Value, Data>(state)
    graph.inputs.forEach((v, i) => {
      known.set(v, given[i])
    })
    const dataOf = (v: Value): Data =>
      known.get(v) ?? v.data ?? joined(v, dataOf) ?? bug(`"${v.name}" is read before it is computed`)
    const tensors = graph.nodes.flatMap((node) => {
      const results = node.op.eval(
        node,
        node.inputs.map((v) => v && dataOf(v)),
      )
      if (results.length !== node.outputs.length)
        bug(`${layer(node)} computes ${results.length} outputs of ${node.outputs.length}`)
      return node.outputs.map((value, i) => {
        known.set(value, results[i])
        return { value, data: results[i] }
      })
    })
    return { outputs: graph.outputs.map((v) => dataOf(v).slice()), tensors }
  }
  return { inputs, outputs, reset, trace, run: (given) => trace(given).outputs }
}
