import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { PROJECT_TARGETS, projectFiles } from '../../src/emit/c/project.ts'
import { type CompileOptions, compile, type Program } from '../../src/emit/program.ts'
import { type DType, type Graph, quantOf } from '../../src/ir/graph.ts'
import { fingerprint } from '../../src/ir/hash.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { CaseBuilder } from '../../src/ops/case.ts'
import { reshape } from '../../src/ops/shape/reshape.ts'
import { missingDeviceTools } from '../../src/run/device.ts'
import { inDirectory, isInstalled, runTool } from '../../src/run/host_tool.ts'
import { reference } from '../../src/run/reference.ts'
import { folder, saved, typed } from '../cli/console.ts'
import { describeShared, sharedModel } from '../shared/shared.ts'
import { nothing, recurrent, residual, separable, twoInputs } from '../support/nets.ts'

const missing = (...tools: string[]) => tools.filter((tool) => !isInstalled(tool))
const forBoard = [...missingDeviceTools(), ...missing('make')]
const forCmake = [...missingDeviceTools(), ...missing('cmake')]
const forHost = missing('make', 'cc')
const needs = (tools: readonly string[]) => (tools.length > 0 ? ` (needs ${tools.join(', ')})` : '')

/** One tensor of each type, as input and as output. */
function everyType(): Graph {
  const b = new CaseBuilder('every type')
  const types: readonly DType[] = ['i8', 'u8', 'i16', 'i32', 'i64', 'f16', 'f32', 'f64', 'bool']
  return b.graph(
    types.map((dtype) => {
      const quant = dtype === 'i8' ? quantOf(0.5, 3) : undefined
      return b.one(reshape, [b.input(`a ${dtype}`, { dtype, shape: [2, 3], quant })], { shape: [3, 2] })
    }),
  )
}

function within<T>(program: Program, use: (directory: string) => T, labels?: readonly string[]): T {
  const files = [...program.files, ...projectFiles(program, labels)]
  return inDirectory(
    files.map(({ name, data }) => ({ name, text: data })),
    use,
  )
}

const call = (directory: string, line: string) => {
  const [program, ...args] = line.split(' ')
  return `${Buffer.from(runTool(program, args, { directory, timeoutSeconds: 120 }))}`
}

const CMAKE = ['cmake -B cmake -DCMAKE_TOOLCHAIN_FILE=arm-none-eabi.cmake', 'cmake --build cmake --target run']
const BUILDS: Readonly<Record<string, readonly string[]>> = {
  make: ['make -s run'],
  cmake: CMAKE,
  host: ['make -s host'],
  'cmake on the host': ['cmake -B host', 'cmake --build host --target run'],
}

/** What the project prints, built in one of the ways. */
function printed(graph: Graph, options: CompileOptions, how: string, labels?: readonly string[]): string {
  const program = compile(graph, { name: 'net', ...options })
  return within(program, (directory) => BUILDS[how].map((line) => call(directory, line)).at(-1)!, labels)
}

function expected(graph: Graph) {
  const random = new Xorshift32(1)
  return reference(graph).run(graph.inputs.map((v) => random.fill(v.type)))
}

/** The hashes of the outputs, and the elements of the first, as printed. */
function expectSame(text: string, graph: Graph): void {
  const outputs = expected(graph)
  expect([...text.matchAll(/^output\d* fnv1a (\w{8})\r?$/gm)].map((m) => m[1])).toEqual(outputs.map(fingerprint))
  const elements = [...text.matchAll(/^output0?\[\d+\](?: \(.*\))? (\S+)/gm)].map((m) => Number(m[1]))
  if (outputs[0] && !(outputs[0] instanceof Uint16Array))
    expect(elements.map((x) => (outputs[0] instanceof Float32Array ? Math.fround(x) : x))).toEqual(
      Array.from(outputs[0].slice(0, 32) as Int8Array, Number),
    )
}

describe.skipIf(forBoard.length > 0)(`a project built by make${needs(forBoard)}`, () => {
  test.each(PROJECT_TARGETS)('runs in QEMU for %s, outputs as the reference has them', (target) => {
    expectSame(printed(separable(), { target }, 'make'), separable())
  })

  test('pushes rows where the input is streamed', () => {
    const options: CompileOptions = { target: 'cortex-m4', input: 'streamed' }
    expectSame(printed(residual(), options, 'make'), residual())
  })

  test.each([twoInputs(), recurrent(), nothing(), everyType()])('runs $name', (graph) => {
    expectSame(printed(graph, { target: 'cortex-m4' }, 'make'), graph)
  })

  test.each<CompileOptions>([
    { input: 'external' },
    { external: 'weights' },
    { external: 'weights', input: 'streamed' },
  ])('reads slow memory as the compiler is told: %o', (options) => {
    expectSame(printed(residual(), { target: 'cortex-m4', ...options }, 'make'), residual())
  })

  test('has the weights in a section of their own, whatever the flags', () => {
    const program = compile(separable(), { target: 'cortex-m4', name: 'net' })
    const sizes = within(program, (directory) => {
      call(directory, 'arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -c net.c')
      return call(directory, 'arm-none-eabi-size -A net.o')
    })
    expect(Number(/^\.rodata\.net_weights +(\d+)/m.exec(sizes)?.[1])).toBe(program.plan.weightBytes)
  })

  test('links without a warning', () => {
    const program = compile(separable(), { target: 'cortex-m55', name: 'net' })
    expect(within(program, (directory) => `${runTool('sh', ['-c', 'make -s 2>&1'], { directory })}`)).toBe('')
  })
})

