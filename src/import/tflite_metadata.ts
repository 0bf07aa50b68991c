// What a .tflite file says about its tensors beside their types: names, the scaling of pixels, and the labels of classes, a
// file in the archive that is appended to the model. All of it is description: where it is damaged, there is none.
// Source: metadata_schema.fbs of TensorFlow Lite Support; APPNOTE.TXT of the zip format, stored entries only.

import { MoteError } from '../errors.ts'
import { type Field, Table } from './flatbuffer.ts'
import { IDENTIFIER, MODEL } from './tflite_schema.ts'

/** Lists are in the order of the model's inputs and outputs. */
export interface Description {
  readonly inputs?: readonly DescribedTensor[]
  readonly outputs?: readonly DescribedTensor[]
  /** Names of the classes, the elements of an output. */
  readonly labels?: readonly string[]
}

export interface DescribedTensor {
  readonly name?: string
  /** A pixel p in [0, 255] is given to the model as (p - mean) / std: one number, or one for each channel. */
  readonly mean?: readonly number[]
  readonly std?: readonly number[]
}

const METADATA_NAME = 'TFLITE_METADATA'
const ENTRY = { name: { slot: 0, type: 'string' }, buffer: { slot: 1, type: 'u32' } } as const satisfies Record<
  string,
  Field
>
const DATA = { slot: 0, type: 'u8[]' } as const satisfies Field
const SUBGRAPHS = { slot: 3, type: 'table[]' } as const satisfies Field
const SUBGRAPH = {
  inputs: { slot: 2, type: 'table[]' },
  outputs: { slot: 3, type: 'table[]' },
} as const satisfies Record<string, Field>
const TENSOR = {
  name: { slot: 0, type: 'string' },
  units: { slot: 4, type: 'table[]' },
  files: { slot: 6, type: 'table[]' },
} as const satisfies Record<string, Field>
const UNIT = { type: { slot: 0, type: 'u8' }, options: { slot: 1, type: 'table' } } as const satisfies Record<
  string,
  Field
>
const NORMALIZATION = 1
const SCALING = { mean: { slot: 0, type: 'f32[]' }, std: { slot: 1, type: 'f32[]' } } as const satisfies Record<
  string,
  Field
>
const FILE = { name: { slot: 0, type: 'string' }, type: { slot: 2, type: 'i8' } } as const satisfies Record<
  string,
  Field
>
const AXIS_LABELS = 2

/** The description in a .tflite file; empty where there is none. */
export function describeTflite(bytes: Uint8Array): Description {
  if (String.fromCharCode(...bytes.subarray(4, 8)) !== IDENTIFIER) return {}
  try {
    const model = Table.root(bytes)
    const entry = model.get(MODEL.metadata)?.find((m) => m.get(ENTRY.name) === METADATA_NAME)
    const data = entry && model.get(MODEL.buffers)?.[entry.get(ENTRY.buffer)]?.get(DATA)
    const main = data && Table.root(data).get(SUBGRAPHS)?.[0]
    if (!main) return {}
    const outputs = main.get(SUBGRAPH.outputs) ?? []
    const file = outputs.flatMap((t) => t.get(TENSOR.files) ?? []).find((f) => f.get(FILE.type) === AXIS_LABELS)
    const text = file && storedFile(bytes, file.get(FILE.name) ?? '')
    return {
      inputs: (main.get(SUBGRAPH.inputs) ?? []).map(tensorOf),
      outputs: outputs.map(tensorOf),
      ...(text !== undefined && { labels: linesOf(text) }),
    }
  } catch (error) {
    if (error instanceof MoteError) return {}
    throw error
  }
}

/** One label a line. */
export function linesOf(text: string): string[] {
  return text.replace(/\r?\n$/, '').split(/\r?\n/)
}

function tensorOf(table: Table): DescribedTensor {
  const unit = table.get(TENSOR.units)?.find((u) => u.get(UNIT.type) === NORMALIZATION)
  const options = unit?.get(UNIT.options)
  const [name, mean, std] = [table.get(TENSOR.name), options?.get(SCALING.mean), options?.get(SCALING.std)]
  return { ...(name && { name }), ...(mean?.length && std?.length && { mean, std }) }
}

/** The text of a file that an archive at the end of `bytes` holds uncompressed. */
function storedFile(bytes: Uint8Array, wanted: string): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const u16 = (at: number) => (at >= 0 && at + 2 <= bytes.length ? view.getUint16(at, true) : 0)
  const u32 = (at: number) => (at >= 0 && at + 4 <= bytes.length ? view.getUint32(at, true) : 0)
  const decoded = (at: number, length: number) => new TextDecoder().decode(bytes.subarray(at, at + length))
  const [END, CENTRAL, LOCAL] = [0x06054b50, 0x02014b50, 0x04034b50]
  let end = bytes.length - 22
  while (end > bytes.length - 65558 && u32(end) !== END) end--
  if (u32(end) !== END) return undefined
  for (let k = u16(end + 10), at = u32(end + 16); k > 0 && u32(at) === CENTRAL; k--) {
    const [method, size, length] = [u16(at + 10), u32(at + 24), u16(at + 28)]
    const local = u32(at + 42)
    if (decoded(at + 46, length) === wanted && method === 0 && u32(local) === LOCAL)
      return decoded(local + 30 + u16(local + 26) + u16(local + 28), size)
    at += 46 + length + u16(at + 30) + u16(at + 32)
  }
  return undefined
}
