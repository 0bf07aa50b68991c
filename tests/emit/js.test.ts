// The files of a WebAssembly program, used as their readers use them: imported by Node, checked by TypeScript, replaced, disposed.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import ts from 'typescript'
import { afterAll, describe, expect, test } from 'vitest'
import { type WebOptions, webFiles } from '../../src/emit/js/files.ts'
import { type LoaderOptions, loaderText, pageSideText, threadText } from '../../src/emit/js/loader.ts'
import { jsPorts } from '../../src/emit/js/ports.ts'
import { compile, type Program } from '../../src/emit/program.ts'
import { encodeModule, FuncBody } from '../../src/emit/wasm/encoder.ts'
import { emitWasm } from '../../src/emit/wasm/module.ts'
import { relaxedProbe } from '../../src/emit/wasm/relaxed.ts'
import { readModel } from '../../src/import/read.ts'
import { type Description, describeTflite } from '../../src/import/tflite_metadata.ts'
import { bytesOf, type Graph, inputsOf, quantOf } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { conv2d, fullyConnected, mean } from '../../src/ops/all.ts'
import { CaseBuilder, i8 } from '../../src/ops/case.ts'
import { quantizeReal } from '../../src/ops/quant.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { reference } from '../../src/run/reference.ts'
import { describeShared, sharedBytes, sharedNames } from '../shared/shared.ts'
import { nothing, recurrent, residual, separable, twoInputs } from '../support/nets.ts'
import { writeFiles } from '../support/site.ts'

const KB = 1024
const root = fileURLToPath(new URL('../../', import.meta.url))
const scratch = `${root}.tmp/js-${process.pid}`
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

let folders = 0
/** Writes a program and gives the folder. */
function written(program: Program, options?: WebOptions): string {
  const folder = join(scratch, String(folders++))
  writeFiles(folder, webFiles(program, options))
  return folder
}
const imported = (folder: string, name: string) => import(/* @vite-ignore */ join(folder, `${name}.js`))
const compiled = (graph: Graph, name: string) => compile(graph, { name, keepChannels: true })

/** int8 classifiers that differ in their weights alone. */
function classifier(seed: number, scoreScale = 0.1): Graph {
  const b = new CaseBuilder('classifier', seed)
  const x = b.input('image', i8([1, 6, 6, 3], 0.05, -3))
  const window = { stride: [1, 1], dilation: [1, 1], pad: [1, 1, 1, 1], groups: 1, clamp: { min: 0 } }
  const filters = b.weights('filters', [4, 3, 3, 3], 0.01, 0)
  const seen = b.one(conv2d, [x, filters, b.bias('offsets', 4, 2000)], window, {
    quant: quantOf(0.09, -128),
    from: 'seen',
  })
  const all = b.one(mean, [seen], { axes: [1, 2], keepDims: false }, { quant: seen.type.quant, from: 'all' })
  const scores = b.weights('classes', [3, 4], 0.01)
  return b.graph([
    b.one(
      fullyConnected,
      [all, scores, b.bias('priors', 3, 500)],
      { keepDims: false, clamp: {} },
      { quant: quantOf(scoreScale, 4), from: 'scores' },
    ),
  ])
}
const image = (seed: number) => new Xorshift32(seed).fill(i8([1, 6, 6, 3], 0.05, -3)) as Int8Array

