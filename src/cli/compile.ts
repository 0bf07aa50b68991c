// `mote compile`: a model and a budget in, the program's files out.

import { gzipSync } from 'node:zlib'
import { projectFiles } from '../emit/c/project.ts'
import { serveFiles } from '../emit/c/serve.ts'
import { relaxedVariant, webFiles } from '../emit/js/files.ts'
import { planOf } from '../emit/program.ts'
import { InputError } from '../errors.ts'
import { bytesText, countText, table } from '../report/figures.ts'
import { externalReport } from '../report/report.ts'
import { externalText } from '../report/terminal.ts'
import { BOARDS, boardOf } from '../targets/boards.ts'
import { TARGET_NAMES, targetOf } from '../targets/index.ts'
import { isFast } from '../targets/target.ts'
import { checkCountable, compileWithin, costLines, type Limits } from './budget.ts'
import type { Command, Options } from './command.ts'
import { DESCRIPTION_OPTIONS, describeModel } from './description.ts'
import { writeOutput } from './files.ts'
import { MODEL_OPTIONS, openModel } from './model.ts'
import { parseChoice, parseCount, parseSize } from './numbers.ts'
import {
  checkPlanOptions,
  EXTERNAL_OPTIONS,
  PLAN_OPTIONS,
  planChoiceOf,
  planJson,
  planLine,
  threadsChoiceOf,
  threadsLine,
} from './plan.ts'
import { snippet } from './snippet.ts'

const WEIGHTS = ['inside', 'separate'] as const

/** An option that means something for WebAssembly only. Throws InputError with C. */
function onlyForWasm(options: Options, flag: string, target: string): void {
  if (options[flag] !== undefined && targetOf(target).emits !== 'wasm')
    throw new InputError(`--${flag}`, `is for --target wasm, the target is ${target}`, 'leave it out')
}

export const compileCommand: Command = {
  name: 'compile',
  args: [['<model>', 'a .tflite or .onnx file']],
  summary: 'write a model as a program: a WebAssembly module, or C99',
  options: [
    ...MODEL_OPTIONS,
    ['--target <name>', `${TARGET_NAMES.join(', ')} (default: the board's, or wasm)`],
    ['--board <name>', `target and limits of a board: ${BOARDS.map((b) => b.name).join(', ')}`],
    ['--sram <size>', 'limit of RAM for tensors: bytes, or 256K, 1M'],
    ['--flash <size>', 'limit of flash for weights, and for code where gcc for Arm is there'],
    ['--max-instructions <n>', 'limit of instructions of a run, counted in QEMU: 5000000, 5M'],
    ['--name <name>', "name of the files and the C functions (default: the model file's)"],
    ['--keep-channels', 'keep channels that no output depends on: one program, whatever the weights'],
    ...PLAN_OPTIONS,
    ...EXTERNAL_OPTIONS,
    ['--weights <where>', `of WebAssembly: ${WEIGHTS.join(', ')} (a file of their own, to be cached and replaced)`],
    ['--fast', 'float32 sums of the second WebAssembly module in fused multiply-adds: last bits differ'],
    ['--no-relaxed', 'leave out the second WebAssembly module, which newer browsers on x86 run faster'],
    ['--threads <n>', 'of WebAssembly: the most threads that share a run; any number gives the same bits (default: 1)'],
    ...DESCRIPTION_OPTIONS,
    ['--project', 'write an example around the C as well: main, Makefile, CMake, a board of QEMU to run it on'],
    ['--serve', 'write a server around the C as well, for mote bench --on serial:/dev/ttyACM0'],
    ['-o, --output <dir>', 'folder for the files', '.'],
    ['--force', 'overwrite files that mote did not write'],
  ],
  async run([path], options, io) {
    const board = options.board === undefined ? undefined : boardOf(String(options.board))
    const target = parseChoice(String(options.target ?? board?.target ?? 'wasm'), '--target', TARGET_NAMES)
    checkPlanOptions(options)
    const size = (flag: 'sram' | 'flash') =>
      options[flag] === undefined ? board?.[flag] : parseSize(String(options[flag]), `--${flag}`)
    const maxInstructions =
      options.maxInstructions === undefined
        ? undefined
        : parseCount(String(options.maxInstructions), '--max-instructions')
    const limits: Limits = { sram: size('sram'), flash: size('flash'), maxInstructions }
    checkCountable(target, limits)
    if (options.name !== undefined && !/^[A-Za-z][A-Za-z0-9_-]*$/.test(String(options.name)))
      throw new InputError('--name', `"${options.name}" cannot name a C function`, 'use letters, digits and _')

    const weights = parseChoice(String(options.weights ?? 'inside'), '--weights', WEIGHTS)
    for (const flag of ['weights', 'threads', 'range', 'mean', 'std', 'fast']) onlyForWasm(options, flag, target)
    const second = target === 'wasm' && weights === 'inside' && options.relaxed !== false
    const fast = options.fast === true
    if (fast && target === 'wasm' && !second)
      throw new InputError(
        '--fast',
        'is for the second WebAssembly module, which is left out',
        'keep both, or weights inside',
      )

    const model = await openModel(path, options)
    const { graph, name } = model
    const described = await describeModel(model, options)
    const choice = {
      target,
      name: String(options.name ?? name),
      keepChannels: options.keepChannels === true,
      ...planChoiceOf(options),
      ...threadsChoiceOf(options),
      ...(fast && target !== 'wasm' && { fast }),
    }
    io.progress(maxInstructions === undefined ? `${path} …` : `${path}: counting instructions …`)
    const measured = compileWithin(graph, choice, limits, board)
    io.progress('')
    const { program, codeBytes, report } = measured
    const variants = second ? relaxedVariant(graph, { ...choice, fast }) : {}
    const fused = fast ? planOf(graph, { ...choice, fast }).steps.filter((s) => isFast(s.recipe)).length : 0
    const written = program.wasm ? webFiles(program, { weights, described, variants }) : [...program.files]
    if (options.project === true) written.push(...projectFiles(program, described.labels))
    if (options.serve === true) written.push(...serveFiles(program))
    const files = await writeOutput(String(options.output), written, options.force === true)
    const { plan } = program
    const slow = externalReport(plan)
    const sizes = written.map(({ data }) => {
      const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data
      return { bytes: bytes.length, ...(program.wasm && { gzip: gzipSync(bytes).length }) }
    })
    return {
      json: {
        target,
        ...(board && { board: board.name }),
        name: program.name,
        files,
        sizes,
        plan: planJson(plan),
        ...(fast && { fusedLayers: fused }),
        ...(codeBytes !== undefined && { codeBytes }),
        ...(report && { instructions: report.instructions }),
      },
      text: [
        `${program.name} for ${board ? `${board.name} (${target})` : target}: ${planLine(plan)}, ${countText(plan.macs)} MACs`,
        ...costLines(measured, limits),
        ...(slow ? [`  ${externalText(slow)}`] : []),
        ...(options.threads === undefined ? [] : [`  ${threadsLine(plan)}`]),
        ...(fast
          ? [`  fast: float32 sums of ${fused} layers in fused multiply-adds, last bits differ between engines`]
          : []),
        '',
        table(
          ['', '>', '>'],
          files.map((f, i) => {
            const { bytes, gzip } = sizes[i]
            return [`  ${f}`, bytesText(bytes), gzip === undefined ? '' : `${bytesText(gzip)} gzipped`]
          }),
        ),
        '',
        ...snippet(program, described).map((line) => `  ${line}`),
      ].join('\n'),
    }
  },
}
