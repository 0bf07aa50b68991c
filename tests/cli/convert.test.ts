import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { writeOnnx } from '../../src/export/onnx.ts'
import { writeTflite } from '../../src/export/tflite.ts'
import { readModel } from '../../src/import/read.ts'
import { Builder } from '../../src/ir/build.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { add } from '../../src/ops/binary/op.ts'
import { reference } from '../../src/run/reference.ts'
import { separable } from '../support/nets.ts'
import { answered, folder, typed } from './console.ts'

const dir = folder()
const at = (name: string, bytes: Uint8Array) => {
  writeFileSync(join(dir, name), bytes)
  return join(dir, name)
}

function sum(): Graph {
  const b = new Builder('sum')
  const [x, y] = ['x', 'y'].map((name) => b.input(name, { dtype: 'f32', shape: [2, 3] }))
  return b.graph([b.one(add, [x, y], { clamp: { min: 0 } }, { names: ['z'], from: 'total' })])
}

function outputsOf(graph: Graph) {
  const random = new Xorshift32(5)
  return reference(graph).run(graph.inputs.map((v) => random.fill(v.type)))
}

const float = { '.tflite': at('sum.tflite', writeTflite(sum())), '.onnx': at('sum.onnx', writeOnnx(sum())) }
const integer = at('separable.tflite', writeTflite(separable()))

describe('convert', () => {
  test.each([
    ['.tflite', '.tflite'],
    ['.tflite', '.onnx'],
    ['.onnx', '.onnx'],
    ['.onnx', '.tflite'],
  ] as const)('%s to %s gives a model with the same bits', async (from, to) => {
    const output = join(folder(), `model${to}`)
    const { file, bytes } = await answered('convert', float[from], '-o', output)
    const written = new Uint8Array(readFileSync(output))
    expect([file, bytes]).toEqual([output, written.length])
    expect(outputsOf(readModel(written))).toEqual(outputsOf(sum()))
  })

  test('keeps the integers of a .tflite file', async () => {
    const output = join(folder(), 'model.tflite')
    await answered('convert', integer, '-o', output)
    expect(outputsOf(readModel(new Uint8Array(readFileSync(output))))).toEqual(outputsOf(separable()))
  })

  test.each([
    ['the model itself', [float['.onnx'], '-o', float['.onnx'], '--force'], /is the model itself/],
    ['a file that is there', [float['.onnx'], '-o', float['.tflite']], /exists\n {2}hint: .*--force/],
    [
      'an unknown ending',
      [float['.onnx'], '-o', join(dir, 'model.pb')],
      /expected a name that ends in \.onnx or \.tflite/,
    ],
    ['no output', [float['.onnx']], /--output: is "", expected/],
    [
      'what ONNX cannot express',
      [integer, '-o', join(dir, 'none.onnx')],
      /integer arithmetic.*\n {2}hint: write the model as \.tflite/,
    ],
  ] as const)('refuses %s, and writes nothing', async (_, line, says) => {
    const before = readFileSync(float['.onnx'])
    const { code, err } = await typed('convert', ...line)
    expect(code).not.toBe(0)
    expect(err).toMatch(says)
    expect(readFileSync(float['.onnx'])).toEqual(before)
    expect(existsSync(join(dir, 'none.onnx'))).toBe(false)
  })

  test('overwrites another file with --force', async () => {
    const output = at('old.onnx', Uint8Array.of(1, 2, 3))
    await answered('convert', float['.tflite'], '-o', output, '--force')
    expect(outputsOf(readModel(new Uint8Array(readFileSync(output))))).toEqual(outputsOf(sum()))
  })

  test('--json answers an error as JSON', async () => {
    const { code, out } = await typed('convert', integer, '-o', join(dir, 'none.onnx'), '--json')
    expect(code).not.toBe(0)
    expect(JSON.parse(out)).toMatchObject({ error: { hint: expect.stringContaining('.tflite') } })
  })
})
