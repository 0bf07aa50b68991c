import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { chromiumEngine, findChromium, nodeEngine, packageFolder } from '../../src/cli/rivals/engines.ts'
import { compare } from '../../src/cli/rivals/rivals.ts'
import { rivalRows, rivalText } from '../../src/cli/rivals/table.ts'
import { Builder } from '../../src/ir/build.ts'
import { type Graph, quantOf, type TensorType } from '../../src/ir/graph.ts'
import { fullyConnected } from '../../src/ops/all.ts'

const i8 = (shape: readonly number[], scale: number): TensorType => ({ dtype: 'i8', shape, quant: quantOf(scale, 0) })

function net(): Graph {
  const build = new Builder('small')
  const x = build.input('x', i8([1, 8], 0.5))
  const w = build.const(
    'w',
    i8([4, 8], 0.25),
    Int8Array.from({ length: 32 }, (_, i) => (i * 37) % 100),
  )
  return build.graph([build.one(fullyConnected, [x, w], { clamp: {}, keepDims: false }, { types: [i8([1, 4], 4)] })])
}

const INPUT = Int8Array.of(1, -2, 3, -4, 5, -6, 7, 8)
const home = process.cwd()
let folder = ''

/** A stand-in for a runtime, as its package would lie beside the user's files. */
function install(name: string, file: string, text: string): void {
  const at = join(folder, 'node_modules', name)
  mkdirSync(join(at, file, '..'), { recursive: true })
  writeFileSync(join(at, 'package.json'), JSON.stringify({ name, type: 'module' }))
  writeFileSync(join(at, file), text)
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mote-rivals-'))
  process.chdir(folder)
})
afterAll(() => {
  process.chdir(home)
  rmSync(folder, { recursive: true, force: true })
})

const node = () => nodeEngine('wasm', process.execPath, process.version)

describe('a contest', () => {
  test('times mote alone where a rival is not installed, and says how to install it', async () => {
    expect(packageFolder('onnxruntime-node')).toBeUndefined()
    const rows = rivalRows(await compare({ graph: net() }, [INPUT], ['onnxruntime', 'litert'], [node()], () => {}))
    expect(rows.map(({ name }) => name)).toEqual(['onnxruntime', 'mote'])
    expect(rows[0].error).toBe('not installed: npm install --no-save onnxruntime-node')
    expect(rows[1]).toMatchObject({ engine: 'wasm', timesMote: 1 })
    expect(rows[1].minUs).toBeGreaterThan(0)
    expect(rivalText(rows)).toMatch(/onnxruntime is left out: not installed/)
  })

  test('gives a rival the same numbers, and compares what comes out', async () => {
    install(
      'onnxruntime-node',
      'dist/index.js',
      `export class Tensor { constructor(dtype, data, shape) { Object.assign(this, { dtype, data, shape }) } }
export const InferenceSession = {
  create: async (bytes) => ({
    inputNames: ['x'],
    outputNames: ['y'],
    async run({ x }) {
      if (x.dtype !== 'int8' || String(x.shape) !== '1,8' || !(x.data instanceof Int8Array)) throw Error('wrong input')
      if (bytes.length < 50) throw Error('no model')
      return { y: { data: [x.data[0], 0, 0, 0] } }
    },
  }),
}`,
    )
    const rows = rivalRows(await compare({ graph: net() }, [INPUT], ['onnxruntime'], [node()], () => {}))
    expect(rows.map(({ name, error }) => [name, error])).toEqual([
      ['mote', undefined],
      ['onnxruntime', undefined],
    ])
    expect(rows[1].difference).toBeGreaterThan(0)
  })

  test('names a rival that fails, and goes on', async () => {
    install('onnxruntime-node', 'dist/index.js', `throw Error('no such library')`)
    const rows = rivalRows(await compare({ graph: net() }, [INPUT], ['onnxruntime'], [node()], () => {}))
    expect(rows.map(({ name, error }) => [name, error])).toEqual([
      ['mote', undefined],
      ['onnxruntime', 'no such library'],
    ])
  })

  test.skipIf(!findChromium())(`takes place in a page too${findChromium() ? '' : ' (needs chromium)'}`, async () => {
    install(
      'onnxruntime-web',
      'dist/ort.wasm.min.mjs',
      `export const env = { wasm: {} }
export class Tensor { constructor(dtype, data, shape) { Object.assign(this, { dtype, data, shape }) } }
export const InferenceSession = { create: async () => ({ inputNames: ['x'], outputNames: ['y'], run: async () => ({ y: { data: [0, 0, 0, 0] } }) }) }`,
    )
    const engine = await chromiumEngine(findChromium()!)
    const rows = rivalRows(
      await compare({ graph: net() }, [INPUT], ['onnxruntime-web', 'tfjs-tflite'], [engine], () => {}),
    )
    expect(rows.map(({ name, error }) => [name, error])).toEqual([
      ['tfjs-tflite', 'not installed: npm install --no-save @tensorflow/tfjs-tflite'],
      ['mote', undefined],
      ['onnxruntime-web', undefined],
    ])
    expect(rows[1].downloadBytes).toBeGreaterThan(1000)
  })
})
