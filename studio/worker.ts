// Compiles and runs beside the page, so that the page stays alive and can end it at any step.

import { demoLabels, demoNet } from '../src/cli/demo_net.ts'
import { snippet } from '../src/cli/snippet.ts'
import { PROJECT_TARGETS, projectFiles } from '../src/emit/c/project.ts'
import { webFiles } from '../src/emit/js/files.ts'
import { checkBudget, type OutputFile, type Program, programOf, staged } from '../src/emit/program.ts'
import { MoteError } from '../src/errors.ts'
import { readModel } from '../src/import/read.ts'
import { type Graph, printTensorType } from '../src/ir/graph.ts'
import { Xorshift32 } from '../src/ir/random.ts'
import { runPasses } from '../src/passes/index.ts'
import type { Plan } from '../src/plan/plan.ts'
import { type ModelReport, reportOf } from '../src/report/report.ts'
import { realOf, topScores } from '../src/report/scores.ts'
import { instantiate } from '../src/run/instantiate.ts'
import { targetOf } from '../src/targets/index.ts'
import type { Answer, Compiled, Job, Question, Ran, Refused, Step } from './protocol.ts'

const SHOWN_SCORES = 5
const SHOWN_VALUES = 16

const say = (answer: Answer) => self.postMessage(answer)
const step = (now: Step) => say({ step: now })

function read({ model, shapes }: Job): Graph {
  const [main, ...others] = model.files
  if (!main) return demoNet()
  const external = (name: string) => {
    const file = others.find((f) => f.name === name.replace(/^.*[/\\]/, ''))
    if (!file) throw new MoteError(main.name, `keeps weights in "${name}"`, 'drop both files together')
    return file.bytes
  }
  const graph = readModel(main.bytes, { external, ...(shapes && { shapes }) })
  return { ...graph, name: model.name }
}

/** Why a job has no program, and how far it got. */
function refusal(error: unknown, report?: ModelReport): Refused {
  if (error instanceof MoteError)
    return { message: error.message, ours: false, ...(error.hint && { hint: error.hint }), ...(report && { report }) }
  return { message: error instanceof Error ? error.message : String(error), ours: true }
}

/** None where the program's own files have the names of the project's. */
function projectOf(program: Program): readonly OutputFile[] {
  if (!PROJECT_TARGETS.includes(program.target)) return []
  try {
    return projectFiles(program)
  } catch (error) {
    if (error instanceof MoteError) return []
    throw error
  }
}

function compile(job: Job): { readonly compiled: Compiled; readonly program: Program } | { readonly refused: Refused } {
  const start = performance.now()
  const target = targetOf(job.target)
  let graph: Graph | undefined
  let plan: Plan | undefined
  try {
    step('read')
    graph = read(job)
    step('passes')
    const passed = runPasses(graph)
    step('plan')
    plan = staged(passed, target, job)
    checkBudget(plan, job)
    step('emit')
    const program = programOf(graph, plan)
    const ms = performance.now() - start
    const report = reportOf(graph, target, plan)
    const files = program.wasm ? webFiles(program) : program.files
    return { program, compiled: { report, files, project: projectOf(program), snippet: snippet(program), ms } }
  } catch (error) {
    return { refused: refusal(error, graph && plan && reportOf(graph, target, plan)) }
  }
}

async function run(program: Program, seed: number, labels: readonly string[] | undefined): Promise<Ran> {
  const model = await instantiate(program)
  const random = new Xorshift32(seed)
  const inputs = model.inputs.map((port) => random.fill(port.type))
  const start = performance.now()
  const outputs = model.run(inputs)
  const us = (performance.now() - start) * 1000
  return {
    us,
    outputs: model.outputs.map(({ name, type }, i) => ({
      name,
      type: printTensorType(type),
      highest: topScores(type, outputs[i], SHOWN_SCORES, labels),
      values: Array.from(outputs[i].slice(0, SHOWN_VALUES) as ArrayLike<number | bigint>, (x) => realOf(type, x)),
      count: outputs[i].length,
    })),
  }
}

let known: { readonly job: string; readonly program: Program } | undefined

self.addEventListener('message', async ({ data }: MessageEvent<Question>) => {
  const { job, seed } = data
  const key = JSON.stringify([job.model.name, job.shapes, job.target, job.sram, job.flash])
  if (seed === undefined || known?.job !== key) {
    const made = compile(job)
    known = 'program' in made ? { job: key, program: made.program } : undefined
    say('program' in made ? { compiled: made.compiled } : made)
  }
  if (seed === undefined || !known) return
  try {
    say({ ran: await run(known.program, seed, job.model.files.length === 0 ? demoLabels : undefined) })
  } catch (error) {
    say({ refused: refusal(error) })
  }
})
