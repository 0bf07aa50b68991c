import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ModelError } from '../../src/errors.ts'
import { Builder } from '../../src/ir/build.ts'
import { loadGraph, saveGraph } from '../../src/ir/file.ts'
import { valuesOf } from '../../src/ir/graph.ts'
import { fnv1a } from '../../src/ir/hash.ts'
import type { Attrs, Op } from '../../src/ir/op.ts'
import { printGraph } from '../../src/ir/print.ts'
import { verify } from '../../src/ir/verify.ts'
import { inPlace } from '../../src/passes/in_place.ts'
import { reference } from '../../src/run/reference.ts'
import { i32, mix, randomGraph, randomInputs, scale, TOYS } from '../support/toy_ops.ts'

const seeds = fc.integer({ min: 1, max: 2 ** 30 })

/** The error of loading `bytes`, or nothing where a valid graph came out. Any other error fails the test. */
function loading(bytes: Uint8Array): ModelError | undefined {
  try {
    verify(loadGraph(bytes, TOYS))
    return undefined
  } catch (e) {
    if (e instanceof ModelError) return e
    throw e
  }
}

/** With the hash made to fit, so that what lies behind it is reached. */
function rehashed(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (bytes.length >= 16) new DataView(bytes.buffer).setUint32(12, fnv1a(bytes.subarray(16)), true)
  return bytes
}

function withHeader(bytes: Uint8Array<ArrayBuffer>, change: (text: string) => string): Uint8Array<ArrayBuffer> {
  const length = new DataView(bytes.buffer).getUint32(16, true)
  const text = new TextEncoder().encode(change(new TextDecoder().decode(bytes.subarray(24, 24 + length))))
  const blobs = bytes.subarray(Math.ceil((24 + length) / 8) * 8)
  const out = new Uint8Array(Math.ceil((24 + text.length) / 8) * 8 + blobs.length)
  out.set(bytes.subarray(0, 24))
  out.set(text, 24)
  out.set(blobs, out.length - blobs.length)
  new DataView(out.buffer).setUint32(16, text.length, true)
  return rehashed(out)
}

