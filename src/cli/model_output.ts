// Where a command writes a model: a name whose ending says the format, that is not the model it reads, and not taken.

import { realpath } from 'node:fs/promises'
import { InputError } from '../errors.ts'
import type { Options } from './command.ts'

/** `--output`, and which of `endings` it has. Throws InputError for any other name, for the file at `path`, and without `--force` for one that is there. */
export async function modelOutput<Ending extends string>(
  path: string,
  options: Options,
  endings: readonly Ending[],
): Promise<{ readonly output: string; readonly format: Ending }> {
  const output = String(options.output ?? '')
  const format = endings.find((end) => output.endsWith(end))
  if (!format) throw new InputError('--output', `is "${output}", expected a name that ends in ${endings.join(' or ')}`)
  const there = await realpath(output).catch(() => undefined)
  if (there !== undefined && there === (await realpath(path).catch(() => undefined)))
    throw new InputError(output, 'is the model itself', 'choose another name')
  if (there !== undefined && options.force !== true)
    throw new InputError(output, 'exists', 'choose another name, or --force to overwrite it')
  return { output, format }
}
