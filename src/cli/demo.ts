// `mote demo`: builds a small net, compiles it to WebAssembly, and runs it on pictures that are drawn as text.

import { compile } from '../emit/program.ts'
import { bytesText, countText, timeText } from '../report/figures.ts'
import { topScores } from '../report/scores.ts'
import { instantiate } from '../run/instantiate.ts'
import type { Command } from './command.ts'
import { demoInputs, demoLabels, demoNet } from './demo_net.ts'
import { measure } from './measure.ts'
import { bar } from './numbers.ts'
import { planJson } from './plan.ts'

const BAR = 12
const GAP = '   '

/** Blocks of lines, `columns` of them beside each other. */
function sideBySide(blocks: readonly (readonly string[])[], columns: number): string {
  const width = Math.max(...blocks.flat().map((line) => line.length))
  const rows: string[] = []
  for (let i = 0; i < blocks.length; i += columns) {
    const row = blocks.slice(i, i + columns)
    const height = Math.max(...row.map((block) => block.length))
    for (let k = 0; k < height; k++)
      rows.push(
        row
          .map((block) => (block[k] ?? '').padEnd(width))
          .join(GAP)
          .trimEnd(),
      )
    rows.push('')
  }
  return rows.slice(0, -1).join('\n')
}

export const demo: Command = {
  name: 'demo',
  args: [],
  summary: 'build, compile and run a small net on drawn pictures',
  options: [],
  async run() {
    const program = compile(demoNet(), { target: 'wasm' })
    const model = await instantiate(program)
    const inputs = demoInputs()
    const results = inputs.map(({ label, picture, data }) => {
      const scores = topScores(model.outputs[0].type, model.run([data])[0], demoLabels.length, demoLabels)
      return { label, picture, scores, right: scores[0].label === label }
    })
    const [{ minUs, medianUs }] = measure([{ run: () => model.run([inputs[0].data]), runs: 30, fill: false }])

    const { plan } = program
    const wide = Math.max(...demoLabels.map((l) => l.length))
    const blocks = results.map(({ label, picture, scores, right }) => {
      const byLabel = demoLabels.map((l) => scores.find((s) => s.label === l)!)
      const bars = byLabel.map(({ label: l, score }) => {
        const mark = l === scores[0].label ? (right ? ' ✓' : ` ✗ (drawn: ${label})`) : ''
        return `${l.padEnd(wide)} ${score.toFixed(2)} ${bar(score, BAR)}${mark}`
      })
      const width = Math.max(...picture.map((line) => line.length))
      return Array.from(
        { length: Math.max(picture.length, bars.length) },
        (_, i) => `  ${(picture[i] ?? '').padEnd(width)}${GAP}${bars[i] ?? ''}`,
      )
    })
    const right = results.filter((r) => r.right).length
    const wasm = program.wasm!.length
    return {
      failed: right < results.length,
      json: {
        results: results.map(({ label, scores, right }) => ({ label, top: scores, right })),
        plan: planJson(plan),
        moduleBytes: wasm,
        minUs,
        medianUs,
      },
      text: [
        `A net of ${plan.graph.nodes.length} layers and ${countText(plan.macs)} multiply-accumulates, compiled here to a WebAssembly module of ${bytesText(wasm)}:`,
        '',
        sideBySide(blocks, 2),
        '',
        `${right} of ${results.length} right. ${timeText(medianUs)} a run (median), ${bytesText(plan.arenaBytes)} of memory for tensors, ${bytesText(plan.weightBytes)} of weights.`,
        'Your own model: npx mote inspect model.tflite',
      ].join('\n'),
    }
  },
}
