// `mote run`: a model on given inputs. Files are runs one after the other, state kept; a set of inputs whose truth is known
// is an evaluation, each input from the initial state.

import { InputError } from '../errors.ts'
import { readSet } from '../io/sets.ts'
import { countText, table } from '../report/figures.ts'
import { topScores } from '../report/scores.ts'
import { DEVICE_NAMES } from '../run/device.ts'
import type { Trace } from '../run/model.ts'
import type { Command } from './command.ts'
import { evaluateSet, progressOf } from './evaluate.ts'
import { givenInputs, INPUT_OPTIONS, inputOptions, labelsOf, limited, seedOf, text, topOf } from './inputs.ts'
import { MODEL_OPTIONS, openModel, shortName, tensorId } from './model.ts'
import { parseChoice } from './numbers.ts'
import { checkOut, checkPorts, writeOutputs } from './outputs.ts'
import { outputJson, scoreChart, traceEntries, valuesLine } from './results.ts'
import { openRunner, RUNNER_NAMES } from './runners.ts'

export { generated, MAX_SEED } from './inputs.ts'

const ON: readonly string[] = [...RUNNER_NAMES, ...DEVICE_NAMES]

export const run: Command = {
  name: 'run',
  args: [
    ['<model>', 'a .tflite or .onnx file'],
    [
      '[input...]',
      'a file for each input: raw elements, .npy, JSON numbers, a picture or sound, more files are more runs; or a folder with a folder for each class, or a packed set',
    ],
  ],
  summary: 'run a model on this machine, or say how often it is right',
  options: [
    ...MODEL_OPTIONS,
    ['--on <runner>', ON.join(', '), 'wasm'],
    ['--seed <n>', 'generate the inputs (xorshift32) instead of reading files'],
    ...INPUT_OPTIONS,
    ['--trace', 'hash every tensor that the program computes'],
    ['--labels <file>', 'names of the classes, one a line'],
    ['--top <k>', 'how many of the highest scores to show, or to count as right'],
    ['--truth <file>', 'a CSV file of inputs and their classes or numbers: name.png,label'],
    ['--limit <n>', 'only so many inputs of a set, spread evenly over it'],
    ['--out <file>', 'write the outputs as .npy or .json'],
    ['--force', 'overwrite a file that is there'],
  ],
  async run([path, ...files], options, io) {
    const on = parseChoice(String(options.on), '--on', ON)
    const seed = seedOf(options)
    const how = inputOptions(options)
    const labels = await labelsOf(options)
    const top = topOf(options) ?? (labels ? 5 : undefined)
    const truth = text(options, 'truth')
    const out = text(options, 'out')
    if (out !== undefined) checkOut(out, [path, ...files], options.force === true)
    const set = seed === undefined ? readSet(files, truth) : undefined

    const { graph } = await openModel(path, options)
    const runner = await openRunner(graph, on)
    const { program, model, runMany, batch } = runner
    if (out !== undefined) checkPorts(out, model.outputs)
    const title = `${path} on ${on}, ${countText(program.plan.macs)} MACs`

    if (set && model.inputs.length !== 1)
      throw new InputError(
        files[0] ?? '--truth',
        `is a set of inputs, the model has ${model.inputs.length}`,
        'sets are for models of one input',
      )
    const samples = limited(set?.samples ?? [], options)
    if (set && samples[0].truth !== undefined) {
      if (options.trace) throw new InputError('--trace', 'is for single inputs, a set was given')
      const named = { name: files[0] ?? truth!, set: { ...set, samples }, labels, top }
      const { run, json, lines, failed } = evaluateSet(runner, named, how, io)
      if (out !== undefined)
        await writeOutputs(
          out,
          model.outputs,
          run.samples.map((s, i) => ({ inputs: [s.name], outputs: run.outputs[i] })),
        )
      return { failed, json: { model: path, on, ...json }, text: [title, ...lines].join('\n') }
    }

    const paths = set ? samples.map((s) => String(s.source)) : files
    const given = givenInputs(model.inputs, paths, seed, how)
    const absorbed = program.absorbed.map(tensorId)
    const progress = progressOf(io, given.length)
    const traces: Trace[] = []
    for (let i = 0; i < given.length; i += batch) {
      progress(i)
      const some = given.slice(i, i + batch).map(({ data }) => data)
      if (options.trace) traces.push(...some.map((data) => model.trace(data)))
      else traces.push(...runMany(some).map((outputs) => ({ outputs, tensors: [] })))
    }
    progress(given.length)
    const results = given.map(({ files, prepared }, i) => {
      const trace = traces[i]
      const { outputs } = trace
      return {
        files,
        prepared: prepared.map((p) => ({ file: p.file, steps: p.steps.join(' → ') })),
        outputs,
        scores: top === undefined ? undefined : topScores(model.outputs[0].type, outputs[0], top, labels),
        trace: options.trace ? traceEntries(graph, program, trace) : undefined,
      }
    })

    const lines = results.flatMap(({ files, prepared, outputs, scores, trace }) => [
      ...(results.length > 1 ? ['', files.join(' ')] : []),
      ...prepared.map((p) => (model.inputs.length > 1 || results.length === 1 ? `${p.file} ${p.steps}` : p.steps)),
      ...outputs.map((data, i) => valuesLine(model.outputs[i], data)),
      ...(scores ? [scoreChart(scores)] : []),
      ...(trace
        ? [
            '',
            table(
              ['>tensor', 'fnv1a', 'name'],
              trace.map((t) => [String(t.tensor), t.fnv1a, shortName(t.name)]),
            ),
          ]
        : []),
    ])
    if (options.trace && absorbed.length > 0) lines.push(`absorbed or narrowed: ${absorbed.join(', ')}`)
    const json = results.map(({ prepared, outputs, scores, trace }) => ({
      ...(prepared.length > 0 && { prepared }),
      outputs: outputs.map((data, i) => outputJson(model.outputs[i], data)),
      ...(scores && { top: scores }),
      ...(trace && { trace, absorbed }),
    }))
    if (out !== undefined)
      await writeOutputs(
        out,
        model.outputs,
        results.map(({ files, outputs }) => ({ inputs: files, outputs })),
      )
    return {
      json: {
        model: path,
        on,
        ...(json.length === 1 ? json[0] : { runs: json.map((r, i) => ({ inputs: results[i].files, ...r })) }),
      },
      text: [title, ...lines].join('\n'),
    }
  },
}
