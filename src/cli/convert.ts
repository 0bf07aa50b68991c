// `mote convert`: a model in, the same model as a file of another format out.

import { writeOnnx } from '../export/onnx.ts'
import { writeTflite } from '../export/tflite.ts'
import { bytesText } from '../report/figures.ts'
import type { Command } from './command.ts'
import { replaceFiles } from './files.ts'
import { MODEL_OPTIONS, openModel } from './model.ts'
import { modelOutput } from './model_output.ts'

const WRITERS = { '.onnx': writeOnnx, '.tflite': writeTflite } as const
const ENDINGS = Object.keys(WRITERS) as (keyof typeof WRITERS)[]

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
    const { output, format } = await modelOutput(path, options, ENDINGS)
    const { graph } = await openModel(path, options)
    const bytes = WRITERS[format](graph)
    await replaceFiles([{ path: output, data: bytes }])
    return { json: { file: output, bytes: bytes.length }, text: `${output}  ${bytesText(bytes.length)}` }
  },
}
