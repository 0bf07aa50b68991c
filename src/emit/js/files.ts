// A WebAssembly program as a web developer uses it: the module, a loader with its types, and the same in a worker.

import { bug, InputError } from '../../errors.ts'
import type { Description } from '../../import/tflite_metadata.ts'
import type { Graph } from '../../ir/graph.ts'
import { isFast } from '../../targets/target.ts'
import { depthwiseQuads } from '../../targets/wasm/depthwise_quads.ts'
import { quads } from '../../targets/wasm/quads.ts'
import { type CompileOptions, compile, type OutputFile, type Program } from '../program.ts'
import { emitWasm, interfaceOf, wasmLayout } from '../wasm/module.ts'
import { fusedProbe, relaxedProbe } from '../wasm/relaxed.ts'
import { learnOptions, ownPorts } from './learn.ts'
import { loaderText, pageSideText, threadText, type Variant } from './loader.ts'
import { jsPorts } from './ports.ts'
import { memberText, poolText } from './threads.ts'
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
 * the same, but with `fast`: then it is for all engines with fused multiply-adds, which float32 sums use.
 */
export function relaxedVariant(graph: Graph, options: CompileOptions = {}): Readonly<Record<string, Variant>> {
  const { wasm, plan } = compile(graph, { ...options, target: 'wasm-relaxed' })
  const fused = options.fast && plan.steps.some((step) => isFast(step.recipe))
  const gains = plan.steps.some((step) => [quads, depthwiseQuads].some(({ name }) => step.recipe === name))
  const probe = gains ? relaxedProbe() : fused ? fusedProbe() : undefined
  return probe ? { relaxed: { wasm: wasm!, probe, pages: wasmLayout(plan).pages } } : {}
}

/** The files of a WebAssembly program: `<name>.wasm`, `.js`, `.d.ts`, and for a worker `.worker.js`, `.worker.d.ts`, `.thread.js`; `.pool.js` and `.member.js` where threads share runs. Throws InputError. */
export function webFiles({ name, plan, wasm }: Program, options: WebOptions = {}): OutputFile[] {
  if (!wasm) return bug(`program "${name}" is for ${plan.target.name}, it has no module`)
  const { described = {}, variants = {} } = options
  const separate = options.weights === 'separate'
  if (separate && Object.keys(variants).length > 0)
    throw new InputError('weights', 'separate is for one module, variants have other layouts', 'keep them inside')
  const ports = jsPorts(ownPorts(plan.graph), described)
  const learning = learnOptions(plan.graph, plan.learning)
  const threads = plan.threads && {
    most: plan.threads.most,
    pages: Object.values(variants).reduce((most, v) => Math.max(most, v.pages ?? 0), wasmLayout(plan).pages),
  }
  const loader = { separate, variants, labels: described.labels, threads, learning }
  return [
    { name: `${name}.wasm`, data: separate ? emitWasm(plan, { weights: 'separate' }) : wasm },
    ...Object.entries(variants).map(([suffix, v]) => ({ name: `${name}.${suffix}.wasm`, data: v.wasm })),
    ...(separate ? [{ name: `${name}.weights`, data: weightsFile(plan) }] : []),
    { name: `${name}.js`, data: loaderText(name, ports, interfaceOf(plan.graph) | 0, loader) },
    { name: `${name}.d.ts`, data: typesText(name, ports, loader) },
    { name: `${name}.worker.js`, data: pageSideText(name, learning !== undefined) },
    { name: `${name}.worker.d.ts`, data: workerTypesText(name, loader) },
    { name: `${name}.thread.js`, data: threadText(name) },
    ...(threads
      ? [
          { name: `${name}.pool.js`, data: poolText(name, threads) },
          { name: `${name}.member.js`, data: memberText(name) },
        ]
      : []),
  ]
}
