// Compares the inputs of a run with what the model asks for.

import { InputError } from '../errors.ts'
import { bytesOf, elemOf } from '../ir/graph.ts'
import { count, type Data, elemBytes, elemOfData } from '../loops/ir.ts'
import type { Port } from './model.ts'

/** Throws InputError that names the input and both types. Packed dtypes are taken by their bytes. */
export function checkInputs(ports: readonly Port[], inputs: readonly Data[]): void {
  if (inputs.length !== ports.length)
    throw new InputError('run', `the model has ${ports.length} inputs, got ${inputs.length}`)
  ports.forEach((port, i) => {
    const where = `input "${port.name}"`
    const want = elemOf(port.type.dtype)
    const got = elemOfData(inputs[i])
    if (!want) {
      if (inputs[i].byteLength !== bytesOf(port.type))
        throw new InputError(where, `takes ${bytesOf(port.type)} packed bytes, got ${inputs[i].byteLength}`)
      return
    }
    if (got !== want) throw new InputError(where, `takes ${want} elements, got ${got}`)
    const n = count(port.type.shape)
    if (inputs[i].length !== n)
      throw new InputError(
        where,
        `has shape [${port.type.shape}], that is ${n} elements, got ${inputs[i].byteLength / elemBytes(got)}`,
      )
  })
}
