// Tells a story: node examples/stories260k.ts stories260K.bin tok512.bin (Node 23 or later, or any loader of TypeScript).
// Prints the greedy continuation of the empty text, and how much memory the model takes.

import { readFileSync } from 'node:fs'
import { compile } from '../src/emit/program.ts'
import { instantiate } from '../src/run/instantiate.ts'
import { argmax, llama, readCheckpoint } from './llama.ts'
import { decode, readVocabulary } from './vocabulary.ts'

const BEGIN = 1
const LENGTH = 256

const [checkpoint, vocabulary] = process.argv.slice(2).map((path) => new Uint8Array(readFileSync(path)))
const { config, weights } = readCheckpoint(checkpoint)
const program = compile(llama({ ...config, positions: LENGTH }, weights, 'stories260K'), { target: 'wasm' })
const model = await instantiate(program)
const tokens = [BEGIN]
for (let t = 0; t < LENGTH - 1; t++) {
  const [logits] = model.run([Int32Array.of(tokens[t]), Int32Array.of(t)])
  tokens.push(argmax(logits as Float32Array))
  if (tokens[t + 1] === BEGIN) break
}
console.log(decode(tokens.slice(1), readVocabulary(vocabulary)))
console.log(`${program.plan.arenaBytes} bytes of RAM, ${program.plan.weightBytes} bytes of weights`)
