// `mote compile`: a model and a budget in, the program's files out.

import { compile } from '../emit/program.ts'
import { InputError } from '../errors.ts'
import { TARGET_NAMES } from '../targets/index.ts'
import type { Command } from './command.ts'
import { writeOutput } from './files.ts'
import { filesOf } from './loader.ts'
import { MODEL_OPTIONS, openModel } from './model.ts'
import { bytesText, countText, parseChoice, parseSize, table } from './numbers.ts'
import { checkPlanOptions, PLAN_OPTIONS, planJson, planLine } from './plan.ts'

export const compileCommand: Command = {
  name: 'compile',
  args: [['<model>', 'a .tflite or .onnx file']],
  summary: 'write a model as a program: a WebAssembly module, or C99',
  options: [
    ...MODEL_OPTIONS,
    ['--target <name>', TARGET_NAMES.join(', '), 'wasm'],
    ['--sram <size>', 'limit of RAM for tensors: bytes, or 256K, 1M'],
    ['--flash <size>', 'limit of flash for weights'],
    ['--name <name>', "name of the files and the C functions (default: the model file's)"],
    ...PLAN_OPTIONS,
    ['-o, --output <dir>', 'folder for the files', '.'],
    ['--force', 'overwrite files that mote did not write'],
  ],
  async run([path], options) {
    const target = parseChoice(String(options.target), '--target', TARGET_NAMES)
    checkPlanOptions(options)
    const size = (flag: 'sram' | 'flash') =>
      options[flag] === undefined ? undefined : parseSize(String(options[flag]), `--${flag}`)
    const [sram, flash] = [size('sram'), size('flash')]
    if (options.name !== undefined && !/^[A-Za-z][A-Za-z0-9_-]*$/.test(String(options.name)))
      throw new InputError('--name', `"${options.name}" cannot name a C function`, 'use letters, digits and _')

    const { graph, name } = await openModel(path, options)
    const program = compile(graph, { target, sram, flash, name: String(options.name ?? name) })
    const written = filesOf(program)
    const files = await writeOutput(String(options.output), written, options.force === true)
    const { plan } = program
    const sizes = written.map((f, i) => [
      `  ${files[i]}`,
      bytesText(typeof f.data === 'string' ? new TextEncoder().encode(f.data).length : f.data.length),
    ])
    const limits = [sram && `RAM limit ${bytesText(sram)}`, flash && `flash limit ${bytesText(flash)}`].filter(Boolean)
    return {
      json: { target, name: program.name, files, plan: planJson(plan) },
      text: [
        `${program.name} for ${target}: ${planLine(plan)}, ${countText(plan.macs)} MACs`,
        ...(limits.length > 0 ? [`fits: ${limits.join(', ')}`] : []),
        table(['', '>'], sizes),
      ].join('\n'),
    }
  },
}
