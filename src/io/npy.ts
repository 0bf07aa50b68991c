// NumPy's .npy files, versions 1 to 3: little-endian arrays in C order. Source: the NumPy format specification
// (numpy.lib.format).

import { InputError } from '../errors.ts'
import { bytesOf, type DType, elemOf } from '../ir/graph.ts'
import { count, type Data, newData } from '../loops/ir.ts'

/** An array as a file holds it, in row-major order. f16 is its bits. */
export interface NpyArray {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly data: Data
}

const MAGIC = '\x93NUMPY'
const DTYPES: Readonly<Record<string, DType>> = {
  f2: 'f16',
  f4: 'f32',
  f8: 'f64',
  i1: 'i8',
  u1: 'u8',
  u4: 'u32',
  u8: 'u64',
  i2: 'i16',
  i4: 'i32',
  i8: 'i64',
  b1: 'bool',
}
const DESCRIPTIONS: Readonly<Partial<Record<DType, string>>> = {
  f16: '<f2',
  f32: '<f4',
  f64: '<f8',
  i8: '|i1',
  u8: '|u1',
  u32: '<u4',
  u64: '<u8',
  i16: '<i2',
  i32: '<i4',
  i64: '<i8',
  bool: '|b1',
}

export function isNpy(bytes: Uint8Array): boolean {
  return latin1(bytes.subarray(0, MAGIC.length)) === MAGIC
}

/** The array in `bytes`. Throws InputError, which names `where`, for other formats, byte orders and types. */
export function readNpy(bytes: Uint8Array, where = '.npy file'): NpyArray {
  if (!isNpy(bytes) || bytes.length < 12) throw new InputError(where, 'is not a .npy file')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const version = bytes[6]
  if (version < 1 || version > 3) throw new InputError(where, `has .npy version ${version}, supported are 1 to 3`)
  const start = version === 1 ? 10 : 12
  const end = start + (version === 1 ? view.getUint16(8, true) : view.getUint32(8, true))
  if (end > bytes.length) throw new InputError(where, `ends within its header (${bytes.length} bytes of ${end})`)
  const { dtype, shape } = parseHeader(latin1(bytes.subarray(start, end)), where)
  const size = bytesOf({ dtype, shape })
  if (bytes.length - end !== size)
    throw new InputError(where, `has shape [${shape}], that is ${size} bytes, it holds ${bytes.length - end}`)
  const data = newData(elemOf(dtype)!, count(shape))
  new Uint8Array(data.buffer).set(bytes.subarray(end))
  return { dtype, shape, data }
}

function latin1(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => String.fromCharCode(b)).join('')
}

/** The header is a Python dictionary with three known keys, in any order. */
function parseHeader(header: string, where: string): { dtype: DType; shape: number[] } {
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(header)?.[1]
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(header)?.[1]
  const dims = /'shape'\s*:\s*\(([\d\s,]*)\)/.exec(header)?.[1]
  if (order === undefined || dims === undefined || descr === undefined)
    throw new InputError(where, 'has a header that is not understood', 'save a plain array with numpy.save')
  const dtype = /^[<|=]/.test(descr) ? DTYPES[descr.slice(1)] : undefined
  if (!dtype)
    throw new InputError(
      where,
      `holds elements of type ${descr}; supported are little-endian ${Object.keys(DTYPES).join(', ')}`,
      "convert the array with numpy's astype",
    )
  const shape = dims.split(',').flatMap((d) => (d.trim() === '' ? [] : [Number(d)]))
  if (order === 'True' && shape.length > 1)
    throw new InputError(where, 'is stored in Fortran order', 'save numpy.ascontiguousarray(array) instead')
  if (!Number.isSafeInteger(8 * count(shape))) throw new InputError(where, `has the shape [${shape}]`)
  return { dtype, shape }
}

/** The array as a .npy file, version 1. Packed types cannot be written. */
export function writeNpy({ dtype, shape, data }: NpyArray): Uint8Array {
  return npyOf(dtype, shape, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
}

/** A .npy file of elements that are given as their little-endian bytes. */
export function npyOf(dtype: DType, shape: readonly number[], elements: Uint8Array): Uint8Array {
  const descr = DESCRIPTIONS[dtype]
  if (!descr) throw new InputError('.npy file', `cannot hold elements of type ${dtype}`)
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(', ')
  const dictionary = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${dims}), }`
  const header = `${dictionary.padEnd(64 * Math.ceil((dictionary.length + 11) / 64) - 11)}\n`
  const bytes = new Uint8Array(10 + header.length + elements.length)
  bytes.set(Uint8Array.from(`${MAGIC}\x01\x00`, (c) => c.charCodeAt(0)))
  new DataView(bytes.buffer).setUint16(8, header.length, true)
  bytes.set(new TextEncoder().encode(header), 10)
  bytes.set(elements, 10 + header.length)
  return bytes
}
