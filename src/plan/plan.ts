// A plan: everything that is decided before a byte of code is printed. Which loops run, in which order, and where each
// buffer lives. Every printer and every report reads this and decides nothing of its own.

import type { Graph, Node, Value } from '../ir/graph.ts'
import type { Call } from '../ir/op.ts'
import type { Elem, Kernel } from '../loops/ir.ts'
import type { Stage } from '../passes/stage.ts'
import type { Target } from '../targets/target.ts'

/**
 * A byte range. `arena` is RAM (state first, then what lives for a part of the run), `weights` is the weight segment, `made` is
 * RAM that is written once, before the first run.
 */
export interface Place {
  readonly segment: 'arena' | 'weights' | 'made'
  readonly offset: number
  readonly bytes: number
}

/** One kernel call of the program: `places` has an entry for each of the kernel's buffers, in order. */
export interface Step {
  readonly node: Node
  readonly call: Call
  /** Which of the target's recipes shaped the loops. */
  readonly recipe: string
  readonly places: readonly Place[]
}

/** One array of the weight segment. */
export interface WeightEntry {
  /** The value's name, or the layer's and the buffer's for derived data. */
  readonly name: string
  readonly elem: Elem
  readonly length: number
  readonly offset: number
}

/** All constants of a program as one block of bytes that can be replaced without recompiling. */
export interface WeightSegment {
  readonly bytes: Uint8Array
  readonly entries: readonly WeightEntry[]
  /** Hash of names, types and offsets: two segments are interchangeable if and only if their layouts are equal. Eight hex digits. */
  readonly layoutId: string
  /** Hash of the bytes. Eight hex digits. */
  readonly hash: string
}

/** Constants that loops make from smaller ones before the first run. */
export interface MadeConstants {
  /** Of segment `made`. */
  readonly bytes: number
  /** Where what only these loops read begins in the weight segment, a multiple of the target's alignment. It is its end. */
  readonly sources: number
  readonly steps: readonly { readonly kernel: Kernel; readonly places: readonly Place[] }[]
}

/** What one layer of a plan costs: multiply-accumulates, bytes of constants, of output, and of all that is live. */
export interface LayerReport {
  readonly name: string
  readonly op: string
  readonly recipe: string
  readonly macs: number
  readonly weightBytes: number
  readonly outputBytes: number
  /** Sum of the live buffers' bytes while this layer runs, its scratch included. */
  readonly liveBytes: number
}

/** A compiled model before it is printed: its steps, the place of every buffer, the weights, and what it costs. */
export interface Plan {
  readonly graph: Graph
  readonly target: Target
  /** In execution order. A node whose work vanishes (a reshape in place) has no step. */
  readonly steps: readonly Step[]
  /** Where each value lives: inputs, outputs, intermediate tensors, state, and constants that steps read. */
  readonly places: ReadonlyMap<Value, Place>
  /**
   * State values, in the order of their places, and where their initial bytes stand in the weight segment: all of them, or the
   * one element that is repeated.
   */
  readonly state: readonly { readonly value: Value; readonly place: Place; readonly initial: Place }[]
  /** Bytes of RAM for tensors and scratch, alignment and fragmentation included. */
  readonly arenaBytes: number
  /** The largest sum of live bytes at any step: no placement needs less. */
  readonly lowerBoundBytes: number
  readonly weights: WeightSegment
  readonly weightBytes: number
  /** Constants that are not stored but made from others; absent where all are stored. */
  readonly made?: MadeConstants
  readonly macs: number
  readonly layers: readonly LayerReport[]
  /** Runs of layers that go piece by piece. */
  readonly stages: readonly Stage[]
  /** Where the rows of an input go that is given row by row; absent where inputs are held as a whole. */
  readonly streamed?: StreamedInput
  /** What is read from slow memory while the program runs; absent where nothing is. */
  readonly external?: External
  /** Of a training step: where its phases end. */
  readonly learning?: Learning
  /** Which steps may run at the same time; absent where none may. */
  readonly threads?: Threads
}

/** How threads share a run. Steps of one level are independent, and levels follow one another. */
export interface Threads {
  /** More threads have nothing to do, or were not asked for. */
  readonly most: number
  /** The steps before which a level begins, each later than the last. Step 0 is the first of them. */
  readonly levels: readonly number[]
}

/** A training step predicts, judges and updates: steps up to `predicted` give the model's outputs, those up to `judged` the loss. */
export interface Learning {
  readonly predicted: number
  readonly judged: number
  readonly label: Value
  readonly rate: Value
  readonly loss: Value
  readonly classes?: number
  /** What learns and what is remembered takes so many bytes, a multiple of 4, from the start of the arena. */
  readonly stateBytes: number
  /** Hash of its names, types and places. Eight hex digits. */
  readonly stateLayout: string
}

/** A copy from slow memory into the arena. Its bytes there belong to it from step `start` to step `last`. */
export interface Fetch {
  /** From the image of the constants, or from the input. */
  readonly from: 'weights' | 'input'
  readonly offset: number
  readonly place: Place
  /** The steps before which it may begin, and before which it is complete: the same or the next one. */
  readonly start: number
  readonly needed: number
  readonly last: number
}

/** What stands in slow memory, and the copies in the order in which they begin. */
export interface External {
  /** The image: constants that are not in the plan's own segment. A multiple of 4 bytes. */
  readonly weights?: WeightSegment
  /** The rows of `streamed` are read, not pushed. */
  readonly input: boolean
  readonly fetches: readonly Fetch[]
}

/** An input [1, H, W, C] whose rows arrive one by one. */
export interface StreamedInput {
  readonly input: Value
  readonly rowBytes: number
  /** For each row its place, and how many steps run before it must be there; none for rows that no layer reads. */
  readonly rows: readonly ({ readonly place: Place; readonly before: number } | undefined)[]
}
