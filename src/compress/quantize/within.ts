// A float32 model quantised so that it fits limits of RAM and flash: 8 bits where they do, 4 or 2 where they must. The choice is
// made on estimates of bytes, and what counts is the plan of the compiled program: as far as that is beyond a limit, the choice
// is made again with so much less.

import { planOf } from '../../emit/program.ts'
import { BudgetError } from '../../errors.ts'
import type { Graph, Node, Value } from '../../ir/graph.ts'
import type { Plan } from '../../plan/plan.ts'
import {
  bytesOfTensors,
  bytesOfWeights,
  tensorsByRules,
  tensorsExactly,
  weightsByRules,
  weightsExactly,
} from './choose.ts'
import {
  type BitWidths,
  type Calibrated,
  calibrated,
  nearestDecisions,
  type Quantized,
  type QuantizeOptions,
  quantizeCalibrated,
} from './quantize.ts'
import { formOf, toIntegers } from './rewrite.ts'
import type { Samples } from './run.ts'
import { narrowClasses, weightedNodes } from './scales.ts'
import { type Sensitivity, sensitivityOf, some } from './sensitivity.ts'

export const CHOOSERS = ['exact', 'rules'] as const

/** Limits in bytes of what the compiled program takes: its arena, and its weight segment. */
export interface Within {
  readonly sram?: number
  readonly flash?: number
  /** For which the program is compiled. */
  readonly target: string
  readonly choose: (typeof CHOOSERS)[number]
  /** Samples on which the noise of fewer bits is measured. Default 32. */
  readonly samples?: number
}

/** A model that fits, its bits (none below 8 where those fit), and what the one with 8 bits takes. */
export interface Fitted {
  readonly quantized: Quantized
  readonly bits: BitWidths
  readonly eight: Pick<Plan, 'arenaBytes' | 'weightBytes'>
}

const ROUNDS = 10
/** An estimate is good enough that leaves so little of the limit, as a share. */
const SPARE = 0.01

/** The estimate of bytes with which a choice meets a limit that what is compiled must meet. */
class Estimate {
  next: number
  /** The largest that is known to fit, the least that is known not to. */
  fits: number | undefined
  done = false
  private beyond = Number.POSITIVE_INFINITY
  private readonly limit: number

  constructor(limit: number) {
    this.limit = limit
    this.next = limit
    if (limit === Number.POSITIVE_INFINITY) {
      this.fits = limit
      this.done = true
    }
  }

  /** What was chosen for `next` is estimated at so many bytes, and takes so many when it is compiled. */
  learn(estimate: number, compiled: number): void {
    if (this.done) return
    const over = compiled - this.limit
    if (over <= 0) this.fits = this.next
    else this.beyond = estimate
    const both = this.fits !== undefined && this.beyond < Number.POSITIVE_INFINITY
    const near = both && this.beyond - this.fits! <= SPARE * this.limit
    this.done = near || (over <= 0 && -over <= SPARE * this.limit)
    this.next = both
      ? (this.fits! + this.beyond) / 2
      : over > 0
        ? Math.min(estimate - 1, this.next - over)
        : this.next - over
  }
}

function planned(graph: Graph, target: string): Plan {
  return planOf(graph, { target, stage: 'none' })
}

/**
 * As `quantizeGraph`, within limits. Throws BudgetError where 2 bits, wherever they are possible, do not fit. Weights count
 * as stored by `target`, code does not.
 */