describe('in Node', () => {
  test.each([
    ['separable', separable()],
    ['residual', residual()],
    ['two_inputs', twoInputs()],
    ['recurrent', recurrent()],
    ['nothing', nothing()],
  ])('%s answers as the reference does, and again after reset', async (name, graph) => {
    const { load, inputs, outputs } = await imported(written(compile(graph, { name })), name)
    const model = await load()
    const expected = reference(graph)
    const random = new Xorshift32(9)
    const keys = Object.keys(inputs)
    const given = Array.from({ length: 3 }, () => graph.inputs.map((v) => random.fill(v.type)))
    for (const round of [1, 2]) {
      for (const arrays of given) {
        const answer = model.run(Object.fromEntries(arrays.map((data, i) => [keys[i], data])))
        expect(Object.keys(answer), `round ${round}`).toEqual(Object.keys(outputs))
        expect(Object.values(answer)).toEqual(expected.run(arrays))
      }
      model.reset()
      expected.reset()
    }
  })

  test('tensors are called by their names where all have one that a program can say', async () => {
    const ports = async (inputName: string, outputs: string[]) => {
      const graph = twoInputs()
      const renamed = {
        ...graph,
        outputs: graph.outputs.map((v, i) => Object.assign(v, { name: outputs[i] })),
        inputs: graph.inputs.map((v, i) => (i === 0 ? Object.assign(v, { name: inputName }) : v)),
      }
      const { inputs, outputs: out } = await imported(written(compile(renamed, { name: 'named' })), 'named')
      return [...Object.keys(inputs), ...Object.keys(out)]
    }
    expect(await ports('image', ['pooled', 'scores'])).toEqual(['image', 'features', 'pooled', 'scores'])
    expect(await ports('serving_default_x:0', ['a:0', 'b:1'])).toEqual(['x', 'features', 'a', 'b'])
    expect(await ports('a/b', ['StatefulPartitionedCall:0', 'scores'])).toEqual([
      'input0',
      'input1',
      'output0',
      'output1',
    ])
    expect(await ports('class', ['x', 'input0'])).toEqual(['input0', 'input1', 'output0', 'output1'])
  })

  test('quantises and dequantises as mote does', async () => {
    const { load, inputs, outputs, quantize, dequantize } = await imported(
      written(compiled(classifier(1), 'net')),
      'net',
    )
    expect(inputs.image).toEqual({ dtype: 'int8', shape: [1, 6, 6, 3], length: 108, scale: 0.05, zero: -3 })
    const reals = Float64Array.from({ length: 108 }, (_, i) => (i - 54) * 0.173)
    const stored = quantize(inputs.image, reals)
    expect(stored).toEqual(
      Int8Array.from(reals, (x) => Math.min(127, Math.max(-128, quantizeReal(x, Math.fround(0.05), -3)))),
    )
    const { scores } = (await load()).run({ image: stored })
    expect(dequantize(outputs.scores, scores)).toEqual(
      Float32Array.from(scores, (q: number) => Math.fround(0.1) * (q - 4)),
    )
  })

  test('takes the module as bytes, response, promise of one, or compiled', async () => {
    const folder = written(compiled(classifier(1), 'net'))
    const { load } = await imported(folder, 'net')
    const bytes = readFileSync(join(folder, 'net.wasm'))
    const expected = reference(classifier(1)).run([image(1)])
    const headers = { 'content-type': 'application/wasm' }
    for (const module of [
      bytes,
      new Response(bytes),
      Promise.resolve(new Response(bytes, { headers })),
      new WebAssembly.Module(bytes),
      new URL('net.wasm', `file://${folder}/`),
    ])
      expect(Object.values((await load({ module })).run({ image: image(1) }))).toEqual(expected)
  })

  test('says both values where an input is wrong, and what to do where files do not belong together', async () => {
    const program = compiled(classifier(1), 'net')
    const folder = written(program)
    const { load } = await imported(folder, 'net')
    const model = await load()
    const run = (given: object) => () => model.run(given)
    expect(run({ image: new Int8Array(107) })).toThrow('input "image" takes Int8Array of 108, got Int8Array of 107')
    expect(run({ image: new Uint8Array(108) })).toThrow('input "image" takes Int8Array of 108, got Uint8Array of 108')
    expect(run({ picture: image(1) })).toThrow('input "image" takes Int8Array of 108, got undefined')
    model.dispose()
    expect(run({ image: image(1) })).toThrow('the model was disposed')
    expect(() => model.reset()).toThrow('the model was disposed')

    const other = compiled(separable(), 'net').wasm!
    await expect(load({ module: other })).rejects.toThrow(
      /net\.wasm is of another model: interface -?\d+, expected -?\d+/,
    )
    const page = { status: 404, headers: { 'content-type': 'text/html' } }
    await expect(load({ module: new Response('', page) })).rejects.toThrow('answers 404 text/html')
    await expect(load({ module: new Response('<!doctype html>', { headers: page.headers }) })).rejects.toThrow(
      'answers 200 text/html',
    )
  })

  test('a second module is taken where its probe is content', async () => {
    const program = compiled(classifier(1), 'net')
    const { wasm } = compiled(classifier(2), 'net')
    const answer = (ok: number) => {
      const f = new FuncBody([])
      f.i32(ok)
      const exports = [{ name: 'ok', kind: 'func', index: 0 }] as const
      return encodeModule({ funcs: [f.func('ok', ['i32'])], memory: { min: 0 }, exports })
    }
    const taken = async (probe: Uint8Array, variant: Uint8Array) => {
      const { load } = await imported(written(program, { variants: { second: { wasm: variant, probe } } }), 'net')
      return Object.values((await load()).run({ image: image(5) }))
    }
    const [first, second] = [1, 2].map((seed) => reference(classifier(seed)).run([image(5)]))
    expect(await taken(answer(1), wasm!)).toEqual(second)
    expect(await taken(answer(0), wasm!)).toEqual(first)
    expect(await taken(Uint8Array.of(1, 2, 3), wasm!)).toEqual(first)
    const relaxed = compile(classifier(1), { name: 'net', target: 'wasm-relaxed' })
    expect(await taken(relaxedProbe(), relaxed.wasm!)).toEqual(first)
    const variants = { relaxed: { wasm: relaxed.wasm!, probe: relaxedProbe() } }
    expect(() => webFiles(program, { weights: 'separate', variants })).toThrow('separate is for one module')
  })
})

