// The invariants of a graph: every value is defined once and before it is read, constants hold their data, every
// operator accepts its node, and no buffer is taken over while something still needs it.

import { ModelError } from '../errors.ts'
import { count, elemOfData } from '../loops/ir.ts'
import { layer } from './build.ts'
import { bytesOf, elemOf, type Graph, inputsOf, type Value, valuesRead } from './graph.ts'
import { checkType } from './limits.ts'

/** Returns the graph, or throws ModelError that names the layer and what is wrong. */
export function verify(graph: Graph): Graph {
  const names = new Map<string, Value>()
  const defined = new Set<Value>()
  const gone = new Map<Value, string>()

  const define = (v: Value, where: string) => {
    if (defined.has(v)) throw new ModelError(where, `value "${v.name}" is defined twice`)
    const other = names.get(v.name)
    if (other && other !== v) throw new ModelError(where, `two values are named "${v.name}"`)
    checkType(v.type, `${where}, value "${v.name}"`)
    names.set(v.name, v)
    defined.add(v)
  }

  for (const v of graph.inputs) define(v, `input "${v.name}"`)

  const last = new Map<Value, number>()
  graph.nodes.forEach((node, i) => {
    for (const v of valuesRead(node)) last.set(v, i)
  })
  for (const v of graph.outputs) last.set(v, graph.nodes.length)

  let level = new Set<Value>()
  graph.nodes.forEach((node, i) => {
    const where = layer(node)
    if (!node.beside) level = new Set()
    for (const v of valuesRead(node))
      if (level.has(v)) throw new ModelError(where, `reads "${v.name}", which is computed at the same time`)
    for (const v of node.outputs) level.add(v)
    if (node.beside && (node.inPlace !== undefined || node.op.writesState))
      throw new ModelError(where, 'overwrites what may be read at the same time')
    for (const v of valuesRead(node)) {
      if (gone.has(v)) throw new ModelError(where, `reads "${v.name}", whose buffer ${gone.get(v)} took over`)
      if (defined.has(v)) continue
      if (v.storage === 'temp') throw new ModelError(where, `reads "${v.name}" before it is computed`)
      if (!v.data) throw new ModelError(where, `${v.storage} "${v.name}" has no data`)
      const elem = elemOf(v.type.dtype)
      if (elem && (elemOfData(v.data) !== elem || v.data.length !== count(v.type.shape)))
        throw new ModelError(
          where,
          `${v.storage} "${v.name}" is ${v.type.dtype}[${v.type.shape}], its data ${elemOfData(v.data)} with ${v.data.length} elements`,
        )
      define(v, where)
    }
    for (const v of inputsOf(node)) {
      const size = bytesOf(v.type) / v.type.shape[1]
      const whole = v.parts?.every(
        ({ value, from, rows }) =>
          from >= 0 && (from + rows) * size <= bytesOf(value.type) && value.type.dtype === v.type.dtype,
      )
      if (whole === false || (v.parts && v.parts.reduce((n, p) => n + p.rows, 0) !== v.type.shape[1]))
        throw new ModelError(where, `reads "${v.name}", whose parts do not make ${v.type.shape[1]} rows`)
    }
    if (node.gathers && inputsOf(node).reduce((n, v) => n + bytesOf(v.type), 0) !== bytesOf(node.outputs[0].type))
      throw new ModelError(where, `gathers parts that do not fill "${node.outputs[0].name}"`)
    node.op.check(node)
    if (node.op.writesState) {
      const target = node.inputs[0]
      if (!target || (target.storage !== 'state' && target.storage !== 'param'))
        throw new ModelError(where, `writes "${target?.name}", which is ${target?.storage}, not state`)
    }
    if (node.inPlace !== undefined) {
      const v = node.inputs[node.inPlace]
      if (!v || v.storage !== 'temp' || last.get(v) !== i)
        throw new ModelError(where, `takes over the buffer of "${v?.name}", which is still needed`)
      if (bytesOf(node.outputs[0].type) > bytesOf(v.type))
        throw new ModelError(
          where,
          `needs ${bytesOf(node.outputs[0].type)} bytes in place of "${v.name}", which has ${bytesOf(v.type)}`,
        )
      gone.set(v, where)
    }
    for (const v of node.outputs) define(v, where)
  })

  const { learns } = graph
  if (learns && (graph.inputs.length !== learns.inputs + 2 || graph.outputs.length < learns.outputs + 1))
    throw new ModelError(
      graph.name,
      `learns with ${graph.inputs.length} inputs and ${graph.outputs.length} outputs; expected ${learns.inputs + 2}, and at least ${learns.outputs + 1}`,
    )
  for (const v of graph.outputs)
    if (!defined.has(v) && v.storage === 'temp') throw new ModelError(`output "${v.name}"`, 'is never computed')
  return graph
}
