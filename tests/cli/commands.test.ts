import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { PNG } from 'pngjs'
import { describe, expect, test } from 'vitest'
import { fingerprint } from '../../src/ir/hash.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { missingDeviceTools } from '../../src/run/device.ts'
import { hostCompiler } from '../../src/run/host_c.ts'
import { reference } from '../../src/run/reference.ts'
import { separable, twoInputs } from '../support/nets.ts'
import { answered, folder, saved, typed } from './console.ts'

const dir = folder()
const model = saved(dir, separable())
const pair = saved(dir, twoInputs())
const seeded = (seed: number) => new Xorshift32(seed).fill(separable().inputs[0].type)
const hosts = hostCompiler() ? ['host-c'] : []

describe('inspect', () => {
  test('lists the layers, and totals are their sums', async () => {
    const { format, inputs, outputs, layers, macs, weightBytes, plan } = await answered('inspect', model)
    expect(format).toBe('mote')
    expect(inputs).toMatchObject([{ name: 'picture', dtype: 'i8', shape: [1, 8, 8, 3], zero: [-3] }])
    expect(outputs).toMatchObject([{ name: 'scores', dtype: 'i8', shape: [1, 5] }])
    expect(layers.map((l: { op: string }) => l.op)).toEqual(separable().nodes.map((n) => n.op.name))
    expect(layers[0]).toMatchObject({
      name: 'stem',
      op: 'conv2d',
      macs: 16 * 8 * 27,
      weightBytes: 8 * 27 + 32,
      outputBytes: 128,
    })
    const sum = (key: string) => layers.reduce((n: number, l: Record<string, number>) => n + l[key], 0)
    expect(macs).toBe(sum('macs'))
    expect(weightBytes).toBe(sum('weightBytes'))
    expect(plan.arenaBytes).toBeGreaterThanOrEqual(plan.lowerBoundBytes)
  })

  test('shows people a table and the memory', async () => {
    const { code, out } = await typed('inspect', model)
    expect(code).toBe(0)
    expect(out).toMatch(/conv2d +i8\[1,4,4,8\] +3,456 +248 B +stem/)
    expect(out).toMatch(/RAM for c: 320 B \(no placement needs less\)/)
  })
})

describe('compile', () => {
  test.each(['wasm', 'c', 'portable', 'cortex-m4', 'cortex-m7', 'cortex-m55'])(
    'writes a program for %s',
    async (target) => {
      const to = folder()
      const { files, plan, ...rest } = await answered('compile', model, '--target', target, '-o', to)
      expect(rest).toMatchObject({ target, name: 'separable' })
      expect(plan).toMatchObject({ stages: [], inputHeld: true, macs: expect.any(Number) })
      expect(plan.arenaBytes).toBeGreaterThanOrEqual(plan.lowerBoundBytes)
      const wanted =
        target === 'wasm'
          ? ['wasm', 'relaxed.wasm', 'js', 'd.ts', 'worker.js', 'worker.d.ts', 'thread.js'].map(
              (end) => `separable.${end}`,
            )
          : ['separable.c', 'separable.h']
      expect(files).toEqual(wanted.map((f) => join(to, f)))
      expect(readdirSync(to).sort()).toEqual(['mote.json', ...wanted].sort())
    },
  )

  test('labels name the classes of the loader beside a module, weights stand alone, sizes are told as they travel', async () => {
    const to = folder()
    const labels = join(to, 'labels.txt')
    mkdirSync(to, { recursive: true })
    writeFileSync(labels, 'one\ntwo\nthree\nfour\nfive\n')
    const asked = ['compile', model, '-o', to, '--weights', 'separate', '--labels', labels, '--range', '-1..1']
    const { files, sizes } = await answered(...asked)
    expect(files).toContain(join(to, 'separable.weights'))
    const gzipped = files.map((f: string) => gzipSync(readFileSync(f)).length)
    expect(sizes.map((s: { gzip: number }) => s.gzip)).toEqual(gzipped)
    const { out } = await typed(...asked)
    expect(out).toMatch(/separable\.weights +\S+ k?B +\S+ k?B gzipped/i)
    const loader = await import(/* @vite-ignore */ join(to, 'separable.js'))
    expect(loader.labels).toEqual(['one', 'two', 'three', 'four', 'five'])
    expect(loader.inputs.picture).toMatchObject({ mean: [127.5], std: [127.5] })
    const loaded = await loader.load()
    expect([loaded.run({ picture: seeded(1) }).scores]).toEqual(reference(separable()).run([seeded(1)]))
  })

  test('accepts a budget that fits, with any size suffix', async () => {
    for (const sram of ['65536', '64K', '64KB', '64KiB', '0.0625M'])
      expect(
        (await answered('compile', model, '--sram', sram, '--flash', '1M', '-o', dir)).plan.arenaBytes,
      ).toBeLessThan(65536)
  })

  test('writes the same bytes again, and again over its own', async () => {
    const to = folder()
    const bytes = async () => {
      await answered('compile', model, '-o', to)
      return fingerprint(readFileSync(join(to, 'separable.wasm')))
    }
    expect(await bytes()).toBe(await bytes())
    expect((await typed('compile', model, '--target', 'c', '-o', to)).code).toBe(0)
    expect((await typed('compile', pair, '--name', 'separable', '--target', 'c', '-o', to)).code).toBe(0)
  })

  test('leaves files alone that it did not write or that were edited since', async () => {
    const to = folder()
    const path = join(to, 'separable.wasm')
    writeFileSync(path, 'mine')
    const foreign = await typed('compile', model, '-o', to)
    expect(foreign.code).toBe(1)
    expect(foreign.err).toMatch(/separable\.wasm: exists and was not written by mote\n {2}hint: .*--force/)
    expect(readFileSync(path, 'utf8')).toBe('mine')
    expect(readdirSync(to)).toEqual(['separable.wasm'])

    expect((await typed('compile', model, '-o', to, '--force')).code).toBe(0)
    writeFileSync(path, 'edited')
    const edited = await typed('compile', model, '-o', to)
    expect(edited.err).toContain('was edited since mote wrote it')
    expect(readFileSync(path, 'utf8')).toBe('edited')
  })

  test('leaves no temporary file behind when the disk refuses', async () => {
    const to = join(folder(), 'file')
    writeFileSync(to, '')
    const { code, err } = await typed('compile', model, '-o', to)
    expect(code).toBe(1)
    expect(err).toMatch(/is in the way: a file, not a folder|leads through a file/)
    expect(existsSync(to)).toBe(true)
  })
})