describe('weights in a file of their own', () => {
  const [first, second] = [compiled(classifier(1), 'net'), compiled(classifier(2), 'net')]
  const weightsOf = (program: Program) =>
    webFiles(program, { weights: 'separate' }).find((f) => f.name === 'net.weights')!.data as Uint8Array

  test('are loaded beside the module, and can be replaced by those of another model of its form', async () => {
    const folder = written(first, { weights: 'separate' })
    expect(readFileSync(join(folder, 'net.wasm')).length).toBeLessThan(first.wasm!.length - first.plan.weightBytes)
    const { load } = await imported(folder, 'net')
    const answers = async (weights?: unknown) => Object.values((await load({ weights })).run({ image: image(3) }))
    expect(await answers()).toEqual(reference(classifier(1)).run([image(3)]))
    expect(await answers(weightsOf(second))).toEqual(reference(classifier(2)).run([image(3)]))
    expect(await answers(new Response(weightsOf(second) as BodyInit))).toEqual(reference(classifier(2)).run([image(3)]))
    writeFileSync(join(folder, 'net.weights'), weightsOf(second))
    expect(await answers()).toEqual(reference(classifier(2)).run([image(3)]))
  })

  test('a net without weights has an empty file of them', async () => {
    const { load } = await imported(written(compile(nothing(), { name: 'none' }), { weights: 'separate' }), 'none')
    const x = Float32Array.of(1, 2)
    expect(Object.values((await load()).run({ x }))).toEqual([x])
  })

  test('are refused where they are damaged, cut, or for another program', async () => {
    const { load } = await imported(written(first, { weights: 'separate' }), 'net')
    const damaged = weightsOf(first).slice()
    damaged[40] ^= 1
    await expect(load({ weights: damaged })).rejects.toThrow(/damaged weights: hash -?\d+, expected -?\d+/)
    await expect(load({ weights: weightsOf(first).subarray(0, 60) })).rejects.toThrow('damaged weights')
    await expect(load({ weights: weightsOf(compiled(separable(), 'net')) })).rejects.toThrow(
      /weights of another model: layout -?\d+, expected -?\d+/,
    )
    await expect(load({ weights: weightsOf(compiled(classifier(1, 0.2), 'net')) })).rejects.toThrow(
      'weights of another model',
    )
  })
})

