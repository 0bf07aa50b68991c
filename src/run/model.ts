// A model that is ready to run, whatever runs it.

import type { TensorType, Value } from '../ir/graph.ts'
import type { Data } from '../loops/ir.ts'

/** An input or output of a model. */
export interface Port {
  readonly name: string
  readonly type: TensorType
}

/** The outputs of one run, and every tensor on the way. */
export interface Trace {
  readonly outputs: Data[]
  /** Every tensor that the program computes, in execution order, as it was when its step had run. */
  readonly tensors: { readonly value: Value; readonly data: Data }[]
}

/** A model in memory that runs on typed arrays. InputError where an input has another type or length than its port. */
export interface RunningModel {
  readonly inputs: readonly Port[]
  readonly outputs: readonly Port[]
  /** Inputs and outputs in the order of the ports, row-major, in the ports' own types. State carries over to the next run. */
  run(inputs: readonly Data[]): Data[]
  /** `run` step by step, keeping every tensor. */
  trace(inputs: readonly Data[]): Trace
  /** State back to its initial values. */
  reset(): void
}
