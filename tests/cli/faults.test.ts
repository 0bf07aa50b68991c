import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { disagreement } from '../../src/cli/bench.ts'
import { mote } from '../../src/cli/mote.ts'
import { separable, twoInputs } from '../support/nets.ts'
import { folder, saved, typed } from './console.ts'

const dir = folder()
const model = saved(dir, separable())
const pair = saved(dir, twoInputs())
const at = (name: string, data: string | Uint8Array) => {
  writeFileSync(join(dir, name), data)
  return join(dir, name)
}
const notes = at('notes.txt', 'dear diary')
const short = at('short.bin', new Uint8Array(191))
const empty = at('empty.tflite', '')
const two = at('two.txt', 'ant\nbee\n')
mkdirSync(join(dir, 'folder'))

const FAULTS: readonly (readonly [what: string, line: readonly string[], says: RegExp])[] = [
  ['an unknown command', ['explode'], /^mote: unknown command 'explode'\n {2}hint: /],
  ['a misspelt command', ['inspekt', model], /hint: Did you mean inspect\?/],
  [
    'an unknown flag',
    ['inspect', model, '--colour'],
    /^mote inspect: unknown option '--colour'\n {2}hint: mote inspect --help/,
  ],
  ['a missing argument', ['compile'], /^mote compile: missing required argument 'model'/],
  ['too many arguments', ['inspect', model, model], /^mote inspect: too many arguments/],
  ['a flag without its value', ['compile', model, '--sram'], /--sram <size>' argument missing/],
  ['a missing file', ['inspect', join(dir, 'none.tflite')], /none\.tflite: no such file/],
  ['a folder as model', ['inspect', join(dir, 'folder')], /folder: is a folder, not a file/],
  ['a text as model', ['inspect', notes], /notes\.txt: .*text/],
  ['an empty file as model', ['run', empty, '--seed', '1'], /empty\.tflite: .*empty/],
  ['a cut model', ['inspect', at('cut.mote', new Uint8Array(40).fill(1))], /cut\.mote: /],
  [
    'a wrong target',
    ['compile', model, '--target', 'z80'],
    /^--target: "z80" is not known\n {2}hint: choose from wasm, c,/,
  ],
  [
    'a size that is none',
    ['compile', model, '--sram', '256Q', '-o', dir],
    /^--sram: "256Q" is not a size\n {2}hint: .*256K/,
  ],
  ['a size of nothing', ['compile', model, '--sram', '0', '-o', dir], /^--sram: "0" is not a size/],
  ['a name that C cannot use', ['compile', model, '--name', '../x', '-o', dir], /^--name: "\.\.\/x" cannot name/],
  [
    'a stage that is not built',
    ['compile', model, '--stage', 'patches', '-o', dir],
    /^--stage: "patches" is not available yet/,
  ],
  [
    'an input that is not streamed',
    ['compile', model, '--input', 'streamed'],
    /^--input: "streamed" is not available yet/,
  ],
  [
    'too little RAM',
    ['compile', model, '--sram', '100', '-o', dir],
    /needs \d+ bytes of RAM, limit is 100; peak at \w+ "/,
  ],
  ['too little flash', ['compile', model, '--flash', '64', '-o', dir], /weights take \d+ bytes of flash, limit is 64/],
  ['no input', ['run', model], /no input was given\n {2}hint: .*--seed/],
  ['a seed and an input', ['run', model, short, '--seed', '1'], /^--seed: generates the inputs/],
  ['a seed that is none', ['run', model, '--seed', '-1'], /^--seed: "-1" is not a whole number/],
  ['a short input', ['run', model, short], /191/],
  ['pixels of one number', ['run', model, short, '--pixels', '1'], /^--pixels: "1" is not two numbers\n {2}hint: /],
  [
    'one file for two inputs',
    ['run', pair, short],
    /the model has 2 inputs, files were given for 1\n {2}hint: .*image, features/,
  ],
  ['too few labels', ['run', model, '--seed', '1', '--labels', two], /has 2 labels, the output has 5 elements/],
  [
    'an unknown runner',
    ['run', model, '--seed', '1', '--on', 'gpu'],
    /^--on: "gpu" is not known\n {2}hint: choose from wasm/,
  ],
  ['a benchmark that is not there', ['bench', model, '--on', 'chromium'], /^--on: "chromium" is not available yet/],
]

test.each(FAULTS)('%s is one error with exit code 1', async (_, line, says) => {
  const { code, out, err } = await typed(...line)
  expect(err).toMatch(says)
  expect(err).not.toMatch(/internal error|\bat .*\.ts:/)
  expect(code).toBe(1)
  expect(out).toBe('')
})

test.each(FAULTS)('%s is an error in JSON as well', async (_, line, says) => {
  const { code, out, err } = await typed(line[0], '--json', ...line.slice(1))
  const { error } = JSON.parse(out)
  expect(error.hint ? `${error.message}\n  hint: ${error.hint}` : error.message).toMatch(says)
  expect(err).toMatch(says)
  expect(code).toBe(1)
})

test('a fault of ours says so, and shows its stack only on demand', async () => {
  const failing = async (debug: boolean) => {
    let err = ''
    const progress = () => {
      throw new TypeError('no such thing')
    }
    const code = await mote(['bench', model], { out: () => {}, err: (text) => (err += text), progress, debug })
    expect(code).toBe(1)
    return err
  }
  expect(await failing(false)).toBe(
    'internal error: no such thing (this is a bug in mote)\n  hint: please report it; MOTE_DEBUG=1 prints the stack',
  )
  expect(await failing(true)).toMatch(/^TypeError: no such thing\n +at /)
})

test('help and version are answers, not errors', async () => {
  for (const line of [['help'], ['--help'], ['compile', '--help'], ['help', 'run'], ['--version'], []]) {
    const { code, out, err } = await typed(...line)
    expect([line, code, err]).toEqual([line, 0, ''])
    expect(out).toMatch(/\S/)
  }
  expect((await typed('--version')).out).toMatch(/^\d+\.\d+\.\d+\n$/)
})

test('rows whose outputs differ in one bit are told apart', () => {
  const row = (on: string, hash: string) => ({ on, arenaBytes: 1, weightBytes: 1, outputFnv1a: [hash] })
  expect(disagreement([row('wasm', '00000001'), row('host-c', '00000001')])).toBeUndefined()
  expect(disagreement([row('wasm', '00000001'), row('host-c', '00000001'), row('cortex-m4', '00000002')])).toBe(
    'wasm, host-c: 00000001; cortex-m4: 00000002',
  )
})