describe('saveGraph and loadGraph', () => {
  test('give back a graph that prints the same, holds the same bytes and runs the same', () => {
    fc.assert(
      fc.property(seeds, fc.boolean(), (seed, shared) => {
        const random = randomGraph(seed, { nodes: 15, state: true })
        const graph = shared ? inPlace(random) : random
        const again = loadGraph(saveGraph(graph), TOYS)
        expect(printGraph(again)).toBe(printGraph(graph))
        expect(valuesOf(again).map((v) => v.data)).toEqual(valuesOf(graph).map((v) => v.data))
        expect(saveGraph(again)).toEqual(saveGraph(graph))
        const inputs = randomInputs(graph, seed)
        expect(reference(again).run(inputs)).toEqual(reference(graph).run(inputs))
      }),
    )
  })

  test('keep attributes that JSON does not know', () => {
    const anything: Op = { ...mix, name: 'anything', check: () => {}, infer: () => [i32(1)] } as Op
    const leaf = fc.oneof(fc.double(), fc.string(), fc.boolean(), fc.constant(undefined), fc.constant('#NaN'))
    const attrs = fc.dictionary(
      fc.string().filter((k) => k !== '__proto__'),
      fc.oneof(leaf, fc.array(leaf), fc.dictionary(fc.constantFrom('a', 'b'), leaf, { noNullPrototype: true })),
      { noNullPrototype: true },
    )
    fc.assert(
      fc.property(attrs, (given) => {
        const build = new Builder()
        const x = build.input('x', i32(1))
        const graph = build.graph([build.one(anything, [x], given as Attrs)])
        const again = loadGraph(saveGraph(graph), new Map([['anything', anything]]))
        expect(again.nodes[0].attrs).toStrictEqual(given)
      }),
    )
  })

  test('keep every element type, quantisation, tensor numbers and odd names', () => {
    const anything: Op = { ...mix, name: 'anything', check: () => {}, infer: () => [i32(1)] } as Op
    const build = new Builder('#name "quoted" \u{1f335}')
    const quant = { scale: Float64Array.of(1e-300, Math.fround(0.1), 3), zero: Int32Array.of(-128, 0, 7), axis: 1 }
    const stored = [
      build.const('#a', { dtype: 'i8', shape: [2, 3], quant }, Int8Array.of(-1, 2, 3, 4, 5, 6), 12),
      build.const('b', { dtype: 'u8', shape: [1] }, Uint8Array.of(255)),
      build.const('c', { dtype: 'i16', shape: [3] }, Int16Array.of(-1, 2, 3)),
      build.const('d', { dtype: 'i64', shape: [1] }, BigInt64Array.of(-(2n ** 63n))),
      build.const('e', { dtype: 'f32', shape: [2] }, Float32Array.of(Number.NaN, -0)),
      build.const('f', { dtype: 'bool', shape: [] }, Uint8Array.of(1)),
      build.const('g', { dtype: 'i4', shape: [3] }, Uint8Array.of(0x21, 0x03)),
      build.const('h', { dtype: 'f32', shape: [0] }, new Float32Array(0)),
    ]
    const graph = build.graph([build.one(anything, [undefined, ...stored], {})])
    const again = loadGraph(saveGraph(graph), new Map([['anything', anything]]))
    expect(again.name).toBe(graph.name)
    expect(again.nodes[0].inputs).toEqual(graph.nodes[0].inputs)
  })

  test('share an array that several values share', () => {
    const build = new Builder()
    const data = new Int32Array(1000)
    const [a, b] = [build.const('a', i32(1000), data), build.const('b', i32(1000), data)]
    const bytes = saveGraph(build.graph([build.one(mix, [a, b], { bias: 0 })]))
    expect(bytes.length).toBeLessThan(6000)
    const [x, y] = loadGraph(bytes, TOYS).nodes[0].inputs
    expect(x!.data).toBe(y!.data)
  })

  test('every shortened file is a ModelError', () => {
    const bytes = saveGraph(randomGraph(11, { nodes: 8, state: true }))
    for (let n = 0; n < bytes.length; n++) expect(loading(bytes.slice(0, n))).toBeInstanceOf(ModelError)
  })

  test('every flipped bit is a ModelError', () => {
    fc.assert(
      fc.property(seeds, fc.nat(), fc.nat(7), (seed, at, bit) => {
        const bytes = saveGraph(randomGraph(seed, { nodes: 6 }))
        bytes[at % bytes.length] ^= 1 << bit
        expect(loading(bytes)).toBeInstanceOf(ModelError)
      }),
    )
  })

  test('a damaged file with a fitting hash is a ModelError or a graph that verifies', () => {
    let valid = 0
    fc.assert(
      fc.property(seeds, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }), (seed, changes) => {
        const bytes = saveGraph(randomGraph((seed % 50) + 1, { nodes: 6, state: true }))
        for (const [at, value] of changes) bytes[16 + (at % (bytes.length - 16))] = value
        if (!loading(rehashed(bytes))) valid++
      }),
      { numRuns: 600, seed: 1 },
    )
    expect(valid).toBeGreaterThan(3)
  })

  test('a header with other numbers, words or structure is a ModelError or a graph that verifies', () => {
    const bytes = saveGraph(randomGraph(5, { nodes: 8, state: true }))
    const tokens = fc.constantFrom('null', '[]', '{}', '-1', '1e999', '0.5', '999999999', '"#x"', 'true', '""')
    fc.assert(
      fc.property(fc.nat(), tokens, (which, token) => {
        let n = 0
        const damaged = withHeader(bytes, (text) => {
          const count = [...text.matchAll(/"[^"]*"(?!:)|\b\d+\b/g)].length
          return text.replace(/"[^"]*"(?!:)|\b\d+\b/g, (old) => (n++ === which % count ? token : old))
        })
        loading(damaged)
      }),
      { numRuns: 600 },
    )
  })

  test('errors say where the file is wrong', () => {
    const build = new Builder()
    const x = build.input('x', i32(2))
    const w = build.const('w', i32(2), Int32Array.of(1, 2))
    const bytes = saveGraph(build.graph([build.one(scale, [x, w], {}, { from: 'layer' })]))
    const message = (from: string | RegExp, to: string) =>
      loading(withHeader(bytes, (t) => t.replace(from, to)))?.message
    expect(message('"scale"', '"other"')).toBe('graph.nodes[0]: has the operator "other", which is not known')
    expect(message('"length":2', '"length":3')).toBe('graph.values[1].data: ends at 12, the file has 8 bytes of data')
    expect(message('"dtype":"i32"', '"dtype":"i33"')).toBe('graph.values[0].dtype: is "i33"')
    expect(message('"inputs":[0,1]', '"inputs":[0,7]')).toBe(
      'graph.nodes[0].inputs[1]: is 7, not a whole number below 3',
    )
    expect(message('"shape":[2]', '"shape":[5]')).toContain('layer')
    expect(loading(new Uint8Array(40))?.message).toBe('graph file: does not begin with "motegrph"')
    const newer = bytes.slice()
    newer[8] = 9
    expect(loading(newer)?.message).toBe('graph file: has version 9, this mote reads version 1')
  })
})
