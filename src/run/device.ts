// Runs generated C on emulated microcontrollers and measures it: gcc for Arm, QEMU's boards, instructions by SysTick
// (`-icount shift=0`: one instruction is one nanosecond), RAM and stack by painting, code bytes from the ELF file.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { arrayText } from '../emit/c/number.ts'
import { emitC } from '../emit/c/program.ts'
import { bug, InputError, ToolError } from '../errors.ts'
import { bytesOf, elemOf } from '../ir/graph.ts'
import { count, type Data, newData } from '../loops/ir.ts'
import type { Place, Plan, StreamedInput } from '../plan/plan.ts'
import { checkInputs } from './check.ts'
import { inDirectory, isInstalled, runTool } from './host_tool.ts'

const SOURCES = fileURLToPath(new URL('../../device/', import.meta.url))
const GCC = 'arm-none-eabi-gcc'
const QEMU = 'qemu-system-arm'
const HINT = 'apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm'
const CALIBRATION_INSTRUCTIONS = 2_000_000
const TICKS = 2 ** 24

interface Board {
  readonly name: string
  /** QEMU's name of the machine. */
  readonly machine: string
  readonly flags: readonly string[]
  readonly script: string
  /** Nanoseconds of a SysTick tick: instructions, since QEMU runs one in each. */
  readonly tick: number
}

const FPU4 = ['-mfloat-abi=hard', '-mfpu=fpv4-sp-d16']
const FPU5 = ['-mfloat-abi=hard', '-mfpu=fpv5-sp-d16']

const BOARDS: readonly Board[] = [
  { name: 'portable', machine: 'mps2-an385', flags: ['-mcpu=cortex-m3'], script: 'mps2.ld', tick: 40 },
  { name: 'cortex-m4', machine: 'mps2-an386', flags: ['-mcpu=cortex-m4', ...FPU4], script: 'mps2.ld', tick: 40 },
  { name: 'cortex-m7', machine: 'mps2-an500', flags: ['-mcpu=cortex-m7', ...FPU5], script: 'mps2_an500.ld', tick: 40 },
  {
    name: 'cortex-m55',
    machine: 'mps3-an547',
    flags: ['-mcpu=cortex-m55', '-mfloat-abi=hard'],
    script: 'mps3_an547.ld',
    tick: 31.25,
  },
]

export const DEVICE_NAMES: readonly string[] = BOARDS.map((b) => b.name)

/** The board of that name, or InputError that lists the names there are. */
function boardOf(name: string): Board {
  const board = BOARDS.find((b) => b.name === name)
  if (!board) throw new InputError('board', `"${name}" is not known`, `boards are ${DEVICE_NAMES.join(', ')}`)
  return board
}

/** The programs that are missing on this machine. */
export function missingDeviceTools(): string[] {
  return [GCC, QEMU].filter((tool) => !isInstalled(tool))
}

export interface DeviceOptions {
  /** Default: -O2. */
  readonly flags?: readonly string[]
  /** For each of the two runs. Default: 600. */
  readonly timeoutSeconds?: number
}

export interface DeviceReport {
  readonly on: string
  /** Of one run, to within one tick. */
  readonly instructions: number
  /** Of each step of the plan; absent where one of them outlasts the counter. */
  readonly layers?: readonly { readonly name: string; readonly instructions: number }[]
  /** FNV-1a of each output's bytes. */
  readonly outputFnv1a: readonly string[]
  /** The arena up to the last byte that was written. */
  readonly arenaUsedBytes: number
  readonly stackBytes: number
  /** Machine code and constants but for the weights, what is taken from libraries included. */
  readonly codeBytes: number
  readonly weightBytes: number
}

/** The rows that must be there before `layer`. */
function arrivals({ rows, rowBytes }: StreamedInput, from: string): string {
  const copies = rows.flatMap((row, r) =>
    row
      ? [
          `  if (layer == ${row.before}) for (int k = 0; k < ${rowBytes}; k++) bench_arena[${row.place.offset} + k] = ${from}[${r * rowBytes} + k];`,
        ]
      : [],
  )
  return copies.length ? `${copies.join('\n')}\n` : ''
}

