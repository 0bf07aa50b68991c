// The outputs of `mote run` as a file: one .npy array, or JSON.

import { realpathSync } from 'node:fs'
import { InputError } from '../errors.ts'
import { writeNpy } from '../io/npy.ts'
import { elemOf } from '../ir/graph.ts'
import { count, type Data, newData } from '../loops/ir.ts'
import type { Port } from '../run/model.ts'
import { replaceFiles } from './files.ts'
import { outputJson } from './results.ts'

const real = (path: string): string | undefined => {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}

/** Refuses a name that says no format, and a file that is there unless `force`; what was read is never overwritten. */
export function checkOut(path: string, read: readonly string[], force: boolean): void {
  if (!/\.(npy|json)$/.test(path)) throw new InputError('--out', `is "${path}", expected a name in .npy or .json`)
  const there = real(path)
  if (there === undefined) return
  if (read.some((file) => real(file) === there)) throw new InputError(path, 'is an input of this run')
  if (!force) throw new InputError(path, 'exists', 'choose another name, or --force to overwrite it')
}

/** Throws InputError where a .npy file cannot hold what these ports give. */
export function checkPorts(path: string, ports: readonly Port[]): void {
  if (!path.endsWith('.npy')) return
  if (ports.length !== 1)
    throw new InputError(path, `holds one array, the model has ${ports.length} outputs`, 'choose a name in .json')
  if (elemOf(ports[0].type.dtype) === undefined)
    throw new InputError(path, `cannot hold elements of type ${ports[0].type.dtype}`, 'choose a name in .json')
}

/**
 * Writes the outputs of all runs: as .npy of the output's shape, of several runs with a first axis for them in place of a
 * first 1; as JSON with the names of the inputs.
 */
export async function writeOutputs(
  path: string,
  ports: readonly Port[],
  runs: readonly { readonly inputs: readonly string[]; readonly outputs: readonly Data[] }[],
): Promise<void> {
  if (path.endsWith('.json')) {
    const json = runs.map(({ inputs, outputs }) => ({
      inputs,
      outputs: outputs.map((d, i) => outputJson(ports[i], d)),
    }))
    return replaceFiles([{ path, data: `${JSON.stringify(json)}\n` }])
  }
  const { dtype, shape } = ports[0].type
  const size = count(shape)
  const data = newData(elemOf(dtype)!, runs.length * size)
  for (const [i, { outputs }] of runs.entries()) data.set(outputs[0] as never, i * size)
  const all = runs.length === 1 ? shape : [runs.length, ...(shape[0] === 1 ? shape.slice(1) : shape)]
  await replaceFiles([{ path, data: writeNpy({ dtype, shape: all, data }) }])
}