const libraries = new Map<string, ts.SourceFile>()

/** TypeScript's own files are read once. */
function compilerHost(options: ts.CompilerOptions): ts.CompilerHost {
  const host = ts.createCompilerHost(options)
  const { getSourceFile } = host
  host.getSourceFile = (name, ...rest) => {
    const known = libraries.get(name)
    if (known) return known
    const file = getSourceFile(name, ...rest)
    if (file && /[/\\]lib\.[\w.]+\.d\.ts$/.test(name)) libraries.set(name, file)
    return file
  }
  return host
}

/** What TypeScript says about a file in `folder`. */
function diagnosed(folder: string, code: string, bundler: boolean, options: ts.CompilerOptions = {}): string[] {
  const file = join(folder, 'use.ts')
  writeFileSync(file, code)
  const settings = {
    strict: true,
    noEmit: true,
    module: bundler ? ts.ModuleKind.ESNext : ts.ModuleKind.NodeNext,
    moduleResolution: bundler ? ts.ModuleResolutionKind.Bundler : ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'],
    types: [],
    ...options,
  }
  const program = ts.createProgram([file], settings, compilerHost(settings))
  return ts.getPreEmitDiagnostics(program).map((d) => ts.flattenDiagnosticMessageText(d.messageText, '\n'))
}

describe('TypeScript', () => {
  const labels = ["the cat's", 'dog "Rex"', 'naïve bird']
  const folder = written(compiled(classifier(1), 'net'), { weights: 'separate', described: { labels } })
  const head = "import { dequantize, inputs, labels, load, outputs, quantize } from './net.js'\n"

  test.each([true, false])('knows names, shapes, scales and labels (bundler: %s)', (bundler) => {
    const use = `${head}
import { load as loadInWorker } from './net.worker.js'
const shape: readonly [1, 6, 6, 3] = inputs.image.shape
const bird: 'naïve bird' = labels[2]
const dtype: 'int8' = outputs.scores.dtype
const scale: 0.1 = outputs.scores.scale
export async function classes(pixels: Float32Array): Promise<Float32Array> {
  const model = await load({ module: fetch('other.wasm'), weights: new URL('file:///net.weights') })
  const { scores } = model.run({ image: quantize(inputs.image, pixels) })
  const far = await loadInWorker({ weights: new Uint8Array(8) })
  const again: Int8Array = (await far.run({ image: scores })).scores
  model.reset()
  model.dispose()
  far.dispose()
  return dequantize(outputs.scores, again)
}
export { bird, dtype, scale, shape }
`
    expect(diagnosed(folder, use, bundler)).toEqual([])
  })

  test('refuses wrong names, types, shapes, labels, and writing', () => {
    const wrong = [
      'model.run({ image: new Uint8Array(108) })',
      'model.run({ picture: new Int8Array(108) })',
      'model.run({})',
      'model.run({ image: new Int8Array(108) }).classes',
      'export const shape: readonly [1, 8, 8, 3] = inputs.image.shape',
      "export const cat: 'cat' = labels[0]",
      'labels[3]',
      'dequantize(outputs.scores, new Float32Array(3))',
      'quantize(inputs.picture, [0])',
      'inputs.image.scale = 0.1',
      'model.trace({ image: new Int8Array(108) })',
      'load({ weights: 3 })',
    ]
    const use = `${head}const model = await load()\n${wrong.map((line) => `// @ts-expect-error\n${line}\n`).join('')}quantize\n`
    expect(diagnosed(folder, use, true)).toEqual([])
  })

  test('types of every net are types', () => {
    const nets = [residual(), twoInputs(), recurrent(), nothing()]
    const at = join(scratch, 'nets')
    nets.forEach((graph, i) => {
      writeFiles(at, webFiles(compile(graph, { name: `net${i}` })))
    })
    const use = nets.map(
      (_, i) => `import { load as load${i} } from './net${i}.js'\nexport const run${i} = (await load${i}()).run\n`,
    )
    expect(diagnosed(at, use.join(''), true)).toEqual([])
  })

  test('the code of docs/in-a-web-page.md around a model fits its types', () => {
    const guide = readFileSync(`${root}docs/in-a-web-page.md`, 'utf8')
    const code = [...guide.matchAll(/```ts\n([\s\S]*?)```/g)].map((m) => m[1]).find((c) => c.includes("'mote-ml/web/"))!
    const five = ['a', 'b', 'c', 'd', 'e']
    const at = written(compile(separable(), { name: 'model' }), {
      described: { labels: five, inputs: [{ mean: [0], std: [255] }] },
    })
    const paths = { 'mote-ml/web/*': [`${root}src/web/*.ts`] }
    const options = { paths, allowImportingTsExtensions: true, lib: ['lib.es2023.d.ts', 'lib.dom.d.ts'] }
    expect(diagnosed(at, code, true, options)).toEqual([])
  })

  test('labels with quotes come out as they are', async () => {
    expect((await imported(folder, 'net')).labels).toEqual(labels)
  })
})

