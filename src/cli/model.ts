// The model that a command is about: from a path to a graph, and the figures of a graph that several commands print.

import { readFileSync } from 'node:fs'
import machine, { basename, dirname, type posix, resolve } from 'node:path'
import { InputError, ModelError } from '../errors.ts'
import { readModel } from '../import/read.ts'
import { type Graph, sameShape, type TensorType, type Value } from '../ir/graph.ts'
import type { Command, Options } from './command.ts'
import { readBytes } from './files.ts'
import { parseShapes } from './numbers.ts'

type Format = 'tflite' | 'onnx' | 'mote'

export interface ModelFile {
  readonly path: string
  /** The file's name without folder and ending: the default name of a program. */
  readonly name: string
  readonly bytes: Uint8Array
  readonly format: Format
  readonly graph: Graph
}

/** What `openModel` needs to know beside the path; every command that opens a model has these options. */
export const MODEL_OPTIONS: Command['options'] = [
  ['--shape <sizes>', "shapes that an .onnx file leaves open: name=1,3,224,224, several with ';' between"],
]

/** Files have their mark at the start; what is none of them is refused by `readModel`. */
function formatOf(bytes: Uint8Array): Format {
  const start = new TextDecoder('latin1').decode(bytes.subarray(0, 8))
  return start === 'motegrph' ? 'mote' : start.slice(4) === 'TFL3' ? 'tflite' : 'onnx'
}

/** The path of `file` in `folder`, or undefined where it leads out of it. `rules` are those of the machine at hand. */
export function pathWithin(folder: string, file: string, rules: typeof posix = machine): string | undefined {
  const full = rules.resolve(folder, file)
  const inside = rules.relative(folder, full)
  return inside.split(rules.sep)[0] === '..' || rules.isAbsolute(inside) ? undefined : full
}

/** Reads files that a model names, in its own folder only. */
function besides(path: string): (file: string) => Uint8Array {
  const folder = resolve(dirname(path))
  return (file) => {
    const full = pathWithin(folder, file)
    if (full === undefined)
      throw new ModelError(path, `keeps weights in "${file}", outside its folder`, 'put both files into one folder')
    try {
      return readFileSync(full)
    } catch {
      throw new ModelError(path, `keeps weights in "${file}", which cannot be read`, 'put both files into one folder')
    }
  }
}

/** Every shape that was given is that of an input. */
function checkShapes({ inputs }: Graph, shapes: Readonly<Record<string, readonly number[]>>): void {
  for (const [name, shape] of Object.entries(shapes)) {
    const input = inputs.find((v) => v.name === name)
    if (!input)
      throw new InputError(
        '--shape',
        `names "${name}", which is no input of the model`,
        `its inputs are ${inputs.map((v) => v.name).join(', ')}`,
      )
    if (!sameShape(input.type.shape, shape))
      throw new InputError(
        '--shape',
        `gives "${name}" the shape [${shape}], the model fixes it to [${input.type.shape}]`,
        'only shapes that an .onnx file leaves open can be chosen',
      )
  }
}

/** Reads and imports a model file; the graph gets the file's name. Every error names the file. */
export async function openModel(path: string, options: Options = {}): Promise<ModelFile> {
  const bytes = await readBytes(path)
  const name = basename(path).replace(/\.[^.]*$/, '')
  const shapes = typeof options.shape === 'string' ? parseShapes(options.shape) : undefined
  try {
    const graph = readModel(bytes, { external: besides(path), ...(shapes && { shapes }) })
    if (shapes) checkShapes(graph, shapes)
    return { path, name, bytes, format: formatOf(bytes), graph: { ...graph, name } }
  } catch (error) {
    if (error instanceof ModelError) throw new ModelError(path, error.message.replace(/^model: /, ''), error.hint)
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
