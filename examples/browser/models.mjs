// Compiles the models of the page from a folder of model files:
//
//   npm run models -- <folder>
//
// It looks, in the folder and those in it, for person_detect and micro_speech with its audio preprocessor, as TensorFlow Lite
// Micro ships them (tensorflow/lite/micro/examples), and for Ultra-Light-Fast-Generic-Face-Detector's RFB-320 (models/onnx).

import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Name of the program, the file it is made from, and the names of its classes. */
export const MODELS = [
  { name: 'person', file: /^person_detect.*\.tflite$/, labels: 'labels/person.txt' },
  { name: 'faces', file: /RFB-?320.*\.onnx$/i },
  { name: 'front', file: /^audio_preprocessor_int8\.tflite$/ },
  { name: 'words', file: /^micro_speech_(quantized|int8)\.tflite$/, labels: 'labels/words.txt' },
]

const here = fileURLToPath(new URL('.', import.meta.url))

/** Arguments of `mote` that compile each model of a folder into `models/`, or an error that names what is missing. */
export function commands(folder, to = join(here, 'models')) {
  const files = readdirSync(folder, { recursive: true }).map(String)
  return MODELS.map(({ name, file, labels }) => {
    const found = files.find((f) => file.test(f.split(/[/\\]/).at(-1)))
    if (!found) throw new Error(`${folder} has no file whose name is like ${file.source}, for "${name}"`)
    const named = labels ? ['--labels', join(here, labels)] : []
    return ['compile', join(folder, found), '--target', 'wasm', '--name', name, '-o', to, ...named]
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder] = process.argv.slice(2)
  if (!folder) {
    console.error('say where the model files are: npm run models -- <folder>')
    process.exit(1)
  }
  const mote = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
  try {
    for (const command of commands(folder)) execFileSync(process.execPath, [mote, ...command], { stdio: 'inherit' })
  } catch (error) {
    console.error(error.message)
    process.exit(1)
  }
}
