// What a loader says of a program that learns: its ports are the model's own, `run` predicts, and there are a step of learning and the
// bytes of what was learnt.

import type { Graph } from '../../ir/graph.ts'
import { count } from '../../loops/ir.ts'
import type { Learning } from '../../plan/plan.ts'

/** How a program learns, as its loader needs it. */
export interface LearnOptions {
  /** How many inputs are the model's. */
  readonly inputs: number
  readonly classes?: number
  /** Elements of the label, or of the target. */
  readonly labels: number
  /** Some input is of floats. */
  readonly floats: boolean
}

export function learnOptions({ learns, inputs }: Graph, learning: Learning | undefined): LearnOptions | undefined {
  if (!learns || !learning) return undefined
  const labels = count(inputs[learns.inputs].type.shape)
  const floats = inputs.slice(0, learns.inputs).some((v) => v.type.dtype === 'f32')
  return { inputs: learns.inputs, labels, floats, ...(learning.classes !== undefined && { classes: learning.classes }) }
}

/** The graph with the model's own inputs and outputs only. */
export function ownPorts(graph: Graph): Graph {
  const { learns, inputs, outputs } = graph
  if (!learns) return graph
  return { ...graph, inputs: inputs.slice(0, learns.inputs), outputs: outputs.slice(1, learns.outputs + 1) }
}

/** Lines of `load` after the module is there. */
export function learnSetup({ inputs, classes, labels }: LearnOptions): string {
  const label = classes === undefined ? 'Float32Array' : 'Int32Array'
  return `
  const { memory, state, state_bytes, predicted, judged, steps, input${inputs}: labelAt, input${inputs + 1}: rateAt } = exports
  const learnt = new Uint8Array(memory.buffer, state.value, state_bytes.value)
  const [wanted, rateIn] = [new ${label}(memory.buffer, labelAt.value, ${labels}), new Float32Array(memory.buffer, rateAt.value, 1)]
  const lossOut = new Float32Array(memory.buffer, exports.output0.value, 1)
  const { run_layers } = exports
  let run = () => run_layers(0, predicted.value)
  let good = learnt.slice()`
}

/** Methods of the model. */
export function learnMethods({ classes, labels, floats }: LearnOptions): string {
  const check =
    classes === undefined
      ? `if (!target.every(Number.isFinite)) throw RangeError('the target holds what is no number')`
      : `for (const c of target) if (!(c >= 0 && c < ${classes} && Number.isInteger(c))) throw RangeError(\`label \${c}: classes are 0 to ${classes - 1}\`)`
  return `
    train(given, label, rate) {
      const target = typeof label === 'number' ? [label] : Array.from(label)
      if (target.length !== ${labels}) throw RangeError(\`\${target.length} labels, expected ${labels}\`)
      ${check}
      if (!(rate >= 0 && rate < Infinity)) throw RangeError(\`rate \${rate}: expected a finite number from 0 on\`)
      this.run(given)${
        floats
          ? `
      for (const [key] of to)
        if (given[key] instanceof Float32Array && !given[key].every(Number.isFinite)) throw RangeError(\`input "\${key}" holds what is no number\`)`
          : ''
      }
      wanted.set(target)
      rateIn[0] = rate
      run_layers(predicted.value, judged.value)
      const [loss] = lossOut
      if (!Number.isFinite(loss)) {
        learnt.set(good)
        throw RangeError(\`the loss is \${loss}: what was learnt goes back to before the last step\`)
      }
      good.set(learnt)
      run_layers(judged.value, steps.value)
      return loss
    },
    save: () => Uint8Array.from([...new Uint8Array(Int32Array.of(exports.layout.value).buffer), ...learnt]),
    restore(bytes) {
      const [layout] = new Int32Array(bytes.slice(0, 4).buffer)
      same('what was saved is of another program: layout', layout, exports.layout.value)
      same('what was saved is cut: bytes', bytes.length, learnt.length + 4)
      learnt.set(bytes.subarray(4))
      good = learnt.slice()
    },`
}

/** Types of these methods. */
export function learnTypes({ classes, labels }: LearnOptions): string {
  const what = classes === undefined ? 'numbers that the output should have been' : `a class from 0 to ${classes - 1}`
  return `
  /**
   * One step of learning from an input and its label (${labels === 1 ? what : `${labels} of them: ${what}`}). Returns the loss before it.
   * Throws RangeError where a label or the rate is none, or the loss is not finite; then nothing was changed, or the last step undone.
   */
  train(inputs: Readonly<Inputs>, label: ${labels === 1 && classes !== undefined ? 'number | ' : ''}ArrayLike<number>, rate: number): number
  /** What was learnt, as bytes that \`restore\` takes. */
  save(): Uint8Array
  /** Throws where the bytes are cut or of another program. */
  restore(bytes: Uint8Array): void
`
}
