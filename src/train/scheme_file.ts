// A scheme as JSON: { "name", "biases", "layers": [{ "layer", "ratio" or "channels" }], "parameters" }, as docs/training.md
// describes it. What is said of the model is checked where the scheme meets it.

import { InputError } from '../errors.ts'
import type { LayerSelection, Selection } from './scheme.ts'

type Json = Readonly<Record<string, unknown>>

const isObject = (x: unknown): x is Json => typeof x === 'object' && x !== null && !Array.isArray(x)
const isWhole = (x: unknown): x is number => Number.isInteger(x) && (x as number) >= 0
const shown = (x: unknown) => JSON.stringify(x) ?? String(x)

/** Reads a scheme. `where` names the file in errors. Throws InputError for what is no scheme. */
export function parseScheme(text: string, where: string): Selection {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw new InputError(where, `is not JSON: ${(error as Error).message}`)
  }
  const fail = (what: string): never => {
    throw new InputError(where, what, 'docs/training.md has an example')
  }
  const known = (object: Json, keys: readonly string[], of: string) => {
    const other = Object.keys(object).find((k) => !keys.includes(k))
    if (other !== undefined) fail(`${of} has "${other}", expected some of ${keys.join(', ')}`)
  }
  if (!isObject(json)) return fail(`holds ${shown(json).slice(0, 40)}, expected an object`)
  known(json, ['name', 'biases', 'layers', 'parameters'], 'the scheme')
  const { name, biases, layers, parameters } = json
  if (name !== undefined && typeof name !== 'string') fail(`name is ${shown(name)}, expected text`)
  if (biases !== undefined && !isWhole(biases))
    fail(`biases are ${shown(biases)}, expected of how many layers before the last`)
  if (layers !== undefined && !Array.isArray(layers)) fail(`layers are ${shown(layers)}, expected a list`)
  const texts = Array.isArray(parameters) && parameters.every((p) => typeof p === 'string')
  if (parameters !== undefined && !texts) fail(`parameters are ${shown(parameters)}, expected a list of names`)
  const read = ((layers ?? []) as unknown[]).map((entry, i): LayerSelection => {
    if (!isObject(entry)) return fail(`layers[${i}] is ${shown(entry)}, expected an object`)
    known(entry, ['layer', 'ratio', 'channels'], `layers[${i}]`)
    const { layer, ratio, channels } = entry
    if (!isWhole(layer) && typeof layer !== 'string')
      fail(`layers[${i}].layer is ${shown(layer)}, expected a number from 0 or a name`)
    if (ratio !== undefined && channels !== undefined) fail(`layers[${i}] has ratio and channels, expected one of them`)
    if (ratio !== undefined && !(typeof ratio === 'number' && ratio > 0 && ratio <= 1))
      fail(`layers[${i}].ratio is ${shown(ratio)}, expected more than 0, up to 1`)
    if (channels !== undefined && !(Array.isArray(channels) && channels.length > 0 && channels.every(isWhole)))
      fail(`layers[${i}].channels are ${shown(channels)}, expected a list of numbers from 0`)
    return entry as unknown as LayerSelection
  })
  return { ...(json as Selection), name: (name as string | undefined) ?? where, layers: read }
}
