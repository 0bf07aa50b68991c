// `mote compile`: a model and a budget in, the program's files out.

import { type CompileOptions, compile, type Program } from '../emit/program.ts'
import { BudgetError, InputError } from '../errors.ts'
import type { Graph } from '../ir/graph.ts'
import { bytesText, countText, table } from '../report/figures.ts'
import { BOARDS, boardOf } from '../targets/boards.ts'
import { TARGET_NAMES } from '../targets/index.ts'
import type { Command } from './command.ts'
import { writeOutput } from './files.ts'
import { filesOf } from './loader.ts'
import { MODEL_OPTIONS, openModel } from './model.ts'
import { parseChoice, parseSize } from './numbers.ts'
import { checkPlanOptions, PLAN_OPTIONS, planChoiceOf, planJson, planLine } from './plan.ts'
import { snippet } from './snippet.ts'

/** Compiles; what does not fit is refused with the smallest change that would make it fit. */
function compileWithin(graph: Graph, options: CompileOptions): Program {
  try {
    return compile(graph, options)
  } catch (error) {
    if (!(error instanceof BudgetError)) throw error
    const free = { ...options, sram: undefined, flash: undefined }
    const { arenaBytes, weightBytes } = compile(graph, free).plan
    const byRows = options.stage === 'none' ? compile(graph, { ...free, stage: 'rows' }).plan.arenaBytes : arenaBytes
    const fits = BOARDS.filter((b) => b.sram >= arenaBytes && b.flash >= weightBytes)
    const changes = [
      ...(error.hint ? [error.hint] : []),
      ...(byRows < arenaBytes ? [`--stage rows brings it to ${bytesText(byRows)}`] : []),
      ...(options.sram !== undefined && arenaBytes > options.sram ? [`it fits --sram ${arenaBytes}`] : []),
      ...(options.flash !== undefined && weightBytes > options.flash ? [`it fits --flash ${weightBytes}`] : []),
      ...(fits.length > 0 ? [`boards that hold it: ${fits.map((b) => b.name).join(', ')}`] : []),
    ]
    const what = error.where ? error.message.slice(error.where.length + 2) : error.message
    throw new BudgetError(error.where, what, changes.join('; '))
  }
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
    ['--flash <size>', 'limit of flash for weights'],
    ['--name <name>', "name of the files and the C functions (default: the model file's)"],
    ['--keep-channels', 'keep channels that no output depends on: one program, whatever the weights'],
    ...PLAN_OPTIONS,
    ['-o, --output <dir>', 'folder for the files', '.'],
    ['--force', 'overwrite files that mote did not write'],
  ],
  async run([path], options) {
    const board = options.board === undefined ? undefined : boardOf(String(options.board))
    const target = parseChoice(String(options.target ?? board?.target ?? 'wasm'), '--target', TARGET_NAMES)
    checkPlanOptions(options)
    const size = (flag: 'sram' | 'flash') =>
      options[flag] === undefined ? board?.[flag] : parseSize(String(options[flag]), `--${flag}`)
    const [sram, flash] = [size('sram'), size('flash')]
    if (options.name !== undefined && !/^[A-Za-z][A-Za-z0-9_-]*$/.test(String(options.name)))
      throw new InputError('--name', `"${options.name}" cannot name a C function`, 'use letters, digits and _')

    const { graph, name } = await openModel(path, options)
    const program = compileWithin(graph, {
      target,
      sram,
      flash,
      name: String(options.name ?? name),
      keepChannels: options.keepChannels === true,
      ...planChoiceOf(options),
    })
    const written = filesOf(program)
    const files = await writeOutput(String(options.output), written, options.force === true)
    const { plan } = program
    const bytesAt = (data: Uint8Array | string) =>
      typeof data === 'string' ? new TextEncoder().encode(data).length : data.length
    const part = (label: string, used: number, limit: number | undefined) =>
      `  ${label} ${bytesText(used)}${limit === undefined ? '' : `, ${((100 * used) / limit).toFixed(1)}% of ${bytesText(limit)}`}`
    return {
      json: { target, ...(board && { board: board.name }), name: program.name, files, plan: planJson(plan) },
      text: [
        `${program.name} for ${board ? `${board.name} (${target})` : target}: ${planLine(plan)}, ${countText(plan.macs)} MACs`,
        part('RAM for tensors   ', plan.arenaBytes, sram),
        part('flash for weights ', plan.weightBytes, flash),
        '  (stack, code and the rest of the firmware come on top)',
        '',
        table(
          ['', '>'],
          written.map((f, i) => [`  ${files[i]}`, bytesText(bytesAt(f.data))]),
        ),
        '',
        ...snippet(program).map((line) => `  ${line}`),
      ].join('\n'),
    }
  },
}
