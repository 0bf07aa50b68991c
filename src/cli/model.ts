// The model that a command is about: from a path to a graph, and the figures of a graph that several commands print.

import { basename } from 'node:path'
import { ModelError } from '../errors.ts'
import { readModel } from '../import/read.ts'
import { type Graph, inputsOf, type Node, printTensorType, type TensorType, type Value } from '../ir/graph.ts'
import type { Data } from '../loops/ir.ts'
import { readBytes } from './files.ts'

export interface ModelFile {
  readonly path: string
  /** The file's name without folder and ending: the default name of a program. */
  readonly name: string
  readonly bytes: Uint8Array
  readonly format: 'tflite' | 'mote'
  readonly graph: Graph
}

/** A .tflite file has its mark at byte 4; what is neither is refused by `readModel`. */
function formatOf(bytes: Uint8Array): 'tflite' | 'mote' {
  return new TextDecoder('latin1').decode(bytes.subarray(0, 8)) === 'motegrph' ? 'mote' : 'tflite'
}

/** Reads and imports a model file; the graph gets the file's name. Every error names the file. */
export async function openModel(path: string): Promise<ModelFile> {
  const bytes = await readBytes(path)
  const name = basename(path).replace(/\.[^.]*$/, '')
  try {
    return { path, name, bytes, format: formatOf(bytes), graph: { ...readModel(bytes), name } }
  } catch (error) {
    if (error instanceof ModelError) throw new ModelError(path, error.message, error.hint)
    throw error
  }
}

/** A tensor's type in plain JSON; scales and zero points as lists, one entry for the whole tensor or one per slice of `axis`. */
export function typeJson({ dtype, shape, quant }: TensorType) {
  return {
    dtype,
    shape: [...shape],
    ...(quant && {
      scale: [...quant.scale],
      zero: [...quant.zero],
      ...(quant.axis !== undefined && { axis: quant.axis }),
    }),
  }
}

/** How tools refer to a tensor: its number in the file, or its name where the file has no numbers. */
export function tensorId(v: Value): number | string {
  return v.index ?? v.name
}

/** A layer's name for people: fused layers of .tflite files carry the names of all their parts, the first says enough. */
export function shortName(name: string, most = 48): string {
  const first = name.split(';')[0]
  return first.length <= most ? first : `…${first.slice(1 - most)}`
}

export function portLine(v: { readonly name: string; readonly type: TensorType }): string {
  return `${v.name}  ${printTensorType(v.type)}`
}

/** Bytes of the distinct constants among the inputs of `nodes`. */
export function constantBytes(nodes: readonly Node[]): number {
  const distinct = new Set<Data>(nodes.flatMap(inputsOf).flatMap((v) => (v.storage === 'const' && v.data) || []))
  return [...distinct].reduce((sum, data) => sum + data.byteLength, 0)
}
