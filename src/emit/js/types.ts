// The types of a loader: what each tensor of this program is, word for word, so that a compiler of TypeScript knows shapes,
// element types, scales and labels.

import { printTensorType } from '../../ir/graph.ts'
import { learnTypes } from './learn.ts'
import { type LoaderOptions, literal } from './loader.ts'
import { facts, type JsPort, type JsPorts } from './ports.ts'
import { threadTypes } from './threads.ts'

/** A name from a model file, inside a comment. */
const said = (text: string) => text.replace(/[^ -~]/g, '?').replaceAll('*/', '* /')

/** A constant as the type that has only this value. */
function typed(data: unknown): string {
  if (Array.isArray(data)) return `readonly [${data.map(typed).join(', ')}]`
  if (typeof data !== 'object' || data === null) return literal(data)
  const fields = Object.entries(data).map(([key, x]) => `readonly ${key}: ${typed(x)}`)
  return `{ ${fields.join('; ')} }`
}

function constants(ports: readonly JsPort[]): string {
  return ports
    .map(
      (p) =>
        `  /** ${said(`"${p.value.name}", ${printTensorType(p.value.type)}`)} */\n  readonly ${p.key}: ${typed(facts(p))}\n`,
    )
    .join('')
}

const record = (name: string, ports: readonly JsPort[]) =>
  `export interface ${name} {\n${ports.map((p) => `  ${p.key}: ${p.array}\n`).join('')}}\n`

const SOURCE = `/** A URL, the answer of fetch, or bytes. */
type Source = string | URL | Response | Uint8Array
`

function from(name: string, { separate, threads }: LoaderOptions): string {
  return `export interface From {
  /** Default: ${name}.wasm beside this module. */
  readonly module?: Source | WebAssembly.Module | Promise<Source | WebAssembly.Module>${
    separate
      ? `
  /** Default: ${name}.weights beside this module. Any file of the same layout will do. */
  readonly weights?: Source | Promise<Source>`
      : ''
  }${threads ? threadTypes(name, threads) : ''}
}
`
}

/** Quantisation helpers, where a tensor is quantised. */
function helpers({ inputs, outputs }: JsPorts): string {
  const arrays = new Map([...inputs, ...outputs].filter((p) => p.scale !== undefined).map((p) => [p.dtype, p.array]))
  if (arrays.size === 0) return ''
  return `
interface Arrays {
${[...arrays].map(([dtype, array]) => `  readonly ${dtype}: ${array}\n`).join('')}}
interface Quantised<T extends keyof Arrays> {
  readonly dtype: T
  readonly scale: number
  readonly zero: number
}
/** Real numbers as elements: zero + real / scale, rounded half away from zero and saturated. */
export declare function quantize<T extends keyof Arrays>(port: Quantised<T>, reals: ArrayLike<number>): Arrays[T]
/** The real numbers that elements stand for: scale * (element - zero). */
export declare function dequantize<T extends keyof Arrays>(port: Quantised<T>, elements: Arrays[T]): Float32Array
`
}

/** `<name>.d.ts`. */
export function typesText(name: string, ports: JsPorts, options: LoaderOptions): string {
  const { labels } = options
  return `// Types of ${name}.js. Written by mote.

export declare const inputs: {
${constants(ports.inputs)}}
export declare const outputs: {
${constants(ports.outputs)}}
${labels ? `/** The classes, in the order of their scores. */\nexport declare const labels: ${typed(labels)}\n` : ''}
${record('Inputs', ports.inputs)}
${record('Outputs', ports.outputs)}
export interface Model {
  /** Row-major arrays in, fresh arrays out. Throws TypeError for an array of another type or length. */
  run(inputs: Readonly<Inputs>): Outputs
${options.learning ? learnTypes(options.learning).trimStart().replace(/^/, '  ') : ''}  /** Puts tensors that live between runs back to what they start from. */
  reset(): void
  /** Lets go of the memory; the model cannot run any more. */
  dispose(): void
}

${SOURCE}
${from(name, options)}
/** A model of its own: it shares no memory with others. Throws where files cannot be had or do not belong together. */
export declare function load(from?: From): Promise<Model>
${helpers(ports)}`
}

/** `<name>.worker.d.ts`. */
export function workerTypesText(name: string, { separate, threads, learning }: LoaderOptions): string {
  return `// Types of ${name}.worker.js. Written by mote.

import type { Inputs, Outputs } from './${name}.js'

/** The model of ${name}.js in a worker: whoever asks does not wait. Runs are answered in the order of asking. */
export interface WorkerModel {
  run(inputs: Readonly<Inputs>): Promise<Outputs>
${
  learning
    ? learnTypes(learning)
        .replace(/\): (number|Uint8Array|void)\n/g, '): Promise<$1>\n')
        .trimStart()
        .replace(/^/, '  ')
    : ''
}  reset(): Promise<void>
  /** Ends the worker; runs that were not answered are refused. */
  dispose(): void
}

/** What can be sent to a worker. URLs are read there: relative ones start at ${name}.thread.js. */
export interface From {
  readonly module?: string | Uint8Array | WebAssembly.Module${separate ? '\n  readonly weights?: string | Uint8Array' : ''}${threads ? threadTypes(name, threads) : ''}
}

export declare function load(from?: From): Promise<WorkerModel>
`
}
