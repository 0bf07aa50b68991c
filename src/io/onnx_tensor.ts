// Files that hold one ONNX tensor (.pb), the form of inputs and expected outputs beside ONNX models.

import { decodeTensor } from '../import/onnx_schema.ts'
import { readTensor } from '../import/onnx_tensor.ts'
import type { Tensor } from '../ir/graph.ts'

/** The tensor in a .pb file, and its name. Throws ModelError where the bytes are no tensor of a supported type. */
export function readTensorFile(bytes: Uint8Array): Tensor & { readonly name: string } {
  const t = decodeTensor(bytes)
  return { name: t.name ?? '', ...readTensor(t, `tensor "${t.name ?? ''}"`) }
}