describe('run', () => {
  test.each(['wasm', 'reference', 'interpreter', ...hosts])('%s gives the bits of the reference', async (on) => {
    const { outputs, ...rest } = await answered('run', model, '--seed', '1', '--on', on)
    const [expected] = reference(separable()).run([seeded(1)])
    expect(outputs).toEqual([{ name: 'scores', dtype: 'i8', shape: [1, 5], data: [...expected] }])
    expect(rest).not.toHaveProperty('trace')
    expect(rest).not.toHaveProperty('top')
  })

  test('one generator runs on over all inputs', async () => {
    const { outputs } = await answered('run', pair, '--seed', '5')
    const random = new Xorshift32(5)
    const expected = reference(twoInputs()).run(twoInputs().inputs.map((v) => random.fill(v.type)))
    expect(outputs.map((o: { data: number[] }) => o.data)).toEqual(expected.map((d) => [...d]))
  })

  test('reads input files, and more files are more runs', async () => {
    const files = [1, 2].map((seed) => {
      const path = join(dir, `${seed}.bin`)
      writeFileSync(path, seeded(seed) as Int8Array)
      return path
    })
    const one = await answered('run', model, files[1])
    const { runs } = await answered('run', model, ...files)
    const expected = [1, 2].map((seed) => [...reference(separable()).run([seeded(seed)])[0]])
    expect(runs.map((r: typeof one) => r.outputs[0].data)).toEqual(expected)
    expect(runs[1].inputs).toEqual([files[1]])
    expect(one.outputs[0].data).toEqual(expected[1])
  })

  test('reads pictures, whole or cut to the proportions of the model', async () => {
    const file = new PNG({ width: 10, height: 8 })
    file.data.fill(255)
    const input = new Int8Array(8 * 8 * 3)
    for (let i = 0; i < 8 * 8; i++)
      for (let c = 0; c < 3; c++) {
        const p = (i * 31 + c * 77) & 255
        file.data[4 * (10 * (i >> 3) + (i & 7) + 1) + c] = p
        input[3 * i + c] = p - 128
      }
    const path = join(dir, 'picture.png')
    writeFileSync(path, PNG.sync.write(file))
    const { outputs } = await answered('run', model, path)
    expect(outputs[0].data).toEqual([...reference(separable()).run([input])[0]])
    const real = Int8Array.from(input, (p) =>
      Math.min(127, Math.max(-128, Math.round((p + 128) / 127.5 / 0.05 - 20) - 3)),
    )
    const scaled = await answered('run', model, path, '--range', '-1..1')
    expect(scaled.outputs[0].data).toEqual([...reference(separable()).run([real])[0]])
  })

  test('trace hashes every tensor of the plan, the same on all runners', async () => {
    const traces = await Promise.all(
      ['wasm', 'reference', 'interpreter', ...hosts].map((on) =>
        answered('run', model, '--seed', '1', '--trace', '--on', on),
      ),
    )
    for (const { trace, absorbed } of traces) {
      expect(trace).toEqual(traces[0].trace)
      expect(absorbed).toEqual([])
    }
    const names = separable().nodes.map((n) => n.outputs[0].name)
    expect(traces[0].trace.map((t: { name: string }) => t.name)).toEqual(names)
    expect(traces[0].trace.at(-1).fnv1a).toBe(fingerprint(Int8Array.from(traces[0].outputs[0].data)))
  })

  test('top scores carry labels and real values, highest first', async () => {
    const labels = join(dir, 'labels.txt')
    writeFileSync(labels, 'ant\nbee\ncat\ndog\neel\n')
    const { top, outputs } = await answered('run', model, '--seed', '1', '--labels', labels, '--top', '3')
    const data: number[] = outputs[0].data
    const best = data.indexOf(Math.max(...data))
    expect(top).toHaveLength(3)
    expect(top[0]).toEqual({
      label: ['ant', 'bee', 'cat', 'dog', 'eel'][best],
      score: Math.fround(0.1) * (data[best] - 4),
    })
    expect(top[0].score).toBeGreaterThanOrEqual(top[1].score)
    expect((await typed('run', model, '--seed', '1', '--top', '2')).out).toMatch(/█/)
  })
})

