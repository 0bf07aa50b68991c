// The inputs of a set as a model takes them, read once and checked: what cannot be read is named and left out, equal inputs
// are known by their hash. Inputs stay in memory as long as there is room, others are read again.

import { existsSync, readFileSync } from 'node:fs'
import { InputError } from '../errors.ts'
import { isNpy, npyOf, readNpy } from '../io/npy.ts'
import { type InputOptions, readInput, type Source } from '../io/samples.ts'
import { readSet, type Sample } from '../io/sets.ts'
import { bytesOf, type TensorType } from '../ir/graph.ts'
import { fnv1a } from '../ir/hash.ts'
import { count, type Data } from '../loops/ir.ts'
import type { Io } from './command.ts'
import { progressOf } from './evaluate.ts'

/** Bytes of inputs that are held. */
const HELD = 2 ** 29

export interface InputSet {
  readonly name: string
  readonly samples: readonly Sample[]
  readonly classes: readonly string[]
  readonly ordered: boolean
}

/** What a path on the command line stands for: a set, a .npy file of many inputs, or one file. */
export function inputSet(path: string, type: TensorType, truth?: string): InputSet {
  const set = readSet([path], truth)
  if (set) return { name: path, samples: set.samples, classes: set.classes ?? [], ordered: set.ordered }
  if (!existsSync(path))
    throw new InputError(path, 'no such file or folder', 'name a folder, a packed set, a .npy file or one input')
  const bytes = new Uint8Array(readFileSync(path))
  const sources = isNpy(bytes) ? rows(bytes, type, path) : [path]
  return {
    name: path,
    samples: sources.map((source, i) => ({ name: sources.length === 1 ? path : `${path}[${i}]`, source })),
    classes: [],
    ordered: false,
  }
}

/** The inputs along the first axis of an array that has one axis or size more than the model's input; else the file itself. */
function rows(bytes: Uint8Array, type: TensorType, path: string): Source[] {
  const { shape, dtype, data } = readNpy(bytes, path)
  const size = count(type.shape)
  const own = type.shape.slice(type.shape.findIndex((d) => d !== 1) >>> 0)
  const inner = shape.slice(shape.length - own.length)
  const n = count(shape.slice(0, shape.length - own.length))
  if (own.some((d, i) => d !== inner[i]) || n === 1) return [path]
  if (n === 0) throw new InputError(path, `has shape [${shape}]: no inputs`)
  const all = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  const each = (all.length / count(shape)) * size
  return Array.from({ length: n }, (_, i) => npyOf(dtype, own, all.subarray(i * each, (i + 1) * each)))
}

/** Inputs of a set that could be read. */
export interface ReadInputs {
  readonly samples: readonly Sample[]
  /** 64 bits of the content of each, as text. */
  readonly hashes: readonly string[]
  readonly unread: readonly { readonly input: string; readonly message: string }[]
  /** What was done to them, and to how many. */
  readonly prepared: readonly { readonly steps: string; readonly inputs: number }[]
  data(i: number): Data
}

/** Throws the first InputError where nothing can be read. */
export function readInputs(given: readonly Sample[], type: TensorType, how: InputOptions, io: Io): ReadInputs {
  const most = Math.floor(HELD / Math.max(1, bytesOf(type)))
  const held: (Data | undefined)[] = []
  const samples: Sample[] = []
  const hashes: string[] = []
  const unread: { input: string; message: string }[] = []
  const prepared = new Map<string, number>()
  const tell = (steps: readonly string[]) => {
    const text = steps.join(' → ')
    prepared.set(text, (prepared.get(text) ?? 0) + 1)
  }
  let first: InputError | undefined
  const read = (sample: Sample, options: InputOptions) =>
    readInput(sample.source, type, options, `input ${sample.name}`)
  const progress = progressOf(io, given.length)
  given.forEach((sample, i) => {
    progress(i)
    try {
      const data = read(sample, { ...how, tell })
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      hashes.push(`${fnv1a(bytes)} ${fnv1a(bytes, 1)}`)
      held.push(samples.length < most ? data : undefined)
      samples.push(sample)
    } catch (error) {
      if (!(error instanceof InputError)) throw error
      first ??= error
      unread.push({ input: sample.name, message: error.message })
    }
  })
  progress(given.length)
  if (samples.length === 0 && first) throw first
  return {
    samples,
    hashes,
    unread,
    prepared: [...prepared].map(([steps, inputs]) => ({ steps, inputs })).sort((a, b) => b.inputs - a.inputs),
    data: (i) => held[i] ?? read(samples[i], how),
  }
}