test('a thousand models made and disposed, and ten thousand runs, leave no memory behind', () => {
  const folder = written(compiled(classifier(1), 'net'))
  const script = `
import { readFileSync } from 'node:fs'
import { load } from './net.js'
const module = new WebAssembly.Module(readFileSync(new URL('net.wasm', import.meta.url)))
const settle = async () => { for (let i = 0; i < 4; i++) { await new Promise((r) => setTimeout(r, 5)); gc() } }
const used = async () => { await settle(); const { heapUsed, external, arrayBuffers } = process.memoryUsage(); return heapUsed + external + arrayBuffers }
const make = async (n) => { for (let i = 0; i < n; i++) { const model = await load({ module }); model.run({ image: new Int8Array(108) }); model.dispose() } }
await make(50)
const before = await used()
await make(1000)
const made = await used()
const model = await load({ module })
const run = (n) => { for (let i = 0; i < n; i++) model.run({ image: new Int8Array(108) }) }
run(1000)
const ready = await used()
run(10000)
console.log(JSON.stringify([made - before, (await used()) - ready]))
`
  writeFileSync(join(folder, 'leak.mjs'), script)
  const { stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', 'leak.mjs'], { cwd: folder, encoding: 'utf8' })
  expect(stderr.replace(/.*(MODULE_TYPELESS|Reparsing|To eliminate|node --trace).*\n/g, '')).toBe('')
  const [made, ran] = JSON.parse(stdout)
  // 1000 memories of a page are 64 MB.
  expect(made).toBeLessThan(512 * KB)
  expect(ran).toBeLessThan(128 * KB)
})

const LOADERS: readonly Pick<LoaderOptions, 'separate' | 'variants' | 'threads'>[] = [
  { separate: false, variants: {} },
  { separate: true, variants: {} },
  { separate: false, variants: { relaxed: { wasm: new Uint8Array(), probe: relaxedProbe() } } },
  { separate: false, variants: {}, threads: { most: 4, pages: 100 } },
]

/** Labels are not counted, of which a loader may have as many as it wants. */
function expectSmall({ name, plan }: Program, { labels: _, ...described }: Description = {}): void {
  const ports = jsPorts(plan.graph, described)
  for (const options of LOADERS)
    expect(loaderText(name, ports, 0x80000000 | 0, options).length).toBeLessThanOrEqual(3 * KB)
  expect(pageSideText(name).length + threadText(name).length).toBeLessThan(3 * KB)
}

/** Bytes of a model's constants: their elements, and the scales of channels that have their own. */
function constantBytes(graph: Graph): number {
  const constants = new Set(graph.nodes.flatMap(inputsOf).filter((v) => v.data))
  return [...constants].reduce((sum, { type }) => {
    const scales = type.dtype === 'i32' ? 0 : (type.quant?.scale.length ?? 0)
    return sum + bytesOf(type) + (scales > 1 ? 4 * scales : 0)
  }, 0)
}

test('loaders are small', () => {
  for (const graph of [separable(), residual(), twoInputs(), recurrent(), nothing()]) expectSmall(compile(graph))
})

test('a loader that would be long has no spaces, and does and says the same', async () => {
  const name = `net_${'x'.repeat(120)}`
  const program = compiled(classifier(1), name)
  const folder = written(program, { variants: { second: { wasm: program.wasm!, probe: relaxedProbe() } } })
  const text = readFileSync(join(folder, `${name}.js`), 'utf8')
  expect(text).toContain('export const inputs={')
  const { load, inputs, quantize, dequantize } = await imported(folder, name)
  const [expected] = reference(classifier(1)).run([image(4)])
  const model = await load()
  expect(model.run({ image: image(4) })).toEqual({ scores: expected })
  expect(quantize(inputs.image, dequantize(inputs.image, image(4)))).toEqual(image(4))
  expect(() => model.run({ image: new Uint8Array(108) })).toThrow(
    'input "image" takes Int8Array of 108, got Uint8Array of 108',
  )
  model.dispose()
  expect(() => model.reset()).toThrow('the model was disposed')
})

describeShared('shared models', () => {
  const folders = sharedNames('models')
  const files = folders.flatMap((f) => sharedNames(`models/${f}`).map((name) => `models/${f}/${name}`))
  const models = files.filter((f) => /\.(tflite|onnx)$/.test(f))

  test.each(models)('%s: a small loader, and a module that is not much more than its weights', (path) => {
    const bytes = sharedBytes(path)
    const name = path
      .split('/')
      .at(-1)!
      .replace(/\.\w+$/, '')
    const graph = readModel(bytes)
    const program = compile(graph, { name })
    expectSmall(program, describeTflite(bytes))
    expect(program.wasm!.length).toBeLessThanOrEqual(constantBytes(graph) + 40 * KB)
    expect(gzipSync(emitWasm(program.plan, { weights: 'separate' })).length).toBeLessThan(20 * KB)
  })

  test('labels, names and the scaling of pixels come from the metadata of a .tflite file', async () => {
    const bytes = sharedBytes('models/tflite_support/mobilenet_v1_0.25_224_quant.tflite')
    const program = compile(readModel(bytes), { name: 'mobilenet' })
    const { inputs, outputs, labels, load } = await imported(
      written(program, { described: describeTflite(bytes) }),
      'mobilenet',
    )
    expect(inputs).toEqual({
      image: {
        dtype: 'uint8',
        shape: [1, 224, 224, 3],
        length: 150528,
        scale: 0.0078125,
        zero: 128,
        mean: [127.5],
        std: [127.5],
      },
    })
    expect(Object.keys(outputs)).toEqual(['probability'])
    expect([labels.length, labels[0], labels[2]]).toEqual([1001, 'background', 'goldfish'])
    const given = new Xorshift32(1).fill(program.plan.graph.inputs[0].type)
    const { probability } = (await load()).run({ image: given })
    expect([probability]).toEqual((await instantiate(program)).run([given]))
  })
})

test('every file of a program is plain text or a module, and loaders import nothing', () => {
  const folder = written(compiled(classifier(1), 'net'), { weights: 'separate' })
  expect(readdirSync(folder).sort()).toEqual(
    ['d.ts', 'js', 'thread.js', 'wasm', 'weights', 'worker.d.ts', 'worker.js'].map((end) => `net.${end}`),
  )
  for (const file of ['net.js', 'net.worker.js'])
    expect(ts.preProcessFile(readFileSync(join(folder, file), 'utf8')).importedFiles).toEqual([])
})
