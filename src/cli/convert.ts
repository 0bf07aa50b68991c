// `mote convert`: a model in, the same model as a file of another format out.

import { realpath } from 'node:fs/promises'
import { InputError } from '../errors.ts'
import { writeOnnx } from '../export/onnx.ts'
import { writeTflite } from '../export/tflite.ts'
import { bytesText } from '../report/figures.ts'
import type { Command } from './command.ts'
import { replaceFiles } from './files.ts'
import { MODEL_OPTIONS, openModel } from './model.ts'

const WRITERS = { '.onnx': writeOnnx, '.tflite': writeTflite } as const

export const convert: Command = {
  name: 'convert',
  args: [['<model>', 'a .tflite or .onnx file']],
  summary: 'write a model as an .onnx or .tflite file',
  options: [
    ...MODEL_OPTIONS,
    ['-o, --output <file>', 'the file to write; its ending says the format: .onnx or .tflite'],
    ['--force', 'overwrite a file that is there'],
  ],
  async run([path], options) {
    const output = String(options.output ?? '')
    const format = (Object.keys(WRITERS) as (keyof typeof WRITERS)[]).find((end) => output.endsWith(end))
    if (!format)
      throw new InputError(
        '--output',
        `is "${output}", expected a name that ends in ${Object.keys(WRITERS).join(' or ')}`,
      )
    const there = await realpath(output).catch(() => undefined)
    if (there !== undefined && there === (await realpath(path).catch(() => undefined)))
      throw new InputError(output, 'is the model itself', 'choose another name')
    if (there !== undefined && options.force !== true)
      throw new InputError(output, 'exists', 'choose another name, or --force to overwrite it')
    const { graph } = await openModel(path, options)
    const bytes = WRITERS[format](graph)
    await replaceFiles([{ path: output, data: bytes }])
    return { json: { file: output, bytes: bytes.length }, text: `${output}  ${bytesText(bytes.length)}` }
  },
}
