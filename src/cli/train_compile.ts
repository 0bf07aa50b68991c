// `mote train compile`: a model and a scheme in, the program of a step of learning out.

import { relaxedVariant, webFiles } from '../emit/js/files.ts'
import { type CompileOptions, compile } from '../emit/program.ts'
import { InputError } from '../errors.ts'
import { bytesText, countText, table } from '../report/figures.ts'
import { TARGET_NAMES } from '../targets/index.ts'
import { nameOf } from '../train/scheme.ts'
import { type Optimizer, type StepOptions, trainingStep } from '../train/step.ts'
import type { Command } from './command.ts'
import { writeOutput } from './files.ts'
import { MODEL_OPTIONS, openModel } from './model.ts'
import { parseChoice, parseSize, parseWhole } from './numbers.ts'
import { checkPlanOptions, EXTERNAL_OPTIONS, PLAN_OPTIONS, planChoiceOf, planJson, planLine } from './plan.ts'
import { schemesOf } from './train_plan.ts'

const LOSSES = ['cross-entropy', 'shares', 'mean-square'] as const
const OPTIMIZERS: readonly Optimizer['kind'][] = ['sgd', 'momentum', 'adam']

export const trainCompile: Command = {
  name: 'train compile',
  args: [['<model>', 'a .tflite or .onnx file']],
  summary: 'write a model as a program that learns: it predicts, takes a label, and updates itself in place',
  options: [
    ...MODEL_OPTIONS,
    ['--scheme <name>', 'what learns: a name that mote train plan lists, or a .json file', 'last'],
    ['--classes <n>', 'a new last layer for so many classes'],
    ['--loss <name>', `${LOSSES.join(', ')} (shares of the classes, mean-square: of a target)`, 'cross-entropy'],
    ['--optimizer <name>', `${OPTIMIZERS.join(', ')} (int8 models: sgd)`, 'sgd'],
    ['--target <name>', TARGET_NAMES.join(', '), 'wasm'],
    ['--sram <size>', 'limit of RAM for tensors: bytes, or 256K, 1M'],
    ...PLAN_OPTIONS,
    ...EXTERNAL_OPTIONS,
    ['--name <name>', "name of the files and the C functions (default: the model file's)"],
    ['-o, --output <dir>', 'folder for the files', '.'],
    ['--force', 'overwrite files that mote did not write'],
  ],
  async run([path], options, io) {
    const target = parseChoice(String(options.target), '--target', TARGET_NAMES)
    const loss = parseChoice(String(options.loss), '--loss', LOSSES)
    const optimizer = parseChoice(String(options.optimizer), '--optimizer', OPTIMIZERS)
    checkPlanOptions(options)
    const sram = options.sram === undefined ? undefined : parseSize(String(options.sram), '--sram')
    const classes =
      options.classes === undefined ? undefined : parseWhole(String(options.classes), '--classes', 2, 100_000)
    if (options.name !== undefined && !/^[A-Za-z][A-Za-z0-9_-]*$/.test(String(options.name)))
      throw new InputError('--name', `"${options.name}" cannot name a C function`, 'use letters, digits and _')
    const { graph, name } = await openModel(path, options)
    const [learn, another] = await schemesOf(options, graph)
    if (another !== undefined) throw new InputError('--scheme', `names several: ${options.scheme}`, 'give one of them')
    io.progress(`${path}: differentiating …`)
    const how: StepOptions = { learn, loss, optimizer: { kind: optimizer }, ...(classes !== undefined && { classes }) }
    const { graph: step, params } = trainingStep(graph, how)
    io.progress(`${path}: planning …`)
    const choice: CompileOptions = { target, sram, name: String(options.name ?? name), ...planChoiceOf(options) }
    const program = compile(step, choice)
    const written = program.wasm
      ? webFiles(program, { variants: target === 'wasm' ? relaxedVariant(step, choice) : {} })
      : [...program.files]
    io.progress('')
    const files = await writeOutput(String(options.output), written, options.force === true)
    const { plan } = program
    const { stateBytes } = plan.learning!
    return {
      json: {
        target,
        name: program.name,
        scheme: nameOf(learn),
        params: params.length,
        files,
        stateBytes,
        ...planJson(plan),
      },
      text: [
        `${program.name} for ${target}, ${nameOf(learn)}: ${planLine(plan)}, ${countText(plan.macs)} MACs a step`,
        `  ${params.length} tensors learn; a checkpoint takes ${bytesText(stateBytes + 16)}`,
        '',
        table(
          ['', '>'],
          files.map((file, i) => {
            const { data } = written[i]
            const bytes = typeof data === 'string' ? new TextEncoder().encode(data).length : data.length
            return [`  ${file}`, bytesText(bytes)]
          }),
        ),
      ].join('\n'),
    }
  },
}