describe('bench', () => {
  test('times WebAssembly, layer by layer', async () => {
    const { runs } = await answered('bench', model, '--on', 'wasm,reference', '--seed', '3', '--runs', '30')
    const expected = reference(separable())
      .run([seeded(3)])
      .map(fingerprint)
    for (const row of runs) {
      expect(row.outputFnv1a).toEqual(expected)
      expect(row.medianUs).toBeGreaterThanOrEqual(row.minUs)
      expect(row.minUs).toBeGreaterThan(0)
      expect(row).not.toHaveProperty('instructions')
    }
    expect(runs[0].on).toBe('wasm')
    expect(runs[0].timedRuns).toBeGreaterThanOrEqual(30)
    expect(runs[0].layers.map((l: { name: string }) => l.name)).toEqual(separable().nodes.map((n) => n.from))
  })

  test.skipIf(missingDeviceTools().length > 0)(
    'counts instructions on an emulated core (needs gcc-arm-none-eabi and qemu-system-arm)',
    async () => {
      const { runs } = await answered('bench', model, '--on', 'wasm,cortex-m55', '--runs', '1')
      expect(runs[1]).toMatchObject({ on: 'cortex-m55', outputFnv1a: runs[0].outputFnv1a })
      for (const figure of ['instructions', 'stackBytes', 'codeBytes', 'arenaUsedBytes'])
        expect(runs[1][figure]).toBeGreaterThan(0)
      expect(runs[1].arenaUsedBytes).toBeLessThanOrEqual(runs[1].arenaBytes)
      expect(runs[1]).not.toHaveProperty('medianUs')
    },
  )

  test.runIf(hosts.length > 0)(
    'times C in a process of its own, layer by layer (host-c, needs a C compiler)',
    async () => {
      const { runs } = await answered('bench', model, '--on', 'host-c,reference', '--runs', '40')
      const [row] = runs
      expect(row.outputFnv1a).toEqual(runs[1].outputFnv1a)
      expect(row.timedRuns).toBeGreaterThanOrEqual(40)
      expect(row.minUs).toBeGreaterThan(0)
      expect(row.medianUs).toBeGreaterThanOrEqual(row.minUs)
      expect(row.layers.map((l: { name: string }) => l.name)).toEqual(separable().nodes.map((n) => n.from))
      expect(row.layers.reduce((n: number, l: { us: number }) => n + l.us, 0)).toBeGreaterThan(row.minUs / 2)
      for (const figure of ['instructions', 'cycles', 'estimatedCycles', 'codeBytes'])
        expect(row).not.toHaveProperty(figure)
    },
  )
})
