// `mote inspect`: what is in a model file, layer by layer, and what the plan of a program would need.

import { MoteError } from '../errors.ts'
import { bytesOf, type Graph } from '../ir/graph.ts'
import { runPasses } from '../passes/index.ts'
import { makePlan } from '../plan/make.ts'
import type { Plan } from '../plan/plan.ts'
import { TARGET_NAMES, targetOf } from '../targets/index.ts'
import type { Command } from './command.ts'
import { constantBytes, MODEL_OPTIONS, openModel, portLine, shortName, tensorId, typeJson } from './model.ts'
import { bytesText, countText, parseChoice, table } from './numbers.ts'
import { memoryChart, planJson, planLine } from './plan.ts'

function layersOf(graph: Graph) {
  return graph.nodes.map((node) => ({
    name: node.from,
    op: node.op.name,
    macs: node.op.cost(node).macs,
    weightBytes: constantBytes([node]),
    outputBytes: node.outputs.reduce((sum, v) => sum + bytesOf(v.type), 0),
  }))
}

export const inspect: Command = {
  name: 'inspect',
  args: [['<model>', 'a .tflite or .onnx file']],
  summary: 'show the layers of a model, what they cost, and the memory that a program needs',
  options: [...MODEL_OPTIONS, ['--target <name>', `whose plan to show: ${TARGET_NAMES.join(', ')}`, 'c']],
  async run([path], options) {
    const target = targetOf(parseChoice(String(options.target), '--target', TARGET_NAMES))
    const { graph, bytes, format } = await openModel(path, options)
    const layers = layersOf(graph)
    const macs = layers.reduce((sum, l) => sum + l.macs, 0)
    const weightBytes = constantBytes(graph.nodes)
    let plan: Plan | undefined
    let refused: MoteError | undefined
    try {
      plan = makePlan(runPasses(graph), target)
    } catch (error) {
      if (!(error instanceof MoteError)) throw error
      refused = error
    }

    const rows = layers.map((l) => [
      l.op,
      countText(l.macs),
      bytesText(l.weightBytes),
      bytesText(l.outputBytes),
      shortName(l.name),
    ])
    const total = ['total', countText(macs), bytesText(weightBytes), '', '']
    const text = [
      `${path}  ${format}, ${bytesText(bytes.length)}, ${layers.length} layers`,
      ...graph.inputs.map((v) => `  input   ${portLine(v)}`),
      ...graph.outputs.map((v) => `  output  ${portLine(v)}`),
      '',
      table(['layer', '>MACs', '>weights', '>output', 'name'], [...rows, total]),
      '',
      ...(plan ? [`plan for ${target.name}: ${planLine(plan)}`, '', memoryChart(plan)] : []),
      ...(refused ? [`no plan for ${target.name}: ${refused.report()}`] : []),
    ].join('\n')
    const port = (v: (typeof graph.inputs)[number]) => ({ name: v.name, tensor: tensorId(v), ...typeJson(v.type) })
    return {
      json: {
        format,
        model: path,
        inputs: graph.inputs.map(port),
        outputs: graph.outputs.map(port),
        layers,
        macs,
        weightBytes,
        ...(plan && { plan: { target: target.name, ...planJson(plan) } }),
        ...(refused && { refused: { where: refused.where, message: refused.message, hint: refused.hint } }),
      },
      text,
    }
  },
}
