// A compiled WebAssembly program with its own small loader: a module without dependencies that binds typed arrays to the
// program's inputs and outputs, and its types. With it the program runs anywhere, mote not included.

import type { OutputFile, Program } from '../emit/program.ts'
import { wasmAddress, wasmLayout } from '../emit/wasm/module.ts'
import { bug } from '../errors.ts'
import { elemOf, printTensorType, type Value } from '../ir/graph.ts'
import { elemBytes } from '../loops/ir.ts'

const ARRAYS = {
  i8: 'Int8Array',
  u8: 'Uint8Array',
  i16: 'Int16Array',
  i32: 'Int32Array',
  i64: 'BigInt64Array',
  f16: 'Uint16Array',
  f32: 'Float32Array',
  f64: 'Float64Array',
} as const

export function arrayOf(v: Value): string {
  return ARRAYS[elemOf(v.type.dtype) ?? 'u8']
}

/** One line of the loader's table: where a tensor lies and how it is seen. */
function row(program: Program, v: Value): string {
  const place = program.plan.places.get(v) ?? bug(`value "${v.name}" has no place`)
  const { scale, zero } = v.type.quant ?? {}
  const fields = {
    name: v.name,
    dtype: v.type.dtype,
    shape: v.type.shape,
    ...(scale?.length === 1 && { scale: scale[0], zero: zero?.[0] }),
    length: place.bytes / elemBytes(elemOf(v.type.dtype) ?? 'u8'),
    address: wasmAddress(wasmLayout(program.plan), place),
  }
  return `  { ...${JSON.stringify(fields)}, array: ${arrayOf(v)} },`
}

function loaderText(program: Program): string {
  const { inputs, outputs } = program.plan.graph
  return `// Loads ${program.name}.wasm. Written by mote; ${program.name}.d.mts has the types.

export const inputs = [
${inputs.map((v) => row(program, v)).join('\n')}
]
export const outputs = [
${outputs.map((v) => row(program, v)).join('\n')}
]

export async function load(source) {
  const given = await source
  const bytes = typeof Response === 'function' && given instanceof Response ? await given.arrayBuffer() : given
  const made = await WebAssembly.instantiate(bytes)
  const { memory, init, run } = (made.instance ?? made).exports
  const views = (ports) => ports.map((p) => new p.array(memory.buffer, p.address, p.length))
  const [to, from] = [views(inputs), views(outputs)]
  init()
  return {
    run(...given) {
      inputs.forEach((p, i) => {
        if (!(given[i] instanceof p.array) || given[i].length !== p.length)
          throw new TypeError(\`input "\${p.name}" takes \${p.array.name} of \${p.length} elements\`)
      })
      to.forEach((view, i) => view.set(given[i]))
      run()
      return from.map((view) => view.slice())
    },
    reset: init,
  }
}
`
}

function typesText(program: Program): string {
  const { inputs, outputs } = program.plan.graph
  const list = (values: readonly Value[], prefix: string) =>
    values.map((v, i) => `${prefix}${i}: ${arrayOf(v)}`).join(', ')
  const notes = (kind: string, values: readonly Value[]) =>
    values.map((v, i) => `   * ${kind}${i}: ${v.name.replaceAll('*/', '* /')}, ${printTensorType(v.type)}`)
  return `// Types of ${program.name}.mjs. Written by mote.

export interface Port {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly number[]
  /** A stored element means scale * (element - zero). */
  readonly scale?: number
  readonly zero?: number
  readonly length: number
  /** Of the first byte in the module's memory. */
  readonly address: number
}

export declare const inputs: readonly Port[]
export declare const outputs: readonly Port[]

export interface Model {
  /**
   * Row-major arrays in, fresh arrays out.
${[...notes('in', inputs), ...notes('out', outputs)].join('\n')}
   */
  run(${list(inputs, 'in')}): [${list(outputs, 'out')}]
  /** Puts tensors that live between runs back to what they start from. */
  reset(): void
}

/** \`source\`: the bytes of ${program.name}.wasm, a compiled module, or a response of fetch. */
export declare function load(
  source: BufferSource | WebAssembly.Module | Response | Promise<BufferSource | WebAssembly.Module | Response>,
): Promise<Model>
`
}

/** The files of a program as they are written: for WebAssembly with \`<name>.mjs\` and \`<name>.d.mts\`. */
export function filesOf(program: Program): OutputFile[] {
  if (!program.wasm) return [...program.files]
  return [
    ...program.files,
    { name: `${program.name}.mjs`, data: loaderText(program) },
    { name: `${program.name}.d.mts`, data: typesText(program) },
  ]
}
