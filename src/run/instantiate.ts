// A compiled program becomes a model that runs here: in Node, in a browser, in a worker.

import type { Program } from '../emit/program.ts'
import { InputError } from '../errors.ts'
import type { RunningModel } from './model.ts'
import { instantiateWasm } from './wasm.ts'

/** Instantiates a WebAssembly program. Throws InputError where the program is for another target. */
export async function instantiate(program: Program): Promise<RunningModel> {
  if (!program.wasm)
    throw new InputError(
      'instantiate',
      `program "${program.name}" is for ${program.target}, only WebAssembly runs here`,
      "compile(graph, { target: 'wasm' })",
    )
  return instantiateWasm(program.wasm, program.plan)
}
