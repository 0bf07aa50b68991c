// Tells model files apart by their content and reads them: .tflite and .onnx files, and graphs that mote saved. For
// anything else the error says what the bytes look like.

import { ModelError } from '../errors.ts'
import { loadGraph } from '../ir/file.ts'
import type { Graph } from '../ir/graph.ts'
import { OPS } from '../ops/index.ts'
import { type OnnxOptions, readOnnx } from './onnx.ts'
import { readTflite } from './tflite.ts'
import { IDENTIFIER } from './tflite_schema.ts'

const SAVED_GRAPH = 'motegrph'

/** The graph in `bytes`. Throws ModelError where they are no model that mote reads. */
export function readModel(bytes: Uint8Array, options: OnnxOptions = {}): Graph {
  if (startsWith(bytes, SAVED_GRAPH)) return loadGraph(bytes, OPS)
  if (startsWith(bytes, IDENTIFIER, 4)) return readTflite(bytes)
  if (isOnnx(bytes)) return readOnnx(bytes, options)
  const { what, hint } = looksLike(bytes)
  throw new ModelError('model', `is not a file that mote reads: ${what}`, hint)
}

function startsWith(bytes: Uint8Array, text: string, at = 0): boolean {
  return bytes.length >= at + text.length && [...text].every((c, i) => bytes[at + i] === c.charCodeAt(0))
}

/** ONNX has no mark of its own: its first field is a small version number, the next one of few others. */
function isOnnx(bytes: Uint8Array): boolean {
  return (
    bytes[0] === 8 && bytes[1] > 0 && bytes[1] < 32 && [0x12, 0x1a, 0x22, 0x2a, 0x32, 0x3a, 0x42].includes(bytes[2])
  )
}

interface Guess {
  readonly what: string
  readonly hint: string
}

const CONVERT = 'convert the model to .tflite or .onnx'

const SIGNATURES: readonly (readonly [start: string, ...Guess[]])[] = [
  ['\x89HDF\r\n\x1a\n', { what: 'it is HDF5, as Keras .h5 files are', hint: CONVERT }],
  ['PK\x03\x04', { what: 'it is a zip archive, as .keras and PyTorch files are', hint: `unpack it, or ${CONVERT}` }],
  ['\x1f\x8b', { what: 'it is compressed with gzip', hint: 'unpack it first' }],
  ['\x7fELF', { what: 'it is a compiled program (ELF)', hint: 'give the model that it was made from' }],
  ['\0asm', { what: 'it is a WebAssembly module', hint: 'give the model that it was made from' }],
  ['GGUF', { what: 'it is a GGUF file', hint: CONVERT }],
  ['\x93NUMPY', { what: 'it is a NumPy array', hint: 'arrays are inputs: give the model first' }],
  ['\x89PNG', { what: 'it is a picture', hint: 'pictures are inputs: give the model first' }],
  ['\xff\xd8\xff', { what: 'it is a picture', hint: 'pictures are inputs: give the model first' }],
  ['version https://git-lfs', { what: 'it is a Git LFS pointer', hint: 'fetch the file itself: git lfs pull' }],
  ['\x80\x02', { what: 'it is a Python pickle, as old PyTorch files are', hint: CONVERT }],
]

function looksLike(bytes: Uint8Array): Guess {
  if (bytes.length === 0) return { what: 'it is empty', hint: 'was the download or the conversion interrupted?' }
  const known = SIGNATURES.find(([start]) => startsWith(bytes, start))
  if (known) return known[1]!
  const ahead = bytes.subarray(0, 512)
  if (ahead.every((b) => b === 0)) return { what: 'it begins with zeros', hint: 'was the download interrupted?' }
  if (ahead.every((b) => b >= 32 || (b >= 9 && b <= 13))) {
    const html = /^\s*<(!doctype|html)/i.test(new TextDecoder().decode(ahead))
    return html
      ? { what: 'it is a web page', hint: 'download the raw file instead of the page that shows it' }
      : { what: 'it is text', hint: 'give a .tflite or .onnx file' }
  }
  if (bytes.length < 32) return { what: `it has only ${bytes.length} bytes`, hint: 'is the file truncated?' }
  return { what: `it does not have "${IDENTIFIER}" at byte 4`, hint: CONVERT }
}
