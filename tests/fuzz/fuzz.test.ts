// Damaged files through both importers and the compiler behind them. `MOTE_FUZZ=200000 npx vitest run tests/fuzz` tries
// that many; `MOTE_FUZZ_SEED=n` begins at mutant n, which with MOTE_FUZZ=1 repeats a failure by the number it printed.
// MOTE_FUZZ_ALL=1 goes on after a fault and lists each kind of fault once.

import { Worker } from 'node:worker_threads'
import { afterAll, describe, expect, it } from 'vitest'
import { Xorshift32 } from '../../src/ir/random.ts'
import { attempt, OUTCOMES, type Outcome } from './attempt.ts'
import { mutate, mutateProtobuf, sweep, sweepProtobuf } from './mutate.ts'
import { onnxSeeds, type Seed, sharedSeeds, tfliteSeeds } from './seeds.ts'

const MUTANTS = Number(process.env.MOTE_FUZZ ?? 10_000)
const FIRST = Number(process.env.MOTE_FUZZ_SEED ?? 0)
/** Limits for one mutant, in seconds of the processor, and for the memory of the whole process. */
const SECONDS = 5
const MEGABYTES = 1500

/** The number of the mutant that is being tried, -1 between tests: the watchdog looks at it. */
const beat = new Int32Array(new SharedArrayBuffer(4)).fill(-1)
const watchdog = new Worker(new URL('./watchdog.mjs', import.meta.url), { workerData: { beat, seconds: 20 } })
afterAll(() => watchdog.terminate())

type Mutate = typeof mutate
type Sweep = typeof sweep

interface Mutant extends Seed {
  readonly i: number
}

function mutant(seeds: readonly Seed[], i: number, change: Mutate): Seed {
  const random = new Xorshift32(Math.imul(i + 1, 2654435761))
  for (let n = 0; n < 4; n++) random.next()
  const { name, bytes } = seeds[i % seeds.length]
  const other = seeds[random.between(0, seeds.length - 1)].bytes
  return { name, bytes: change(bytes, other, random) }
}

/** The part of a stack that tells one fault from another. */
function kindOf(stack: string): string {
  return stack
    .split('\n')
    .slice(0, 2)
    .join(' ')
    .replaceAll(/"[^"]*"|-?[\d.]+ /g, '')
}

/** Mutants `FIRST` to `FIRST + count - 1` of `seeds`, taken in turn. */
function* mutants(seeds: readonly Seed[], count: number, change: Mutate): Generator<Mutant> {
  for (let i = FIRST; i < FIRST + count; i++) yield { ...mutant(seeds, i, change), i }
}

/** One in `step` of all files in which one number is an extreme one. */
function* extremes(seeds: readonly Seed[], step: number, each: Sweep): Generator<Mutant> {
  let i = 0
  for (const { name, bytes } of seeds)
    for (const make of each(bytes)) {
      if (i >= FIRST && (i - FIRST) % step === 0) yield { i, name, bytes: make() }
      i++
    }
}

async function fuzz(files: Iterable<Mutant>): Promise<Record<Outcome, number>> {
  const outcomes = Object.fromEntries(OUTCOMES.map((o) => [o, 0])) as Record<Outcome, number>
  const faults = new Map<string, string>()
  for (const { i, name, bytes } of files) {
    Atomics.store(beat, 0, i)
    const before = process.cpuUsage()
    try {
      outcomes[await attempt(bytes)]++
      const { user, system } = process.cpuUsage(before)
      const seconds = (user + system) / 1e6
      if (seconds > SECONDS) throw new Error(`took ${seconds.toFixed(1)} s`)
      const megabytes = process.resourceUsage().maxRSS / 1024
      if (megabytes > MEGABYTES) throw new Error(`took the process to ${megabytes.toFixed(0)} MB`)
    } catch (e) {
      const origin = e instanceof Error && e.cause ? e.cause : e
      const stack = origin instanceof Error ? (origin.stack ?? origin.message) : String(origin)
      const fault = `mutant ${i} of "${name}": ${stack.split('\n').slice(0, 9).join('\n')}`
      if (!process.env.MOTE_FUZZ_ALL) throw new Error(fault)
      if (!faults.has(kindOf(stack))) faults.set(kindOf(stack), fault)
    }
  }
  Atomics.store(beat, 0, -1)
  if (faults.size > 0) throw new Error(`${faults.size} faults\n${[...faults.values()].join('\n\n')}`)
  return outcomes
}

function report(what: string, outcomes: Record<Outcome, number>): void {
  console.log(what, OUTCOMES.map((o) => `${outcomes[o]} ${o}`).join(', '))
}

function suite(format: '.tflite' | '.onnx', own: readonly Seed[], share: number, change: Mutate, each: Sweep): void {
  const count = Math.ceil(MUTANTS * share)
  const timeout = 120_000 + count * 50
  describe(`a damaged ${format} file`, () => {
    it('was one that loads, compiles and runs', async () => {
      for (const { name, bytes } of own) expect(await attempt(bytes), name).toBe('ran')
    })

    it(
      'is refused, or compiles and runs, in bounded time and memory',
      async () => {
        const outcomes = await fuzz(mutants(own, count, change))
        report(format, outcomes)
        if (count < 1000) return
        expect(outcomes.refused).toBeGreaterThan(count / 10)
        expect(outcomes.ran).toBeGreaterThan(count / 20)
      },
      timeout,
    )

    it(
      'is answered where any one of its numbers is an extreme one',
      async () => {
        const all = own.reduce((n, seed) => n + [...each(seed.bytes)].length, 0)
        report(`${format}, extreme numbers`, await fuzz(extremes(own, Math.ceil(all / (count / 2)), each)))
      },
      timeout,
    )

    const shared = sharedSeeds(format)
    if (shared.length === 0)
      it.skip('is answered also where it was a real model: the shared models are missing', () => {})
    else
      it(
        'is answered also where it was a real model',
        async () => {
          const known: Seed[] = []
          for (const seed of shared) if ((await attempt(seed.bytes)) !== 'refused') known.push(seed)
          report(`${format}, ${known.length} shared models`, await fuzz(mutants(known, Math.ceil(count / 5), change)))
        },
        timeout,
      )
  })
}

suite('.tflite', tfliteSeeds(), 0.6, mutate, sweep)
suite('.onnx', onnxSeeds(), 0.4, mutateProtobuf, sweepProtobuf)
