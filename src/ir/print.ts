// The printed form of a graph: the text that goldens hold. First what is there before the first node (inputs, state,
// constants with the hash of their data), then one line for each node in execution order, then the outputs.

import { type Graph, inputsOf, type Node, printTensorType, type Value } from './graph.ts'
import { fingerprint } from './hash.ts'
import type { AttrValue } from './op.ts'

function printAttr(value: AttrValue): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value !== 'object') return Object.is(value, -0) ? '-0' : String(value)
  if (Array.isArray(value)) return `[${value.map(printAttr).join(', ')}]`
  const fields = Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .filter(([, v]) => v !== undefined)
    .map(([k, v]) => `${k}: ${printAttr(v)}`)
  return fields.length > 0 ? `{${fields.join(', ')}}` : '{}'
}

function printInput(v: Value | undefined): string {
  if (!v) return '-'
  return v.storage === 'temp' ? v.name : `${v.storage} ${v.name}`
}

/** `y = conv2d(x, const w, const b) {stride: [1, 1]} i8[1, 25, 5, 8] s=0.5 z=-3 in place of x` */
export function printNode(node: Node): string {
  const outputs = node.outputs.map((v) => v.name).join(', ')
  const attrs = printAttr(node.attrs)
  const target = node.inPlace === undefined ? '' : ` in place of ${node.inputs[node.inPlace]?.name}`
  const types = node.outputs.map((v) => printTensorType(v.type)).join('; ')
  return [
    ...(outputs ? [outputs, '='] : []),
    `${node.op.name}(${node.inputs.map(printInput).join(', ')})`,
    ...(attrs === '{}' ? [] : [attrs]),
    ...(types ? [types] : []),
  ]
    .join(' ')
    .concat(target)
}

/** The graph as text, one line for each node; equal text means equal graphs, constants by the hash of their data. */
export function printGraph(graph: Graph): string {
  const stored = new Set([...graph.nodes.flatMap(inputsOf), ...graph.outputs].filter((v) => v.data))
  const known = [...stored].map((v) => `  ${v.storage} ${v.name}: ${printTensorType(v.type)} #${fingerprint(v.data!)}`)
  return [
    `graph ${graph.name}`,
    ...graph.inputs.map((v) => `  input ${v.name}: ${printTensorType(v.type)}`),
    ...known,
    ...graph.nodes.map((node) => `  ${printNode(node)}`),
    `  output ${graph.outputs.map((v) => v.name).join(', ')}`,
    '',
  ].join('\n')
}
