// Takes one damaged file as far as it goes: read, compiled, run. The answer is how far that was; whatever is thrown that
// is not the user's fault is a fault of ours. Small programs also run in the interpreter, which looks at every index.

import { compile, type Program } from '../../src/emit/program.ts'
import { MoteError } from '../../src/errors.ts'
import { NOT_UNDERSTOOD } from '../../src/import/fault.ts'
import { readModel } from '../../src/import/read.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import type { Data, Stmt } from '../../src/loops/ir.ts'
import { inside } from '../../src/loops/walk.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { runPlan } from '../../src/run/interpreter.ts'

export const OUTCOMES = ['refused', 'not compiled', 'not run', 'ran'] as const
export type Outcome = (typeof OUTCOMES)[number]

/** Programs beyond this are compiled and not run: iterations of innermost statements, bytes of memory. */
const ITERATIONS = 2_000_000
const MEMORY = 2 ** 24
/** Programs up to this are also interpreted. */
const INTERPRETED = 3000

/** How often the statements of `s` run at most. */
function iterations(s: Stmt): number {
  const within = inside(s).reduce((sum, t) => sum + iterations(t), 0)
  return s.s === 'for' ? Math.max(1, within) * s.extent : Math.max(1, within)
}

/** What `work` gives, or undefined where it threw a fault of the user's. Anything else is thrown on. */
function unlessRefused<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (e) {
    if (!(e instanceof MoteError)) throw e
    if (e.hint === NOT_UNDERSTOOD)
      throw new Error(`was caught where an operator is read: ${e.message}`, { cause: e.cause })
    return undefined
  }
}

/** Bytes, with every NaN the same. */
function bits(data: Data): string {
  if (data instanceof Float32Array || data instanceof Float64Array)
    return data.map((x) => (Number.isNaN(x) ? Number.NaN : x)).join()
  return data.join()
}

async function run({ plan, ...program }: Program, steps: number): Promise<void> {
  const random = new Xorshift32(1)
  const inputs = plan.graph.inputs.map((v) => random.fill(v.type))
  const model = await instantiate({ plan, ...program })
  model.reset()
  const outputs = model.run(inputs)
  if (steps > INTERPRETED) return
  const expected = runPlan(plan, 0x55).run(inputs)
  outputs.forEach((y, i) => {
    if (bits(y) !== bits(expected[i])) throw new Error(`output ${i} is ${bits(y)}, interpreted ${bits(expected[i])}`)
  })
}

export async function attempt(bytes: Uint8Array): Promise<Outcome> {
  const graph = unlessRefused(() => readModel(bytes))
  if (!graph) return 'refused'
  const program = unlessRefused(() => compile(graph))
  if (!program) return 'not compiled'
  const { plan } = program
  const steps = plan.steps.reduce((sum, step) => sum + iterations(step.call.kernel.body), 0)
  if (plan.arenaBytes + plan.weightBytes > MEMORY || steps > ITERATIONS) return 'not run'
  await run(program, steps)
  return 'ran'
}
