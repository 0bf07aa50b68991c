// Runs generated C on emulated microcontrollers and measures it: gcc for Arm, QEMU's boards, instructions by SysTick
// (`-icount shift=0`: one instruction is one nanosecond), RAM and stack by painting, code bytes from the ELF file.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { EMULATED, type EmulatedBoard, emulatedBoard, linkerScript, STARTUP } from '../emit/c/board.ts'
import { emitC } from '../emit/c/program.ts'
import { serveC } from '../emit/c/serve.ts'
import { ToolError } from '../errors.ts'
import { fingerprint } from '../ir/hash.ts'
import type { Data } from '../loops/ir.ts'
import type { Plan } from '../plan/plan.ts'
import { estimateCycles, type Mix, mixOf } from '../targets/cycles.ts'
import { checkInputs } from './check.ts'
import { mixIn } from './device_mix.ts'
import { inDirectory, isInstalled, runTool, type SourceFile } from './host_tool.ts'
import { answersIn, benchExchange, type Cost, type Exchange, framed, runExchange } from './serial_protocol.ts'

const SOURCES = fileURLToPath(new URL('../../device/', import.meta.url))
const GCC = 'arm-none-eabi-gcc'
const QEMU = 'qemu-system-arm'
/** What to install where tools are missing. */
export const DEVICE_HINT = 'apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm'
const CALIBRATION_INSTRUCTIONS = 2_000_000

export const DEVICE_NAMES: readonly string[] = EMULATED.map((b) => b.name)

/** The programs that are missing on this machine. */
export function missingDeviceTools(): string[] {
  return [GCC, QEMU].filter((tool) => !isInstalled(tool))
}

export interface DeviceOptions {
  /** Default: -O2. */
  readonly flags?: readonly string[]
  /** For each of the two runs. Default: 600. */
  readonly timeoutSeconds?: number
  /** Count the classes of instructions too, and estimate cycles. */
  readonly mix?: boolean
}

export interface DeviceLayer {
  readonly name: string
  readonly instructions: number
  readonly stackBytes: number
  /** An estimate, by the model of `targets/cycles.ts`; absent where `mix` was not asked for, or this machine cannot count. */
  readonly estimatedCycles?: number
  readonly mix?: Mix
}

export interface DeviceReport {
  readonly on: string
  /** Of one run, to within one tick. */
  readonly instructions: number
  /** The sum of the layers' estimates. */
  readonly estimatedCycles?: number
  /** Of each step of the plan. */
  readonly layers: readonly DeviceLayer[]
  /** Of init, the copy of what state starts from included; to within one tick. */
  readonly initInstructions: number
  /** FNV-1a of each output's bytes. */
  readonly outputFnv1a: readonly string[]
  /** The arena up to the last byte that was written. */
  readonly arenaUsedBytes: number
  readonly stackBytes: number
  /** Machine code and constants but for the weights, what is taken from libraries included. */
  readonly codeBytes: number
  readonly weightBytes: number
}

const NAME = 'model'

/** A file of `device/`, under another name where one is given. */
export function deviceFile(file: string, name = file): SourceFile {
  return { name, text: readFileSync(join(SOURCES, file), 'utf8') }
}

/** Compiles and links the sources in `directory` to `program.elf`: the model, and `bench_*.c` around it. */
function build(directory: string, board: EmulatedBoard, harness: readonly string[], flags: readonly string[]): void {
  const gcc = (args: readonly string[]) => runTool(GCC, args, { directory, hint: DEVICE_HINT })
  const sections = ['-ffunction-sections', '-fdata-sections']
  gcc([...board.flags, '-std=c99', ...flags, ...sections, '-c', '-o', 'model.o', `${NAME}.c`])
  const plain = ['-std=gnu99', '-O2', '-fno-tree-loop-distribute-patterns', '-ffreestanding']
  gcc([...board.flags, ...plain, '-c', ...harness.map((name) => `${name}.c`)])
  const objects = [...harness, NAME].map((name) => `${name}.o`)
  const linking = ['-nostartfiles', '--specs=nano.specs', '-Wl,--gc-sections', '-T', 'board.ld']
  gcc([...board.flags, ...linking, '-o', 'program.elf', ...objects])
}

/** Bytes of the ELF file's sections by name. */
function sectionsOf(directory: string): Map<string, number> {
  const text = `${Buffer.from(runTool('arm-none-eabi-size', ['-A', 'program.elf'], { directory, hint: DEVICE_HINT }))}`
  const rows = text.split('\n').map((line) => line.trim().split(/\s+/))
  return new Map(rows.filter((r) => r[0]?.startsWith('.')).map((r) => [r[0], Number(r[1])]))
}

/** A program that was built for a board, as long as its directory is there. */
export interface Built {
  readonly directory: string
  /** Bytes of the sections of `program.elf`. */
  readonly sections: ReadonlyMap<string, number>
  /** Runs it: what it printed. `more` goes to the emulator. */
  emulate(more?: readonly string[]): string
}

/**
 * Builds a model's C and what is around it (`bench_main.c`, …) for a board. Throws InputError on an unknown board,
 * ToolError where a tool is missing or fails.
 */
