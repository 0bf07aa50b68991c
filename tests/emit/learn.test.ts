import { describe, expect, test } from 'vitest'
import { emitC } from '../../src/emit/c/program.ts'
import { compile } from '../../src/emit/program.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { bytesOf } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import type { Data } from '../../src/loops/ir.ts'
import type { Plan } from '../../src/plan/plan.ts'
import { deviceFile } from '../../src/run/device.ts'
import { hostCompiler, SANITIZED, STRICT } from '../../src/run/host_c.ts'
import { inDirectory, runTool } from '../../src/run/host_tool.ts'
import { runPlan } from '../../src/run/interpreter.ts'
import { type StepOptions, trainingStep } from '../../src/train/step.ts'
import { int8Net, net, sample } from '../train/pictures.ts'

const CC = hostCompiler()
const RATE = 0.05

const bytes = (d: Data) => new Uint8Array(d.buffer, d.byteOffset, d.byteLength)

/** What device/learning.c is to know, and what it says. */
function learn(plan: Plan, steps: readonly { readonly input: Data; readonly label: Data }[]): string {
  const { label, classes } = plan.learning!
  const float = label.type.dtype === 'f32'
  const list = (data: Data) =>
    `{${Array.from(data as Float32Array, (x) => (float ? `${Number(x).toExponential(8)}f` : `${x}`)).join(', ')}}`
  const [x] = plan.graph.inputs
  const header = `#include <stdint.h>
typedef ${float ? 'float' : 'int32_t'} learn_label_t;
#define LEARN_BYTES ${bytesOf(x.type)}
#define LEARN_RATE ${RATE}f
#define LEARN_NAN ${x.type.dtype === 'f32' && !plan.streamed ? 1 : 0}
#define LEARN_NONE ${classes === undefined ? 'NAN' : `-1, ${classes}, INT32_MIN, INT32_MAX`}
static const uint8_t learn_inputs[] = {${steps.map((s) => [...bytes(s.input)]).join(', ')}};
static const learn_label_t learn_labels[][${steps[0].label.length}] = {${steps.map((s) => list(s.label)).join(', ')}};
`
  const files = [...emitC(plan, 'model').files, deviceFile('learning.c'), { name: 'learning_model.h', text: header }]
  return inDirectory(files, (directory) => {
    runTool(CC!, [...STRICT, '-c', '-o', 'strict.o', 'model.c'], { directory })
    runTool(CC!, [...SANITIZED, '-c', '-o', 'model.o', 'model.c'], { directory })
    runTool(CC!, [...SANITIZED.filter((f) => !f.startsWith('-std')), '-o', 'program', 'learning.c', 'model.o', '-lm'], {
      directory,
    })
    return `${Buffer.from(runTool(`${directory}/program`, [], { directory, timeoutSeconds: 60 }))}`.trim()
  })
}

const CASES: readonly [string, () => Graph | Promise<Graph>, StepOptions][] = [
  ['float32, everything', () => net(), { learn: 'full' }],
  ['float32, momentum', () => net(), { learn: 'last', optimizer: { kind: 'momentum' } }],
  ['int8, the last two layers', int8Net, { learn: 'last-2' }],
  ['int8, a new classifier', int8Net, { learn: 'bias-last-2', classes: 4 }],
]

describe.skipIf(!CC)('a program that learns', () => {
  test.each(CASES)('%s: survives misuse and power cuts, and learns what the plan does', async (_, graph, options) => {
    const { plan } = compile(trainingStep(await graph(), options).graph, { target: 'c', name: 'model' })
    const random = new Xorshift32(8)
    const [x, label] = plan.graph.inputs
    const steps = [0, 1].map(() => {
      const s = sample(random)
      const input = x.type.dtype === 'i8' ? Int8Array.from(s.image, (v) => Math.round(64 * v)) : s.image
      return { input, label: label.type.dtype === 'i32' ? Int32Array.of(s.label) : Float32Array.of(1, 0, 0) }
    })
    const runner = runPlan(plan, 0)
    for (const { input, label } of steps) runner.run([input, label, Float32Array.of(RATE)])
    const said = learn(plan, steps)
    expect(said).toMatch(/^done /)
    const state = Buffer.from(said.slice(5), 'hex')
    const params = runner
      .run([steps[0].input, Int32Array.of(-1), Float32Array.of(0)])
      .slice(plan.graph.learns!.outputs + 1)
    const outputs = plan.graph.outputs.slice(plan.graph.learns!.outputs + 1)
    expect(outputs.length).toBeGreaterThan(1)
    for (const [i, v] of outputs.entries()) {
      const { offset, bytes: n } = plan.places.get(v)!
      expect(state.subarray(offset, offset + n).equals(bytes(params[i])), v.name).toBe(true)
    }
  })
})