describe.skipIf(forCmake.length > 0)(`a project built by CMake${needs(forCmake)}`, () => {
  test.each(['cortex-m4', 'cortex-m55'])('runs in QEMU for %s', (target) => {
    expectSame(printed(separable(), { target }, 'cmake'), separable())
  })

  test('runs on this machine without a toolchain file', () => {
    expectSame(printed(separable(), { target: 'cortex-m4' }, 'cmake on the host'), separable())
  })
})

describe.skipIf(forHost.length > 0)(`a project on this machine${needs(forHost)}`, () => {
  test.each([separable(), twoInputs(), recurrent(), nothing(), everyType()])('runs $name', (graph) => {
    expectSame(printed(graph, { target: 'portable' }, 'host'), graph)
  })

  test('prints the names of classes', () => {
    const labels = ['a "b"', 'c\\d', 'é', '??/', 'e']
    const classes = expected(separable())[0].length
    const names = Array.from({ length: classes }, (_, i) => labels[i] ?? `class ${i}`)
    const text = printed(separable(), { target: 'portable' }, 'host', names)
    expectSame(text, separable())
    names.forEach((name, i) => {
      expect(text).toContain(`output[${i}] (${name}) `)
    })
  })

  test.each(['c', 'c++'])('compiles as strict %s', (language) => {
    const strict = '-Wall -Wextra -Wconversion -Wpedantic -Werror -O1'
    for (const input of ['held', 'streamed'] as const)
      within(compile(residual(), { target: 'cortex-m4', name: 'net', input }), (directory) => {
        if (language === 'c') call(directory, `gcc -std=c99 ${strict} -c main.c net.c`)
        else {
          writeFileSync(join(directory, 'use.cc'), '#include "net.h"\nint rows() { return NET_OUTPUT_COUNT; }\n')
          call(directory, `g++ -std=c++11 ${strict} -c use.cc`)
        }
      })
  })
})

describeShared('projects of real models', () => {
  const kws = () => sharedModel('models/mlperf_tiny/kws_dscnn_int8.tflite')

  test.skipIf(forBoard.length > 0)(`kws runs in QEMU, built by make${needs(forBoard)}`, () => {
    expectSame(printed(kws(), { target: 'cortex-m4' }, 'make'), kws())
  })

  test.skipIf(forCmake.length > 0)(`kws runs in QEMU, built by CMake${needs(forCmake)}`, () => {
    expectSame(printed(kws(), { target: 'cortex-m7' }, 'cmake'), kws())
  })

  test.skipIf(forBoard.length > 0)(
    `person detection takes its image row by row${needs(forBoard)}`,
    () => {
      const graph = sharedModel('models/mlperf_tiny/vww_mbv1_025_96_int8.tflite')
      expectSame(printed(graph, { target: 'cortex-m4', input: 'streamed' }, 'make'), graph)
    },
    60_000,
  )
})

describe('the files of a project', () => {
  test.each(['wasm', 'c'])('are not for target %s', (target) => {
    expect(() => projectFiles(compile(separable(), { target }))).toThrow(`--project: is not for target ${target}`)
  })

  test.each(['startup', 'Main'])('do not take the place of a model named %s', (name) => {
    const program = compile(separable(), { target: 'cortex-m4', name })
    expect(() => projectFiles(program)).toThrow(`has a file ${name}.c, and so has the program`)
  })

  test('that were edited stay as they are, and the model is written anew beside them', async () => {
    const dir = folder()
    const model = saved(dir, separable())
    const line = ['compile', model, '--target', 'cortex-m4', '--name', 'net', '-o', dir]
    expect((await typed(...line, '--project')).code).toBe(0)
    writeFileSync(join(dir, 'main.c'), 'int main(void) { return 0; }')
    const { code, err } = await typed(...line, '--project')
    expect(code).toBe(1)
    expect(err).toContain('main.c: was edited since mote wrote it')
    expect((await typed(...line)).code).toBe(0)
    expect(readFileSync(join(dir, 'main.c'), 'utf8')).toBe('int main(void) { return 0; }')
  })

  test('name the model, its sizes and every file in README.md', () => {
    const program = compile(separable(), { target: 'cortex-m4', name: 'net' })
    const files = projectFiles(program)
    const page = String(files.find((f) => f.name === 'README.md')?.data)
    for (const { name } of [...program.files, ...files]) if (name !== 'README.md') expect(page).toContain(`\`${name}\``)
    expect(page).toContain(`${program.plan.arenaBytes} bytes`)
    expect(page).toContain('-mcpu=cortex-m4')
  })
})
