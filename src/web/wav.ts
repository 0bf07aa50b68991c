// Sound from a RIFF WAVE file: PCM of 8, 16, 24 or 32 bits or floats of 32 or 64 in, one channel of numbers in [-1, 1] out
// (RFC 2361; Multimedia Programming Interface and Data Specifications 1.0).

import { InputError } from '../errors.ts'

export interface Sound {
  /** Samples a second. */
  readonly rate: number
  /** The mean of the channels; full scale is 1. */
  readonly samples: Float64Array
}

const tag = (bytes: Uint8Array, at: number) => String.fromCharCode(...bytes.subarray(at, at + 4))

export function isWav(bytes: Uint8Array): boolean {
  return tag(bytes, 0) === 'RIFF' && tag(bytes, 8) === 'WAVE'
}

/** Throws InputError for a file that is cut or coded otherwise. */
export function readWav(bytes: Uint8Array, where: string): Sound {
  if (!isWav(bytes)) throw new InputError(where, 'is not a WAVE file')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let format: { code: number; channels: number; rate: number; bits: number } | undefined
  for (let at = 12; at + 8 <= bytes.length; ) {
    const [name, size, body] = [tag(bytes, at), view.getUint32(at + 4, true), at + 8]
    if (body + size > bytes.length)
      throw new InputError(
        where,
        `chunk "${name}" has ${size} bytes, ${bytes.length - body} are there: the file is cut`,
      )
    if (name === 'fmt ' && size >= 16) {
      const code = view.getUint16(body, true)
      format = {
        code: code === 0xfffe && size >= 26 ? view.getUint16(body + 24, true) : code,
        channels: view.getUint16(body + 2, true),
        rate: view.getUint32(body + 4, true),
        bits: view.getUint16(body + 14, true),
      }
    } else if (name === 'data' && format) {
      const { code, channels, rate, bits } = format
      const coded = code === 1 ? [8, 16, 24, 32].includes(bits) : code === 3 && (bits === 32 || bits === 64)
      if (!coded || channels === 0 || rate === 0)
        throw new InputError(
          where,
          `is sound of code ${code}, ${bits} bits, ${channels} channels, ${rate} Hz`,
          'save it as PCM of 8, 16, 24 or 32 bits, or as float',
        )
      const step = bits / 8
      const samples = new Float64Array(Math.floor(size / (step * channels)))
      for (let i = 0; i < samples.length * channels; i++)
        samples[Math.floor(i / channels)] += sampleAt(view, body + i * step, code, bits) / channels
      if (!samples.every(Number.isFinite)) throw new InputError(where, 'holds samples that are no finite numbers')
      return { rate, samples }
    }
    at = body + size + (size % 2)
  }
  throw new InputError(where, `is a WAVE file without ${format ? 'samples' : 'a format before its samples'}`)
}

function sampleAt(view: DataView, at: number, code: number, bits: number): number {
  if (code === 3) return bits === 32 ? view.getFloat32(at, true) : view.getFloat64(at, true)
  if (bits === 8) return (view.getUint8(at) - 128) / 128
  if (bits === 16) return view.getInt16(at, true) / 2 ** 15
  if (bits === 24) return (view.getUint16(at, true) + view.getInt8(at + 2) * 2 ** 16) / 2 ** 23
  return view.getInt32(at, true) / 2 ** 31
}
