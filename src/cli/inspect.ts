// `mote inspect`: what is in a model file, layer by layer, what the passes do to it, and the memory of its program over time.

import { staged } from '../emit/program.ts'
import { runPasses } from '../passes/index.ts'
import { bytesText } from '../report/figures.ts'
import { pageOf } from '../report/page.ts'
import { reportOf } from '../report/report.ts'
import { PLAIN, reportText } from '../report/terminal.ts'
import { TARGET_NAMES, targetOf } from '../targets/index.ts'
import type { Command } from './command.ts'
import { writePage } from './files.ts'
import { MODEL_OPTIONS, openModel, tensorId, typeJson } from './model.ts'
import { parseChoice } from './numbers.ts'
import { EXTERNAL_OPTIONS, externalChoiceOf } from './plan.ts'

export const inspect: Command = {
  name: 'inspect',
  args: [['<model>', 'a .tflite or .onnx file']],
  summary: 'show the layers of a model, what they cost, and the memory that a program needs',
  options: [
    ...MODEL_OPTIONS,
    ['--target <name>', `whose plan to show: ${TARGET_NAMES.join(', ')}`, 'c'],
    ...EXTERNAL_OPTIONS,
    ['--passes', 'with what each pass of the compiler changes'],
    ['--all', 'every layer of a long model'],
    ['--html <file>', 'write everything as one page for a browser'],
    ['--force', 'overwrite a page that mote did not write'],
  ],
  async run([path], options, io) {
    const target = targetOf(parseChoice(String(options.target), '--target', TARGET_NAMES))
    const choice = externalChoiceOf(options)
    const { graph, bytes, format } = await openModel(path, options)
    const plan = choice.external ? staged(runPasses(graph), target, { stage: 'none', ...choice }) : undefined
    const report = reportOf(graph, target, plan)
    const title = `${path}  ${format}, ${bytesText(bytes.length)}, ${report.layers.length} layers`
    const html = options.html === undefined ? undefined : String(options.html)
    if (html !== undefined) await writePage(html, await pageOf(report, title), options.force === true)

    const port = (v: (typeof graph.inputs)[number]) => ({ name: v.name, tensor: tensorId(v), ...typeJson(v.type) })
    const { layers, passes, macs, weightBytes, refused } = report
    const text = reportText(
      report,
      { title, all: options.all === true, passes: options.passes === true },
      io.terminal ?? PLAIN,
    )
    return {
      json: {
        ...{ format, model: path, inputs: graph.inputs.map(port), outputs: graph.outputs.map(port) },
        ...{ layers, macs, weightBytes, passes },
        ...(report.plan && { plan: { ...report.plan, stages: [], inputHeld: true } }),
        ...(refused && { refused }),
        ...(html !== undefined && { html }),
      },
      text: html === undefined ? text : `${text}\n\nwrote ${html}: open it in a browser`,
    }
  },
}
