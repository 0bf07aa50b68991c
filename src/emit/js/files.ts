// A WebAssembly program as a web developer uses it: the module, a loader with its types, and the same in a worker.

import { bug, InputError } from '../../errors.ts'
import type { Description } from '../../import/tflite_metadata.ts'
import type { Graph } from '../../ir/graph.ts'
import { quads } from '../../targets/wasm/quads.ts'
import { type CompileOptions, compile, type OutputFile, type Program } from '../program.ts'
import { emitWasm, interfaceOf } from '../wasm/module.ts'
import { relaxedProbe } from '../wasm/relaxed.ts'
import { loaderText, pageSideText, threadText, type Variant } from './loader.ts'
import { jsPorts } from './ports.ts'
import { typesText, workerTypesText } from './types.ts'
import { weightsFile } from './weights.ts'

/** How a WebAssembly program is written as files for the web. */
export interface WebOptions {
  /** `separate`: the weights are a file of their own, to be cached and replaced. Default `inside` the module. */
  readonly weights?: 'inside' | 'separate'
  /** Names, pixel scaling and labels from the model file. */
  readonly described?: Description
  /** Other modules of the same model, weights inside, by what comes between its name and `.wasm`; not with `separate`. */
  readonly variants?: Readonly<Record<string, Variant>>
}

/**
 * The same model for engines with an exact relaxed dot product, as a variant; none where no layer gains by it. The bits are
 * the same.
 */
export function relaxedVariant(graph: Graph, options: CompileOptions = {}): Readonly<Record<string, Variant>> {
  const { wasm, plan } = compile(graph, { ...options, target: 'wasm-relaxed' })
  const gains = plan.steps.some((step) => step.recipe === quads.name)
  return gains ? { relaxed: { wasm: wasm!, probe: relaxedProbe() } } : {}
}

/** The files of a WebAssembly program: `<name>.wasm`, `.js`, `.d.ts`, and for a worker `.worker.js`, `.worker.d.ts`, `.thread.js`. Throws InputError. */
export function webFiles({ name, plan, wasm }: Program, options: WebOptions = {}): OutputFile[] {
  if (!wasm) return bug(`program "${name}" is for ${plan.target.name}, it has no module`)
  const { described = {}, variants = {} } = options
  const separate = options.weights === 'separate'
  if (separate && Object.keys(variants).length > 0)
    throw new InputError('weights', 'separate is for one module, variants have other layouts', 'keep them inside')
  const ports = jsPorts(plan.graph, described)
  const { labels } = described
  return [
    { name: `${name}.wasm`, data: separate ? emitWasm(plan, { weights: 'separate' }) : wasm },
    ...Object.entries(variants).map(([suffix, v]) => ({ name: `${name}.${suffix}.wasm`, data: v.wasm })),
    ...(separate ? [{ name: `${name}.weights`, data: weightsFile(plan) }] : []),
    { name: `${name}.js`, data: loaderText(name, ports, interfaceOf(plan.graph) | 0, { separate, variants, labels }) },
    { name: `${name}.d.ts`, data: typesText(name, ports, separate, labels) },
    { name: `${name}.worker.js`, data: pageSideText(name) },
    { name: `${name}.worker.d.ts`, data: workerTypesText(name, separate) },
    { name: `${name}.thread.js`, data: threadText(name) },
  ]
}
