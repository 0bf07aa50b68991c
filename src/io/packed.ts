// Packed sets: a JSON file that tells shape, labels and classes, and beside it PNG strips of width W and height N * H whose
// rows are N pictures one below the other, or one file of raw elements.

import { readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { InputError } from '../errors.ts'
import { bytesOf, type DType } from '../ir/graph.ts'
import { type Image, withChannels } from '../web/resize.ts'
import { decodeImage } from './images.ts'
import { npyOf } from './npy.ts'

export interface PackedImages {
  readonly classes: readonly string[]
  /** The class of each image, an index of `classes`. */
  readonly labels: readonly number[]
  readonly images: readonly Image[]
}

export interface PackedSet {
  readonly classes: readonly string[]
  readonly labels: readonly number[]
  /** A picture, or a .npy file's bytes. */
  readonly sources: readonly (Image | Uint8Array)[]
}

const TYPES: Readonly<Record<string, DType>> = { int8: 'i8', uint8: 'u8', int16: 'i16', float32: 'f32' }

/**
 * Reads a set of pictures, or one whose JSON names no files: its elements, of the `dtype` it tells, are in the file beside
 * it that ends in .bin. Throws InputError where the files disagree.
 */
export function readPackedSet(path: string): PackedSet {
  const where = `packed set ${path}`
  const { shape, files, labels, classes, dtype } = description(path, where)
  if (files) {
    const { images } = readPacked(path)
    return { classes, labels, sources: images }
  }
  const type = TYPES[dtype ?? '']
  if (!type)
    throw new InputError(where, `has dtype ${dtype}`, `name files of pictures, or a dtype: ${Object.keys(TYPES)}`)
  const bin = `${basename(path, '.json')}.bin`
  const bytes = readBytes(join(dirname(path), bin), where)
  const size = bytesOf({ dtype: type, shape })
  if (size === 0 || bytes.length !== labels.length * size)
    throw new InputError(
      where,
      `${bin} has ${bytes.length} bytes, ${labels.length} samples of ${dtype} [${shape}] have ${labels.length * size}`,
    )
  checkLabels(labels, classes, where)
  const sources = labels.map((_, i) => npyOf(type, shape, bytes.subarray(i * size, (i + 1) * size)))
  return { classes, labels, sources }
}

function checkLabels(labels: readonly number[], classes: readonly string[], where: string): void {
  const wrong = labels.find((l) => l >= classes.length)
  if (wrong !== undefined) throw new InputError(where, `has label ${wrong}, there are ${classes.length} classes`)
}

/** Reads the pictures that the JSON file at `path` describes. Throws InputError where the files disagree. */
export function readPacked(path: string): PackedImages {
  const where = `packed images ${path}`
  const { shape, files, labels, classes } = description(path, where)
  if (!files) throw new InputError(where, '"files" is not a list of { file, images }')
  if (shape.length !== 2 && shape.length !== 3)
    throw new InputError(where, `has images of shape [${shape}], expected [height, width] or [height, width, channels]`)
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
  checkLabels(labels, classes, where)
  return { classes, labels, images }
}

interface Description {
  readonly shape: readonly number[]
  readonly files?: readonly { readonly file: string; readonly images: number }[]
  readonly labels: readonly number[]
  readonly classes: readonly string[]
  readonly dtype?: string
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
  return {
    shape: list('shape', isWhole, 'whole numbers'),
    ...('files' in fields && { files: list('files', isFile, '{ file, images }') }),
    labels: list('labels', isWhole, 'whole numbers'),
    classes: list('classes', isText, 'names'),
    ...(isText(fields.dtype) && { dtype: fields.dtype }),
  }
}
