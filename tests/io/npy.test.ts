import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { InputError } from '../../src/errors.ts'
import { type NpyArray, readNpy, writeNpy } from '../../src/io/npy.ts'

const arrays: NpyArray[] = [
  { dtype: 'f32', shape: [2, 3], data: Float32Array.of(0, -0.5, 1e-30, 3e38, Number.NaN, 7) },
  { dtype: 'f16', shape: [3], data: Uint16Array.of(0x3c00, 0xfbff, 1) },
  { dtype: 'f64', shape: [2], data: Float64Array.of(0.1, -1e300) },
  { dtype: 'i8', shape: [4], data: Int8Array.of(-128, 0, 1, 127) },
  { dtype: 'u8', shape: [1, 1, 2], data: Uint8Array.of(0, 255) },
  { dtype: 'i16', shape: [2], data: Int16Array.of(-32768, 32767) },
  { dtype: 'i32', shape: [], data: Int32Array.of(-5) },
  { dtype: 'i64', shape: [1], data: BigInt64Array.of(-(2n ** 62n)) },
  { dtype: 'bool', shape: [3], data: Uint8Array.of(1, 0, 1) },
  { dtype: 'f32', shape: [0, 4], data: new Float32Array(0) },
]

/** A file with this header, version 1 unless said otherwise, and these bytes of data. */
function npy(header: string, data: Uint8Array, version = 1): Uint8Array {
  const start = version === 1 ? 10 : 12
  const bytes = new Uint8Array(start + header.length + data.length)
  bytes.set([0x93, ...new TextEncoder().encode('NUMPY'), version, 0, header.length & 255, header.length >> 8])
  bytes.set(new TextEncoder().encode(header), start)
  bytes.set(data, start + header.length)
  return bytes
}

const header = (descr: string, shape: string, order = 'False') =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${shape}), }\n`

describe('.npy files', () => {
  it('come back as they were written, data at a multiple of 64 bytes', () => {
    for (const array of arrays) {
      const bytes = writeNpy(array)
      expect(readNpy(bytes)).toEqual(array)
      expect((bytes.length - array.data.byteLength) % 64).toBe(0)
    }
  })

  it('are read in versions 2 and 3, at any address', () => {
    const doubles = new Uint8Array(Float64Array.of(0.1, -2).buffer)
    for (const version of [1, 2, 3])
      expect(readNpy(npy(header('<f8', '2,'), doubles, version))).toEqual({
        dtype: 'f64',
        shape: [2],
        data: Float64Array.of(0.1, -2),
      })
    const bytes = npy(header('<i4', '1,'), Uint8Array.of(1, 2, 0, 0))
    const shifted = new Uint8Array(bytes.length + 1).subarray(1)
    shifted.set(bytes)
    expect(readNpy(shifted).data).toEqual(Int32Array.of(513))
  })

  it.each([
    ['another file', new Uint8Array(20), /is not a .npy file/],
    ['another version', npy(header('<f4', '1,'), new Uint8Array(4), 4), /version 4/],
    ['a cut header', npy(header('<f4', '1,'), new Uint8Array(4)).subarray(0, 30), /ends within its header/],
    ['Fortran order', npy(header('<f4', '2, 2', 'True'), new Uint8Array(16)), /Fortran order/],
    ['big-endian elements', npy(header('>f4', '1,'), new Uint8Array(4)), /type >f4; supported/],
    ['complex numbers', npy(header('<c8', '1,'), new Uint8Array(8)), /type <c8/],
    ['records', npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}\n", new Uint8Array(4)), /header/],
    ['too little data', npy(header('<f4', '2,'), new Uint8Array(4)), /shape \[2\], that is 8 bytes, it holds 4/],
    ['too much data', npy(header('<f4', '1,'), new Uint8Array(8)), /that is 4 bytes, it holds 8/],
    ['a shape beyond all memory', npy(header('<f4', '99999999999, 99999999999'), new Uint8Array(0)), /the shape/],
  ])('are refused with the reason: %s', (_, bytes, reason) => {
    expect(() => readNpy(bytes)).toThrow(InputError)
    expect(() => readNpy(bytes)).toThrow(reason)
  })

  const numpy = spawnSync('python3', ['-c', 'import numpy']).status === 0
  it.skipIf(!numpy)('are those of NumPy (skipped where it is not installed)', () => {
    const folder = mkdtempSync(join(tmpdir(), 'npy-'))
    const script = `import numpy, sys
for p in sys.argv[1:]: numpy.save(p, numpy.load(p))`
    const paths = arrays.map((array, i) => {
      const path = join(folder, `${i}.npy`)
      writeFileSync(path, writeNpy(array))
      return path
    })
    execFileSync('python3', ['-c', script, ...paths])
    paths.forEach((path, i) => {
      expect(readNpy(readFileSync(path))).toEqual(arrays[i])
    })
  })
})
