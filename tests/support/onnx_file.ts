// Writes small .onnx files for tests: the fields of onnx.proto that they need, nothing checked.

import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'

export interface FileTensor {
  readonly name: string
  readonly type: number
  readonly dims: readonly number[]
  readonly data?: ArrayBufferView
  /** Instead of data: where it is in another file. */
  readonly external?: Readonly<Record<string, string>>
}

export interface FileNode {
  readonly op: string
  readonly domain?: string
  readonly name?: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** Numbers become INT where whole, lists INTS, strings STRING; `ref` is an attribute of the function around the node. */
  readonly attrs?: Readonly<
    Record<string, number | string | readonly number[] | FileTensor | FileGraph | { readonly ref: string }>
  >
}

export interface FileFunction {
  readonly name: string
  readonly domain: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly nodes: readonly FileNode[]
  /** Defaults of whole-number attributes. */
  readonly defaults?: Readonly<Record<string, number>>
}

export interface FileGraph {
  readonly inputs?: readonly {
    readonly name: string
    readonly type?: number
    readonly dims?: readonly (number | string)[]
  }[]
  readonly constants?: readonly FileTensor[]
  readonly nodes: readonly FileNode[]
  readonly outputs: readonly string[]
}

type Write = (w: BinaryWriter) => void

function message(w: BinaryWriter, no: number, write: Write): void {
  w.tag(no, WireType.LengthDelimited).fork()
  write(w)
  w.join()
}
const text = (w: BinaryWriter, no: number, s: string) => w.tag(no, WireType.LengthDelimited).string(s)
const int = (w: BinaryWriter, no: number, n: number) => w.tag(no, WireType.Varint).int64(n)

const tensor =
  (t: FileTensor): Write =>
  (w) => {
    for (const d of t.dims) int(w, 1, d)
    int(w, 2, t.type)
    text(w, 8, t.name)
    if (t.data)
      w.tag(9, WireType.LengthDelimited).bytes(new Uint8Array(t.data.buffer, t.data.byteOffset, t.data.byteLength))
    for (const [key, value] of Object.entries(t.external ?? {}))
      message(w, 13, (e) => {
        text(e, 1, key)
        text(e, 2, value)
      })
    if (t.external) int(w, 14, 1)
  }

const node =
  (n: FileNode): Write =>
  (w) => {
    for (const i of n.inputs) text(w, 1, i)
    for (const o of n.outputs) text(w, 2, o)
    if (n.name) text(w, 3, n.name)
    text(w, 4, n.op)
    for (const [name, v] of Object.entries(n.attrs ?? {}))
      message(w, 5, (a) => {
        text(a, 1, name)
        if (typeof v === 'number' && Number.isInteger(v)) int(int(a, 3, v), 20, 2)
        else if (typeof v === 'number') int(a.tag(2, WireType.Bit32).float(v), 20, 1)
        else if (typeof v === 'string') int(text(a, 4, v), 20, 3)
        else if ('ref' in v) text(a, 21, v.ref)
        else if ('nodes' in v) {
          message(a, 6, graph(v))
          int(a, 20, 5)
        } else if ('dims' in v) {
          message(a, 5, tensor(v))
          int(a, 20, 4)
        } else {
          for (const i of v) int(a, 8, i)
          int(a, 20, 7)
        }
      })
    if (n.domain) text(w, 7, n.domain)
  }

const graph =
  (g: FileGraph): Write =>
  (w) => {
    for (const n of g.nodes) message(w, 1, node(n))
    text(w, 2, 'net')
    for (const t of g.constants ?? []) message(w, 5, tensor(t))
    for (const v of g.inputs ?? [])
      message(w, 11, (i) => {
        text(i, 1, v.name)
        message(i, 2, (type) =>
          message(type, 1, (t) => {
            int(t, 1, v.type ?? 1)
            if (v.dims)
              message(t, 2, (s) => {
                for (const d of v.dims ?? [])
                  message(s, 1, (dim) => void (typeof d === 'number' ? int(dim, 1, d) : text(dim, 2, d)))
              })
          }),
        )
      })
    for (const name of g.outputs) message(w, 12, (o) => void text(o, 1, name))
  }

const fileFunction =
  (f: FileFunction): Write =>
  (w) => {
    text(w, 1, f.name)
    for (const name of f.inputs) text(w, 4, name)
    for (const name of f.outputs) text(w, 5, name)
    for (const n of f.nodes) message(w, 7, node(n))
    message(w, 9, (o) => void int(o, 2, 17))
    text(w, 10, f.domain)
    for (const [name, value] of Object.entries(f.defaults ?? {}))
      message(w, 11, (a) => void int(int(text(a, 1, name), 3, value), 20, 2))
  }

/** A model of one graph and perhaps functions of its own, for the standard's operators of version `opset`. */
export function onnxFile(g: FileGraph, opset = 17, functions: readonly FileFunction[] = []): Uint8Array {
  const w = new BinaryWriter()
  int(w, 1, 8)
  message(w, 7, graph(g))
  message(w, 8, (o) => void int(o, 2, opset))
  for (const f of functions) message(w, 25, fileFunction(f))
  return w.finish()
}

export const floats = (name: string, dims: readonly number[], values: readonly number[]): FileTensor => ({
  name,
  type: 1,
  dims,
  data: Float32Array.from(values),
})

export const longs = (name: string, values: readonly number[]): FileTensor => ({
  name,
  type: 7,
  dims: [values.length],
  data: BigInt64Array.from(values, BigInt),
})
