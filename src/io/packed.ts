// Packed image sets: a JSON file that tells shape, labels and classes, and beside it PNG strips of width W and height N * H
// whose rows are N pictures one below the other.

import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { InputError } from '../errors.ts'
import { decodeImage, type Image, withChannels } from './images.ts'

export interface PackedImages {
  readonly classes: readonly string[]
  /** The class of each image, an index of `classes`. */
  readonly labels: readonly number[]
  readonly images: readonly Image[]
}

/** Reads the set that the JSON file at `path` describes. Throws InputError where the files disagree. */
export function readPacked(path: string): PackedImages {
  const where = `packed images ${path}`
  const { shape, files, labels, classes } = description(path, where)
  const [height, width, channels = 1] = shape
  if (channels !== 1 && channels !== 3)
    throw new InputError(where, `has images of shape [${shape}], supported are 1 and 3 channels`)
  const images = files.flatMap(({ file, images: n }) => {
    const strip = withChannels(decodeImage(readBytes(join(dirname(path), file), where), `${where}, ${file}`), channels)
    if (strip.width !== width || strip.height !== n * height)
      throw new InputError(
        where,
        `${file} has ${strip.width} x ${strip.height} pixels, ${n} images of [${shape}] have ${width} x ${n * height}`,
      )
    const size = height * width * channels
    return Array.from(
      { length: n },
      (_, i): Image => ({ width, height, channels, data: strip.data.subarray(i * size, (i + 1) * size) }),
    )
  })
  if (images.length !== labels.length)
    throw new InputError(where, `has ${images.length} images and ${labels.length} labels`)
  const wrong = labels.find((l) => l < 0 || l >= classes.length)
  if (wrong !== undefined) throw new InputError(where, `has label ${wrong}, there are ${classes.length} classes`)
  return { classes, labels, images }
}

interface Description {
  readonly shape: readonly number[]
  readonly files: readonly { readonly file: string; readonly images: number }[]
  readonly labels: readonly number[]
  readonly classes: readonly string[]
}

function readBytes(path: string, where: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (e) {
    throw new InputError(where, `cannot be read (${e instanceof Error ? e.message : e})`)
  }
}

const isWhole = (x: unknown): x is number => typeof x === 'number' && Number.isSafeInteger(x) && x >= 0
const isText = (x: unknown): x is string => typeof x === 'string'

function description(path: string, where: string): Description {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder().decode(readBytes(path, where)))
  } catch (e) {
    if (e instanceof InputError) throw e
    throw new InputError(where, `is not valid JSON (${e instanceof Error ? e.message : e})`)
  }
  const fields: Readonly<Record<string, unknown>> = typeof json === 'object' && json !== null ? { ...json } : {}
  const list = <T>(name: string, is: (x: unknown) => x is T, form: string): T[] => {
    const value = fields[name]
    if (Array.isArray(value) && value.every(is)) return value
    throw new InputError(where, `"${name}" is not a list of ${form}`)
  }
  const isFile = (x: unknown): x is { file: string; images: number } =>
    typeof x === 'object' && x !== null && 'file' in x && 'images' in x && isText(x.file) && isWhole(x.images)
  const shape = list('shape', isWhole, 'whole numbers')
  if (shape.length !== 2 && shape.length !== 3)
    throw new InputError(where, `has images of shape [${shape}], expected [height, width] or [height, width, channels]`)
  return {
    shape,
    files: list('files', isFile, '{ file, images }'),
    labels: list('labels', isWhole, 'whole numbers'),
    classes: list('classes', isText, 'names'),
  }
}