export function withBoard<T>(
  on: string,
  program: readonly SourceFile[],
  { flags = ['-O2'], timeoutSeconds = 600 }: DeviceOptions,
  use: (built: Built) => T,
): T {
  const board = emulatedBoard(on)
  const emulator = ['-M', board.machine, '-display', 'none', '-monitor', 'none', '-serial', 'none']
  const counting = ['-icount', 'shift=0', '-kernel', 'program.elf']
  const output = ['-chardev', 'stdio,id=out', '-semihosting-config', 'enable=on,target=native,chardev=out']
  const around = [...program, { name: 'bench_startup.c', text: STARTUP }]
  const harness = around.flatMap(({ name }) => /^(bench_.*)\.c$/.exec(name)?.[1] ?? [])
  const script = linkerScript(
    board,
    harness.map((name) => `${name}.o`),
  )
  return inDirectory([...around, { name: 'board.ld', text: script }], (directory) => {
    build(directory, board, harness, flags)
    return use({
      directory,
      sections: sectionsOf(directory),
      emulate: (more = []) => {
        const how = { directory, timeoutSeconds, hint: DEVICE_HINT }
        return `${Buffer.from(runTool(QEMU, [...emulator, ...output, ...counting, ...more], how))}`
      },
    })
  })
}

/** `withBoard`, run once: what the program printed, and the bytes of its sections. */
export function runOnBoard(
  on: string,
  program: readonly SourceFile[],
  options: DeviceOptions,
): { readonly printed: string; readonly sections: ReadonlyMap<string, number> } {
  return withBoard(on, program, options, ({ emulate, sections }) => ({ printed: emulate(), sections }))
}

/** The plan's program with a server of the serial protocol around it; `defines` go to the board's part. */
export function servedProgram(plan: Plan, on: string, defines: readonly string[] = []): SourceFile[] {
  const main = deviceFile('main.c', 'bench_main.c')
  const define = (lines: readonly string[], text: SourceFile['text']) =>
    [...lines.map((line) => `#define ${line}`), text].join('\n')
  const serve = ['MOTE_ARENA_SECTION __attribute__((section(".arena")))', 'MOTE_STACK_BOTTOM link_stack_bottom']
  const [header, server] = serveC(plan, NAME)
  const files = emitC(plan, NAME).files.map((f) =>
    f.name === `${NAME}_weights.c` ? { ...f, name: 'bench_image.c' } : f,
  )
  return [
    ...files,
    header,
    { name: 'bench_serve.c', text: define(serve, server.text) },
    { name: main.name, text: define([`CLOCK_HZ ${emulatedBoard(on).hertz}u`, ...defines], main.text) },
  ]
}

/** What the program answers to the requests. Throws ToolError where it does not get to the end of them. */
function talk<T>(
  { emulate, directory }: Built,
  on: string,
  { requests, read }: Exchange<T>,
  more: readonly string[],
): T {
  const { hertz, machine } = emulatedBoard(on)
  writeFileSync(join(directory, 'requests'), requests.map(framed).join(''))
  const printed = emulate(more)
  const calibration = Number(/^calibration (\d+)/m.exec(printed)?.[1])
  const [took, tick] = [CALIBRATION_INSTRUCTIONS / calibration, 1e9 / hertz]
  if (!(Math.abs(took / tick - 1) < 0.01))
    throw new ToolError(
      machine,
      `a loop of ${CALIBRATION_INSTRUCTIONS} instructions took ${took} instructions a tick, expected ${tick}`,
    )
  return read(answersIn(on, requests, printed))
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
  checkInputs(plan.graph.inputs, inputs)
  const { hertz } = emulatedBoard(on)
  const instructions = ({ counts }: Cost) => Math.round((counts * 1e9) / hertz)
  return withBoard(on, servedProgram(plan, on), options, (built) => {
    const plugin = options.mix ? mixIn(built.directory, join(SOURCES, 'mix.c'), emulatedBoard(on).core) : undefined
    const exchange = benchExchange(plan, inputs)
    const { init, run, steps, outputs, arenaUsedBytes } = talk(built, on, exchange, plugin?.arguments ?? [])
    const blocks = plugin && plan.steps.length > 0 ? plugin.read().slice(-plan.steps.length) : undefined
    const layers = plan.steps.map(({ node }, i) => ({
      name: node.from,
      instructions: instructions(steps[i]),
      stackBytes: steps[i].stackBytes,
      ...(blocks && { estimatedCycles: estimateCycles(on, blocks[i]), mix: mixOf(blocks[i]) }),
    }))
    return {
      on,
      instructions: instructions(run),
      ...(blocks && { estimatedCycles: layers.reduce((sum, l) => sum + (l.estimatedCycles ?? 0), 0) }),
      layers,
      initInstructions: instructions(init),
      outputFnv1a: outputs.map(fingerprint),
      arenaUsedBytes,
      stackBytes: Math.max(run.stackBytes, ...steps.map((s) => s.stackBytes)),
      codeBytes: built.sections.get('.text') ?? 0,
      weightBytes: plan.weightBytes,
    }
  })
}

/** Bytes of machine code as in `DeviceReport`, for which nothing runs. Throws ToolError where gcc is missing or fails. */
export function codeBytesOf(plan: Plan, on: string): number {
  return withBoard(on, servedProgram(plan, on), {}, ({ sections }) => sections.get('.text') ?? 0)
}

/** Runs one after the other in one program, state kept from one to the next. */
export function runDevice(
  plan: Plan,
  on: string,
  runs: readonly (readonly Data[])[],
  options: DeviceOptions = {},
): Data[][] {
  for (const inputs of runs) checkInputs(plan.graph.inputs, inputs)
  return withBoard(on, servedProgram(plan, on), options, (built) => talk(built, on, runExchange(plan, runs), []))
}