function modelFile(plan: Plan, name: string, inputs: readonly Data[]): string {
  const UP = name.toUpperCase()
  const at = (p: Place) =>
    p.segment === 'arena' ? `bench_arena + ${p.offset}` : `(uint8_t *)(uintptr_t)&${name}_weights + ${p.offset}`
  const placeOf = (v: Plan['graph']['inputs'][number]) => plan.places.get(v) ?? bug(`value "${v.name}" has no place`)
  const bytes = inputs.map((d) => new Uint8Array(d.buffer, d.byteOffset, d.byteLength))
  const { streamed } = plan
  const inputRows = plan.graph.inputs.flatMap((v, i) =>
    v === streamed?.input ? [] : [`{${at(placeOf(v))}, input${i}, ${bytesOf(v.type)}},`],
  )
  const pushed = `input${streamed ? plan.graph.inputs.indexOf(streamed.input) : 0}`
  const outputRows = plan.graph.outputs.map((v) => `{${at(placeOf(v))}, 0, ${bytesOf(v.type)}},`)
  return `#include "${name}.h"
#include "bench.h"

static ${name}_t model;
__attribute__((section(".arena"), aligned(64))) uint8_t bench_arena[${UP}_ARENA_BYTES + BENCH_GUARD];
const uint32_t bench_arena_bytes = ${UP}_ARENA_BYTES;
const int bench_layers = ${UP}_LAYERS;
${bytes.map((b, i) => `static const uint8_t input${i}[${b.length || 1}] = ${arrayText(b)};\n`).join('')}
const int bench_input_count = ${inputRows.length};
const bench_tensor bench_inputs[] = {
${inputRows.join('\n') || '{0, 0, 0}'}
};
const int bench_output_count = ${outputRows.length};
const bench_tensor bench_outputs[] = {
${outputRows.join('\n') || '{0, 0, 0}'}
};

int bench_init(void) {
  return ${name}_init(&model, bench_arena, 0);
}

void bench_run(void) {
${streamed ? `  for (int r = 0; r < ${UP}_ROWS; r++) ${name}_push_row(&model, ${pushed} + r * ${UP}_ROW_BYTES, ${UP}_ROW_BYTES);` : `  ${name}_run(&model);`}
}

void bench_run_layer(int layer) {
${streamed ? arrivals(streamed, pushed) : ''}  ${name}_run_layers(&model, layer, layer + 1);
}
`
}

const NAME = 'model'

function sourcesOf(plan: Plan, board: Board, inputs: readonly Data[]): { name: string; text: string }[] {
  const copied = ['bench.h', 'sections.ld', board.script].map((f) => ({
    name: f,
    text: readFileSync(join(SOURCES, f), 'utf8'),
  }))
  const harness = ['main', 'startup'].map((f) => ({
    name: `bench_${f}.c`,
    text: readFileSync(join(SOURCES, `${f}.c`), 'utf8'),
  }))
  const model = { name: 'bench_model.c', text: modelFile(plan, NAME, inputs) }
  return [...emitC(plan, NAME).files, ...copied, ...harness, model]
}

/** Compiles and links the sources in `directory` to `program.elf`. */
function build(directory: string, board: Board, flags: readonly string[]): void {
  const gcc = (args: readonly string[]) => runTool(GCC, args, { directory, hint: HINT })
  const machine = [...board.flags, '-mthumb']
  const sections = ['-ffunction-sections', '-fdata-sections']
  const section = '-DMOTE_WEIGHTS_SECTION=__attribute__((section(".weights")))'
  gcc([...machine, '-std=c99', ...flags, ...sections, section, '-c', '-o', 'model.o', `${NAME}.c`])
  const plain = ['-std=gnu99', '-O2', '-fno-tree-loop-distribute-patterns', '-ffreestanding']
  gcc([...machine, ...plain, '-c', 'bench_main.c', 'bench_startup.c', 'bench_model.c'])
  const objects = ['bench_main.o', 'bench_startup.o', 'bench_model.o', 'model.o']
  const linking = ['-nostartfiles', '--specs=nano.specs', '-Wl,--gc-sections', '-T', board.script]
  gcc([...machine, ...linking, '-o', 'program.elf', ...objects])
}

/** Bytes of the ELF file's sections by name. */
function sectionsOf(directory: string): Map<string, number> {
  const text = `${Buffer.from(runTool('arm-none-eabi-size', ['-A', 'program.elf'], { directory, hint: HINT }))}`
  const rows = text.split('\n').map((line) => line.trim().split(/\s+/))
  return new Map(rows.filter((r) => r[0]?.startsWith('.')).map((r) => [r[0], Number(r[1])]))
}

