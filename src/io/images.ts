// Pictures from files: PNG, JPEG and BMP to 8-bit pixels. PNG by pngjs, JPEG by jpeg-js.

import jpeg from 'jpeg-js'
import { PNG } from 'pngjs'
import { InputError } from '../errors.ts'
import { type Image, rgbOf } from '../web/resize.ts'

const MAX_PIXELS = 100e6
const PNG_MAGIC = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
const JPEG_MAGIC = [0xff, 0xd8, 0xff]
const BMP_MAGIC = [0x42, 0x4d]

type Format = 'PNG' | 'JPEG' | 'BMP'

/** The format that the first bytes tell, if it is one that `decodeImage` reads. */
export function imageFormat(bytes: Uint8Array): Format | undefined {
  const opens = (magic: readonly number[]) => magic.every((b, i) => bytes[i] === b)
  if (opens(PNG_MAGIC)) return 'PNG'
  if (opens(JPEG_MAGIC)) return 'JPEG'
  if (opens(BMP_MAGIC) && bytes.length >= 54 && viewOf(bytes).getUint32(2, true) === bytes.length) return 'BMP'
  return undefined
}

/**
 * The picture in a PNG, JPEG or uncompressed BMP file of at most 100 megapixels, as RGB. Alpha is dropped, 16-bit samples
 * are rounded to 8, an orientation beside the pixels (Exif) is not applied. Throws InputError, which names `where`.
 */
export function decodeImage(bytes: Uint8Array, where = 'image'): Image {
  const format = imageFormat(bytes)
  if (!format) throw new InputError(where, 'is not a PNG, JPEG or BMP file')
  try {
    return { PNG: decodePng, JPEG: decodeJpeg, BMP: decodeBmp }[format](bytes, where)
  } catch (e) {
    if (e instanceof InputError) throw e
    throw new InputError(where, `is not a valid ${format} file (${e instanceof Error ? e.message : e})`)
  }
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

function checkSize(width: number, height: number, where: string): void {
  if (width < 1 || height < 1 || width * height > MAX_PIXELS)
    throw new InputError(where, `has ${width} x ${height} pixels, supported are 1 to ${MAX_PIXELS / 1e6} million`)
}

function decodePng(bytes: Uint8Array, where: string): Image {
  const view = viewOf(bytes)
  if (bytes.length < 24) throw new InputError(where, `ends within its header (${bytes.length} bytes)`)
  checkSize(view.getUint32(16), view.getUint32(20), where)
  const { width, height, data } = PNG.sync.read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  return rgbOf(width, height, (i, c) => data[4 * i + c])
}

function decodeJpeg(bytes: Uint8Array, where: string): Image {
  const { width, height, data } = jpeg.decode(bytes, {
    useTArray: true,
    formatAsRGBA: false,
    tolerantDecoding: false,
    maxResolutionInMP: MAX_PIXELS / 1e6,
    maxMemoryUsageInMB: 2048,
  })
  checkSize(width, height, where)
  return { width, height, channels: 3, data }
}

/** Rows run from the bottom up unless the height is negative, each padded to four bytes; colours are blue, green, red. */
function decodeBmp(bytes: Uint8Array, where: string): Image {
  const view = viewOf(bytes)
  const [start, header] = [view.getUint32(10, true), view.getUint32(14, true)]
  const [width, rows] = [view.getInt32(18, true), view.getInt32(22, true)]
  const [bits, compression] = [view.getUint16(28, true), view.getUint32(30, true)]
  const height = Math.abs(rows)
  checkSize(width, height, where)
  if (![8, 24, 32].includes(bits) || compression !== 0)
    throw new InputError(
      where,
      `is a BMP of ${bits} bits a pixel, compression ${compression}; supported are 8, 24 and 32 bits, uncompressed`,
      'save it as PNG',
    )
  const palette = 14 + header
  const stride = 4 * Math.ceil((width * bits) / 32)
  const end = start + stride * height
  if (end > bytes.length)
    throw new InputError(where, `needs ${end} bytes for ${width} x ${height}, has ${bytes.length}`)
  return rgbOf(width, height, (i, c) => {
    const y = Math.floor(i / width)
    const at = start + (rows < 0 ? y : height - 1 - y) * stride + ((i % width) * bits) / 8
    return bytes[(bits === 8 ? palette + 4 * bytes[at] : at) + 2 - c]
  })
}