export async function quantizeWithin(
  graph: Graph,
  samples: Samples,
  options: QuantizeOptions,
  within: Within,
): Promise<Fitted> {
  const start = await calibrated(graph, samples, options)
  const { float } = start
  const { target, sram = Number.POSITIVE_INFINITY, flash = Number.POSITIVE_INFINITY } = within
  const layers = weightedNodes(float)
  const sizes = new Map(layers.map((node) => [node, node.inputs[formOf(node)!.weights!.input]!.data!.length]))
  const classes = narrowClasses(float)
  const trial = (bits: BitWidths) =>
    planned(toIntegers(float, nearestDecisions(start, { ...options, bits })).graph, target)
  const none: BitWidths = { weights: new Map(), activations: new Map() }
  const fits = (plan: Plan) => plan.arenaBytes <= sram && plan.weightBytes <= flash
  const first = trial(none)
  const made = async (bits: BitWidths): Promise<Fitted> => ({
    quantized: await quantizeCalibrated(start, samples, { ...options, bits }),
    bits,
    eight: first,
  })
  if (fits(first)) return made(none)

  const { tell = () => {} } = options
  const measured = { weights: flash < Number.POSITIVE_INFINITY, activations: sram < Number.POSITIVE_INFINITY }
  const noises =
    within.choose === 'exact'
      ? await sensitivityOf(start, some(samples, within.samples ?? 32), options, measured, tell)
      : undefined
  const rest = first.weightBytes - [...sizes.values()].reduce((a, b) => a + b, 0)
  const chosen = (ram: number, bytes: number) => {
    const found = choice(start, classes, sizes, noises, ram, bytes - rest)
    return found && { ...found, bytes: found.bytes + rest }
  }
  const [ram, bytes] = [new Estimate(sram), new Estimate(flash)]
  let nearest = first
  let known: BitWidths | undefined
  for (let round = 0; round < ROUNDS && !(ram.done && bytes.done); round++) {
    const tried = chosen(ram.next, bytes.next)
    if (!tried) break
    nearest = trial(tried.bits)
    if (fits(nearest)) known = tried.bits
    ram.learn(tried.ram, nearest.arenaBytes)
    bytes.learn(tried.bytes, nearest.weightBytes)
  }
  // what fits each limit by itself
  const both = ram.fits === undefined || bytes.fits === undefined ? undefined : chosen(ram.fits, bytes.fits)?.bits
  if (both && fits(trial(both))) known = both
  if (known) return made(known)
  const two = trial({
    weights: new Map(layers.map((node) => [node, 2])),
    activations: new Map(classes.flat().map((v) => [v, 'u2'])),
  })
  const beyond = [
    ...(sram < Number.POSITIVE_INFINITY ? [`${two.arenaBytes} bytes of RAM (limit ${sram})`] : []),
    ...(flash < Number.POSITIVE_INFINITY ? [`${two.weightBytes} bytes of weights (limit ${flash})`] : []),
  ]
  throw new BudgetError(
    graph.name,
    `needs ${beyond.join(' and ')} with 2 bits wherever they are possible, nearest try: ${nearest.arenaBytes} and ${nearest.weightBytes}`,
    "the model's own inputs and outputs keep 8 bits: a smaller input, or rows of layers (mote compile --sram), take less RAM",
  )
}

interface Found {
  readonly bits: BitWidths
  /** What they are estimated at. */
  readonly ram: number
  readonly bytes: number
}

function choice(
  { float }: Calibrated,
  classes: readonly (readonly Value[])[],
  sizes: ReadonlyMap<Node, number>,
  noises: Sensitivity | undefined,
  ram: number,
  bytes: number,
): Found | undefined {
  const weights =
    noises && bytes < Number.POSITIVE_INFINITY ? weightsExactly(sizes, noises, bytes) : weightsByRules(sizes, bytes)
  const tensors =
    noises && ram < Number.POSITIVE_INFINITY ? tensorsExactly(float, noises, ram) : tensorsByRules(float, classes, ram)
  if (!weights || !tensors) return undefined
  const activations = [...tensors].flatMap(([members, bits]) =>
    bits === 8 ? [] : members.map((v): [Value, 'u4' | 'u2'] => [v, bits === 4 ? 'u4' : 'u2']),
  )
  return {
    bits: { weights, activations: new Map(activations) },
    ram: bytesOfTensors(float, tensors),
    bytes: bytesOfWeights(sizes, weights),
  }
}