/** The values that the program printed under each label. */
function parse(output: string, board: Board): Map<string, string[]> {
  const lines = output.split(/\r?\n/).map((line) => line.trim().split(' '))
  if (!lines.some(([label]) => label === 'done'))
    throw new ToolError(board.name, `the program did not end: ${output.trim() || 'it printed nothing'}`)
  const values = new Map<string, string[]>()
  for (const [label, value] of lines) values.set(label, [...(values.get(label) ?? []), value])
  return values
}

/**
 * Compiles the plan's C for a board and runs it there on `inputs`. State starts from its initial values.
 * Throws ToolError where a tool is missing or fails.
 */
export function benchDevice(
  plan: Plan,
  on: string,
  inputs: readonly Data[],
  options: DeviceOptions = {},
): DeviceReport {
  return runDevice(plan, on, inputs, options).report
}

/** `benchDevice`, with the outputs themselves. */
export function runDevice(
  plan: Plan,
  on: string,
  inputs: readonly Data[],
  options: DeviceOptions = {},
): { outputs: Data[]; report: DeviceReport } {
  const board = boardOf(on)
  checkInputs(plan.graph.inputs, inputs)
  const emulator = ['-M', board.machine, '-display', 'none', '-monitor', 'none', '-serial', 'none']
  const counting = ['-icount', 'shift=0', '-kernel', 'program.elf']
  const output = ['-chardev', 'stdio,id=out', '-semihosting-config', 'enable=on,target=native,chardev=out']
  const timeoutSeconds = options.timeoutSeconds ?? 600
  const { sections, printed } = inDirectory(sourcesOf(plan, board, inputs), (directory) => {
    build(directory, board, options.flags ?? ['-O2'])
    const how = { directory, timeoutSeconds, hint: HINT }
    return { sections: sectionsOf(directory), printed: runTool(QEMU, [...emulator, ...output, ...counting], how) }
  })
  const values = parse(`${Buffer.from(printed)}`, board)
  const numbers = (label: string) => (values.get(label) ?? []).map(Number)

  const calibrated = CALIBRATION_INSTRUCTIONS / numbers('calibration')[0]
  if (Math.abs(calibrated / board.tick - 1) > 0.01)
    throw new ToolError(
      board.machine,
      `a loop of ${CALIBRATION_INSTRUCTIONS} instructions took ${calibrated} instructions a tick, expected ${board.tick}`,
    )
  const hashes = values.get('output') ?? []
  const each = plan.graph.outputs.length
  const [first, second] = [hashes.slice(0, each), hashes.slice(each)]
  if (first.join() !== second.join()) bug(`two runs on one input gave ${first} and ${second}`)

  const ticks = numbers('ticks')[0]
  const layerTicks = numbers('layer')
  const missed = ticks - layerTicks.reduce((a, b) => a + b, 0)
  const layers = plan.steps.map(({ node }, i) => ({
    name: node.from,
    instructions: Math.round(layerTicks[i] * board.tick),
  }))
  const report = {
    on,
    instructions: Math.round(ticks * board.tick),
    ...(Math.abs(missed) < TICKS / 2 && { layers }),
    outputFnv1a: first,
    arenaUsedBytes: numbers('used')[0],
    stackBytes: Math.max(0, ...numbers('stack')),
    codeBytes: sections.get('.text') ?? 0,
    weightBytes: plan.weightBytes,
  }
  return { outputs: outputsIn(plan, Buffer.from((values.get('bytes') ?? []).join(''), 'hex')), report }
}

/** The plan's outputs from their bytes, one after the other. */
function outputsIn(plan: Plan, bytes: Uint8Array): Data[] {
  let at = 0
  return plan.graph.outputs.map(({ type }) => {
    const elem = elemOf(type.dtype)
    const data = elem ? newData(elem, count(type.shape)) : new Uint8Array(bytesOf(type))
    if (at + data.byteLength > bytes.length) bug(`the program printed ${bytes.length} bytes of outputs`)
    new Uint8Array(data.buffer).set(bytes.subarray(at, at + data.byteLength))
    at += data.byteLength
    return data
  })
}
