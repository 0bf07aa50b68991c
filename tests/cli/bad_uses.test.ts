import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { mote } from '../../src/cli/mote.ts'
import { writeTflite } from '../../src/export/tflite.ts'
import { writeNpy } from '../../src/io/npy.ts'
import { mobile } from '../compress/nets.ts'
import { nothing, separable, twoInputs } from '../support/nets.ts'
import { folder, saved, typed } from './console.ts'

const dir = folder()
const model = saved(dir, separable())
const pair = saved(dir, twoInputs())
const vectors = saved(dir, nothing())
const at = (name: string, data: string | Uint8Array) => {
  writeFileSync(join(dir, name), data)
  return join(dir, name)
}
const none = join(dir, 'none')
const real = saved(dir, mobile())
const bytes = writeTflite(separable())
const tflite = at('whole.tflite', bytes)
const png = at('picture.tflite', new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13]))
const page = at('page.tflite', '<!DOCTYPE html><html><body>404</body></html>')
const short = at('short.bin', new Uint8Array(191))
const right = at('right.npy', writeNpy({ dtype: 'i8', shape: [8, 8, 3], data: new Int8Array(192) }))
const wall = at('wall', 'a file')
const sub = join(dir, 'folder')
mkdirSync(sub)
const theirs = join(dir, 'theirs')
mkdirSync(theirs)
at('theirs/x.wasm', 'theirs')
const TARGETS = 'wasm, wasm-relaxed, c, portable, cortex-m4, cortex-m7, cortex-m55'
const RUNNERS = 'wasm, reference, interpreter, host-c, portable, cortex-m4, cortex-m7, cortex-m55'
const SIZE = 'give bytes, or a number with K, M or G: 262144, 256K, 1M'
const OTHER = 'choose another name, or --force to overwrite it'

/** What is said, with paths from `dir` on: the line that names where and what with both values, and the hint. */
const BAD: readonly (readonly [
  what: string,
  line: readonly string[],
  says: string | RegExp,
  hint?: string | RegExp,
])[] = [
  ['an unknown command', ['explode'], "mote: unknown command 'explode'", 'mote help lists the commands'],
  ['a misspelt command', ['inspekt', model], "mote: unknown command 'inspekt'", 'Did you mean inspect?'],
  ['an unknown command of train', ['train', 'plam', model], "mote: unknown command 'plam'", 'Did you mean plan?'],
  [
    'an unknown scheme',
    ['train', 'plan', model, '--scheme', 'first'],
    'scheme: "first" is none',
    'last, last-K, bias-last-K, bn-last, sparse-Nkb, lora-R, adapter-R, prompt-N, tinytl or full',
  ],
  [
    'a scheme of another net',
    ['train', 'plan', model, '--scheme', 'sparse-49kb'],
    /^scheme: sparse-49kb was found for mbv2-w0.35: "separable" has 6 layers with weights, mbv2-w0.35 has 52$/,
    /^mbv2-w0.35: sparse-49kb, .*; mcunet-5fps: sparse-49kb, /,
  ],
  [
    'a scheme for float32',
    ['train', 'plan', model, '--scheme', 'lora-2'],
    'scheme: lora-2 adds to layers with constant float32 weights, "separable" has none before its last',
    'int8 models learn by last-K, bias-last-K and sparse schemes',
  ],
  [
    'a scheme file that is no JSON',
    ['train', 'plan', model, '--scheme', at('scheme.json', '{')],
    /^.*scheme.json: is not JSON: /,
  ],
  [
    'a scheme file with an unknown field',
    ['train', 'plan', model, '--scheme', at('scheme2.json', '{"bias": 3}')],
    /^.*scheme2.json: the scheme has "bias", expected some of name, biases, layers, parameters$/,
    'docs/training.md has an example',
  ],
  [
    'a scheme file with a ratio out of range',
    ['train', 'plan', model, '--scheme', at('scheme3.json', '{"layers": [{"layer": 1, "ratio": 0}]}')],
    /^.*scheme3.json: layers\[0\].ratio is 0, expected more than 0, up to 1$/,
    'docs/training.md has an example',
  ],
  [
    'a scheme file that is not there',
    ['train', 'plan', model, '--scheme', 'nowhere.json'],
    'nowhere.json: no such file',
    'check the spelling and the folder',
  ],
  [
    'one class',
    ['train', 'plan', model, '--classes', '1'],
    '--classes: "1" is not a whole number from 2 to 100000',
    'for example --classes 2',
  ],
  [
    'a board that the plans are not for',
    ['train', 'plan', model, '--on', 'cortex-m4'],
    '--on: is cortex-m4, the plans are for cortex-m7',
    'add --target cortex-m4',
  ],
  [
    'nothing to choose by',
    ['train', 'choose', model, '--sram', '4K', '-o', join(dir, 'new.json')],
    '--data: is missing: examples say what contributes',
    'name a folder for each class of them, a packed set, or a folder and --truth',
  ],
  [
    'no limit to choose within',
    ['train', 'choose', model, '--data', sub, '-o', join(dir, 'new.json')],
    '--sram: is missing',
    'say how much RAM there is: --sram 128K',
  ],
  [
    'a scheme of another ending',
    ['train', 'choose', model, '--data', sub, '--sram', '4K', '-o', join(dir, 'new.txt')],
    /^--output: is ".*new.txt", expected a name that ends in .json$/,
  ],
  [
    'examples without classes',
    ['train', 'choose', model, '--data', right, '--sram', '4K', '-o', join(dir, 'new.json')],
    /right.npy: does not say the class of each input$/,
    'a folder for each class, a packed set, or --truth',
  ],
  [
    'ratios above 1',
    ['train', 'choose', model, '--data', right, '--sram', '4K', '--ratios', '0.5,2', '-o', join(dir, 'new.json')],
    '--ratios: has 2, expected numbers above 0 and up to 1',
    'for example --ratios 0.25,1',
  ],
  [
    'an unknown kind of plan',
    ['train', 'choose', model, '--data', right, '--sram', '4K', '--plan', 'size', '-o', join(dir, 'new.json')],
    '--plan: "size" is not known',
    'choose from speed, memory',
  ],
  [
    'more layers to choose from than there are',
    ['train', 'choose', model, '--data', right, '--sram', '4K', '--layers', '6', '-o', join(dir, 'new.json')],
    '--layers: "6" is not a whole number from 1 to 5',
    'for example --layers 1',
  ],
  [
    'an unknown flag',
    ['inspect', model, '--colour'],
    "mote inspect: unknown option '--colour'",
    'mote inspect --help lists what there is',
  ],
  [
    'a misspelt flag of inspect',
    ['inspect', model, '--targt', 'c'],
    "mote inspect: unknown option '--targt'",
    'Did you mean --target?',
  ],
  [
    'a misspelt flag of compile',
    ['compile', model, '--srma', '1K'],
    "mote compile: unknown option '--srma'",
    'Did you mean --sram?',
  ],
  [
    'a misspelt flag of run',
    ['run', model, '--labls', 'x'],
    "mote run: unknown option '--labls'",
    'Did you mean --labels?',
  ],
  [
    'a misspelt flag of bench',
    ['bench', model, '--runns', '3'],
    "mote bench: unknown option '--runns'",
    'Did you mean --runs?',
  ],
  [
    'quantize without an output',
    ['quantize', model],
    /--output: is "", expected a name that ends in .tflite or .onnx or .mote/,
  ],
  [
    'quantize to another format',
    ['quantize', model, '-o', `${none}.bin`],
    /--output: is ".*none.bin", expected a name that ends in .tflite or .onnx/,
  ],
  [
    'quantize to an unknown form',
    ['quantize', model, '--to', 'int7', '-o', `${none}.tflite`],
    '--to: "int7" is not known',
    'choose from int8, int16x8, int4, float16, dynamic',
  ],
  [
    'quantize to a form that ONNX does not have',
    ['quantize', model, '--to', 'int4', '-o', `${none}.onnx`],
    '--to: is int4, .onnx files are written in int8 and float16',
    'write a .tflite file',
  ],
  [
    'quantize within limits to a format without fewer bits',
    ['quantize', model, '--flash', '10K', '-o', `${none}.tflite`],
    '--output: is a .tflite file: it has no activations and weights of 2 bits',
    'write a .mote file, which mote compile, run and evaluate read; for 4-bit weights alone there is --to int4',
  ],
  [
    'quantize within limits from another form',
    ['quantize', model, '--sram', '10K', '--to', 'int16x8', '-o', `${none}.mote`],
    '--sram: goes down from int8, --to is int16x8',
    'leave --to out',
  ],
  [
    'quantize within limits for an unknown target',
    ['quantize', model, '--sram', '10K', '--target', 'z80', '-o', `${none}.mote`],
    /--target: "z80" is not known/,
    /choose from wasm, /,
  ],
  [
    'quantize by an unknown rule',
    ['quantize', model, '--mixed', 'luck', '-o', `${none}.mote`],
    '--mixed: "luck" is not known',
    'choose from exact, rules',
  ],
  [
    'quantize by an unknown method',
    ['quantize', model, '--method', 'guess', '-o', `${none}.tflite`],
    '--method: "guess" is not known',
    'choose from minmax, percentile, mse, entropy',
  ],
  [
    'quantize with a percentile beyond all',
    ['quantize', model, '--percentile', '101', '-o', `${none}.tflite`],
    '--percentile: "101" is not above 50 and up to 100',
    'for example 99.99',
  ],
  [
    'quantize without inputs',
    ['quantize', model, '-o', `${none}.tflite`],
    '--calibrate: is missing: int8 needs typical inputs, their ranges become the scales',
    'name a folder, a packed set or a .npy file; --to dynamic and float16 need none',
  ],
  [
    'quantize with inputs that are not there',
    ['quantize', real, '--calibrate', none, '-o', `${none}.tflite`],
    /none: no such file or folder/,
    'name a folder, a packed set, a .npy file or one input',
  ],
  [
    'quantize a model that is quantised',
    ['quantize', model, '--calibrate', right, '-o', `${none}.tflite`],
    /has no layer in float32 that can be quantised/,
    'is it quantised already?',
  ],
  [
    'quantize a model of two inputs',
    ['quantize', pair, '--calibrate', right, '-o', `${none}.tflite`],
    '--calibrate: is for models of one input, this has 2',
  ],
  [
    'a misspelt flag of convert',
    ['convert', model, '--outptu', 'x'],
    "mote convert: unknown option '--outptu'",
    'Did you mean --output?',
  ],
  ['a misspelt flag of demo', ['demo', '--jsn'], "mote demo: unknown option '--jsn'", 'Did you mean --json?'],
  [
    'no model for compile',
    ['compile'],
    "mote compile: missing required argument 'model'",
    'mote compile --help lists what there is',
  ],
  [
    'no model for bench',
    ['bench'],
    "mote bench: missing required argument 'model'",
    'mote bench --help lists what there is',
  ],
  [
    'two models to inspect',
    ['inspect', model, pair],
    "mote inspect: too many arguments for 'inspect'. Expected 1 argument but got 2.",
    /--help/,
  ],
  [
    'a demo of a model',
    ['demo', model],
    "mote demo: too many arguments for 'demo'. Expected 0 arguments but got 1.",
    /--help/,
  ],
  [
    'a flag without its value',
    ['compile', model, '--sram'],
    "mote compile: option '--sram <size>' argument missing",
    /--help/,
  ],

  ['a missing model', ['inspect', `${none}.tflite`], 'none.tflite: no such file', 'check the spelling and the folder'],
  ['a folder as model', ['inspect', sub], 'folder: is a folder, not a file', 'name a file'],
  ['a model inside a file', ['bench', join(wall, 'x')], 'wall/x: leads through a file, not a folder', /another place/],
  [
    'a text as model',
    ['inspect', at('notes.txt', 'dear diary')],
    'notes.txt: is not a file that mote reads: it is text',
    'give a .tflite or .onnx file',
  ],
  [
    'an empty model',
    ['run', at('empty.tflite', ''), '--seed', '1'],
    'empty.tflite: is not a file that mote reads: it is empty',
    /interrupted/,
  ],
  [
    'a picture as model',
    ['inspect', png],
    'picture.tflite: is not a file that mote reads: it is a picture',
    'pictures are inputs: give the model first',
  ],
  [
    'an input as model',
    ['bench', right],
    'right.npy: is not a file that mote reads: it is a NumPy array',
    /give the model first/,
  ],
  [
    'an error page as model',
    ['compile', page],
    'page.tflite: is not a file that mote reads: it is a web page',
    /download the raw file/,
  ],
  [
    'a saved graph cut short',
    ['inspect', at('cut.mote', 'motegrph')],
    /^cut\.mote: .+/,
    /written by mote: write it again/,
  ],
  [
    'a .tflite file cut in its weights',
    ['inspect', at('cut.tflite', bytes.subarray(0, -300))],
    /^cut\.tflite: .*needs \d+ bytes, the file ends at byte \d+$/,
    /truncated: download or convert it again/,
  ],
  [
    'a .tflite file cut at its start',
    ['convert', at('head.tflite', bytes.subarray(0, 12)), '-o', `${none}.onnx`],
    /^head\.tflite: .* at byte 12 needs 4 bytes, the file ends at byte 12$/,
    /truncated/,
  ],
  [
    'a shape that is none',
    ['inspect', model, '--shape', 'picture=1,-9'],
    '--shape: "picture=1,-9" is not of the form name=1,3,224,224',
    /lists the inputs/,
  ],
  [
    'a shape of no input',
    ['inspect', model, '--shape', 'image=1,8,8,3'],
    '--shape: names "image", which is no input of the model',
    'its inputs are picture',
  ],
  [
    'a shape that the model fixes',
    ['compile', tflite, '--shape', 'picture=1,9,9,3'],
    '--shape: gives "picture" the shape [1,9,9,3], the model fixes it to [1,8,8,3]',
    /leaves open/,
  ],

  ['a wrong target', ['compile', model, '--target', 'z80'], '--target: "z80" is not known', `choose from ${TARGETS}`],
  [
    'a wrong target of a plan',
    ['inspect', model, '--target', 'z80'],
    '--target: "z80" is not known',
    `choose from ${TARGETS}`,
  ],
  [
    'a board that is not known',
    ['compile', model, '--board', 'C64'],
    '--board: "C64" is not known',
    /^boards are STM32F412, .*nRF52840/,
  ],
  [
    'weights in no place',
    ['compile', model, '--weights', 'outside'],
    '--weights: "outside" is not known',
    'choose from inside, separate',
  ],
  [
    'threads that no program has',
    ['compile', model, '--threads', '65'],
    '--threads: "65" is not a whole number from 1 to 64',
    'for example --threads 1',
  ],
  [
    'threads of C',
    ['compile', model, '--target', 'c', '--threads', '2'],
    '--threads: is for --target wasm, the target is c',
    'leave it out',
  ],
  [
    'threads that share layers by pieces',
    ['compile', model, '--stage', 'rows', '--threads', '2'],
    'threads: share whole layers, which go neither by pieces nor row by row',
    'leave one out',
  ],
  [
    'threads of no row',
    ['bench', model, '--on', 'host-c', '--threads', '2'],
    '--threads: is for wasm, which is not among --on',
    'add it, or leave --threads out',
  ],
  [
    'weights of C as a file',
    ['compile', model, '--target', 'c', '--weights', 'separate'],
    '--weights: is for --target wasm, the target is c',
    'leave it out',
  ],
  [
    'fused sums for C',
    ['compile', model, '--target', 'c', '--fast'],
    '--fast: is for --target wasm, the target is c',
    'leave it out',
  ],
  [
    'fused sums in a module that is left out',
    ['compile', model, '--fast', '--no-relaxed'],
    '--fast: is for the second WebAssembly module, which is left out',
    'keep both, or weights inside',
  ],
  [
    'scaling of pixels for C',
    ['compile', model, '--target', 'c', '--mean', '127'],
    '--mean: is for --target wasm, the target is c',
    'leave it out',
  ],
  [
    'scaling of pixels that are none',
    ['compile', vectors, '--range', '0..1'],
    '--range: is of pictures, inputs have the shapes [2]',
    /^pictures are of shape/,
  ],
  [
    'scaling of more channels than there are',
    ['compile', model, '--mean', '1,2'],
    '--mean: mean has 2 numbers, the model takes 3 channels',
  ],
  [
    'labels that are too few',
    ['compile', model, '--labels', wall],
    '--labels: has 1 labels, outputs have 5 elements',
    'one label a line, for each element of an output',
  ],
  ['a size of another unit', ['compile', model, '--sram', '256Q'], '--sram: "256Q" is not a size', SIZE],
  ['a size of nothing', ['compile', model, '--sram', '0'], '--sram: "0" is not a size', SIZE],
  ['a size below nothing', ['compile', model, '--sram', '-1'], '--sram: "-1" is not a size', SIZE],
  ['a size beyond all numbers', ['compile', model, '--flash', '99999999G'], '--flash: "99999999G" is not a size', SIZE],
  [
    'a name that C cannot use',
    ['compile', model, '--name', '../x'],
    '--name: "../x" cannot name a C function',
    'use letters, digits and _',
  ],
  [
    'patches of no number',
    ['compile', model, '--stage', 'patches:0x2'],
    '--stage: "patches:0x2" is not known',
    'choose from auto, none, rows, patches',
  ],
  [
    'a stage that is not known',
    ['bench', model, '--stage', 'sideways'],
    '--stage: "sideways" is not known',
    /auto, none, rows/,
  ],
  [
    'an input that is neither held nor streamed',
    ['compile', model, '--input', 'poured'],
    '--input: "poured" is not known',
    'choose from held, streamed, external',
  ],
  [
    'something outside that is not weights',
    ['inspect', model, '--external', 'code'],
    '--external: "code" is not known',
    'choose from none, weights',
  ],
  [
    'reading ahead in a way that is not known',
    ['compile', model, '--target', 'c', '--prefetch', 'all'],
    '--prefetch: "all" is not known',
    'choose from next, none',
  ],
  [
    'a window for weights that are inside',
    ['bench', model, '--window', '8K'],
    '--window: is for weights in slow memory',
    'add --external weights',
  ],
  [
    'a window without a size',
    ['compile', model, '--target', 'c', '--external', 'weights', '--window', 'all'],
    '--window: "all" is not a size',
    SIZE,
  ],
  [
    'a window that a layer does not fit',
    ['inspect', model, '--external', 'weights', '--window', '16'],
    /\w+ "[\w/]+": needs \d+ bytes of constants at a time, the window has 16$/,
    /^a window of \d+ bytes holds every layer that cannot be split further$/,
  ],
  [
    'slow memory for WebAssembly',
    ['compile', model, '--external', 'weights', '-o', none],
    'external: weights is not available for wasm',
    'choose a target that is C',
  ],
  [
    'a project for a machine that no board emulates',
    ['compile', model, '--project'],
    '--project: is not for target wasm',
    'targets are portable, cortex-m4, cortex-m7, cortex-m55',
  ],
  [
    'a limit of instructions where nobody counts them',
    ['compile', model, '--max-instructions', '1M'],
    '--max-instructions: cannot be counted for target wasm',
    'choose --target portable, cortex-m4, cortex-m7, cortex-m55',
  ],
  [
    'a limit of instructions that is no number',
    ['compile', model, '--target', 'cortex-m4', '--max-instructions', 'few'],
    '--max-instructions: "few" is not a count',
    'give a number, or one with K, M or G: 5000000, 5M',
  ],
  [
    'too little RAM',
    ['compile', model, '--sram', '100', '-o', none],
    /needs \d+ bytes of RAM, limit is 100; peak at \w+ "stem" \(\d+ bytes live\)$/,
    /it fits --sram \d+/,
  ],
  [
    'too little flash',
    ['compile', model, '--flash', '64', '-o', none],
    /weights take \d+ bytes of flash, limit is 64 \(code comes on top\)$/,
    /it fits --flash \d+/,
  ],
  [
    'an output folder that is a file',
    ['compile', model, '-o', wall],
    'wall: is in the way: a file, not a folder',
    'name a folder',
  ],
  [
    'an output folder inside a file',
    ['compile', model, '-o', join(wall, 'x')],
    'wall/x: leads through a file, not a folder',
    /another place/,
  ],
  [
    'a file of somebody else',
    ['compile', model, '-o', theirs, '--name', 'x'],
    'theirs/x.wasm: exists and was not written by mote',
    /--force/,
  ],

  ['no input', ['run', model], 'run: no input was given', 'name input files, or --seed 1 for generated inputs'],
  ['a missing input', ['run', model, `${none}.npy`], /^input none\.npy: cannot be read \(ENOENT/],
  [
    'a folder of classes that the model does not have',
    ['run', model, dir],
    /^classes: .*"theirs", the model has 5 outputs$/,
    /./,
  ],
  ['an empty folder', ['run', model, sub], 'folder: holds no files'],
  [
    'an input of one byte too few',
    ['run', model, short],
    /^input short\.bin: the model takes i8\[1, 8, 8, 3\].*, that is 192 bytes, this has 191$/,
    /give raw elements/,
  ],
  [
    'an empty input',
    ['run', model, at('empty.bin', '')],
    /^input empty\.bin: .* 192 bytes, this has 0$/,
    /give raw elements/,
  ],
  [
    'an input of a name that is not ASCII',
    ['run', model, at('größe 数.bin', 'x')],
    /^input größe 数\.bin: .* this has 1$/,
    /give raw/,
  ],
  [
    'an array of another shape',
    ['run', model, at('shape.npy', writeNpy({ dtype: 'i8', shape: [8, 8, 4], data: new Int8Array(256) }))],
    'input shape.npy: has shape [8,8,4], the model takes [1,8,8,3]',
  ],
  [
    'an array of another type',
    ['run', model, at('type.npy', writeNpy({ dtype: 'u8', shape: [8, 8, 3], data: new Uint8Array(192) }))],
    /^input type\.npy: holds u8, the model takes i8\[1, 8, 8, 3\]/,
    /stored values of that type/,
  ],
  ['a cut .npy', ['run', model, at('cut.npy', '\x93NUMPY')], /^input cut\.npy: /, /./],
  ['JSON that holds NaN', ['run', model, at('nan.json', '[NaN]')], /^input nan\.json: is not valid JSON \(.*\)$/],
  [
    'JSON of ragged lists',
    ['run', model, at('ragged.json', '[[1,2],[3]]')],
    'input ragged.json: has lists of different lengths where 2 are expected',
  ],
  ['JSON of text', ['run', model, at('text.json', '["a"]')], 'input text.json: element 0 is "a", not a number'],
  [
    'JSON of too few numbers',
    ['run', model, at('few.json', '[1]')],
    'input few.json: has shape [1], the model takes [1,8,8,3]',
  ],
  [
    'a number that int8 cannot hold',
    ['run', model, at('big.json', JSON.stringify(new Array(192).fill(1000)))],
    'input big.json: element 0 is 1000, those of i8 lie in [-128, 127]',
  ],
  [
    'one file for two inputs',
    ['run', pair, short],
    'run: the model has 2 inputs, files were given for 1',
    /image, features/,
  ],
  [
    'a seed and an input',
    ['run', model, short, '--seed', '1'],
    '--seed: generates the inputs, 1 input files were given as well',
  ],
  [
    'a seed below zero',
    ['run', model, '--seed', '-1'],
    '--seed: "-1" is not a whole number from 0 to 4294967295',
    'for example --seed 1',
  ],
  [
    'a seed of text',
    ['bench', model, '--seed', 'x'],
    '--seed: "x" is not a whole number from 0 to 4294967295',
    'for example --seed 1',
  ],
  ['a range of one number', ['run', model, short, '--range', '1'], '--range: "1" is not of the form 0..1', /-1\.\.1/],
  [
    'a top of nothing',
    ['run', model, '--seed', '1', '--top', '0'],
    /^--top: "0" is not a whole number from 1 to \d+$/,
    'for example --top 1',
  ],
  [
    'too few labels',
    ['run', model, '--seed', '1', '--labels', at('two.txt', 'ant\nbee\n')],
    /has 2 labels, the output has 5 elements/,
  ],
  [
    'labels that are missing',
    ['run', model, '--seed', '1', '--labels', `${none}.txt`],
    'none.txt: no such file',
    /spelling/,
  ],
  [
    'a folder of labels',
    ['run', model, '--seed', '1', '--labels', sub],
    'folder: is a folder, not a file',
    'name a file',
  ],
  [
    'an unknown runner',
    ['run', model, '--seed', '1', '--on', 'gpu'],
    '--on: "gpu" is not known',
    `choose from ${RUNNERS}`,
  ],
  [
    'two runners of one run',
    ['run', model, '--seed', '1', '--on', 'wasm,host-c'],
    '--on: "wasm,host-c" is not known',
    /^choose from/,
  ],
  [
    'outputs as a file of no format',
    ['run', model, '--seed', '1', '--out', 'x.txt'],
    '--out: is "x.txt", expected a name in .npy or .json',
  ],
  ['outputs over the input', ['run', model, right, '--out', right, '--force'], 'right.npy: is an input of this run'],
  [
    'two outputs as one array',
    ['run', pair, '--seed', '1', '--out', `${none}.npy`],
    'none.npy: holds one array, the model has 2 outputs',
    'choose a name in .json',
  ],
  [
    'outputs into no folder',
    ['run', model, '--seed', '1', '--out', join(none, 'x.npy')],
    'none/x.npy: is to be in a folder that does not exist',
    'make the folder first',
  ],

  [
    'an engine beside a board',
    ['bench', model, '--on', 'chromium,reference'],
    '--on: chromium and reference are not timed together',
    'bench them one by one',
  ],
  [
    'a rival that is none',
    ['bench', model, '--against', 'onnxruntime,tensorflow'],
    '--against: "tensorflow" is none',
    'choose from onnxruntime, onnxruntime-web, litert, tfjs-tflite',
  ],
  [
    'rivals on a board',
    ['bench', model, '--on', 'wasm,host-c', '--against', 'onnxruntime'],
    '--against: rivals do not run on host-c',
    'choose --on from wasm, node24, chromium',
  ],
  [
    'a board on a line that is not there',
    ['bench', model, '--on', `wasm,serial:${none}`],
    'none: there is no such device',
    /^(there are \/dev|is the board plugged in)/,
  ],
  [
    'a board on what is no line',
    ['bench', model, '--on', `serial:${right}@9600`],
    'right.npy: is no serial line',
    /^(there are \/dev|is the board plugged in)/,
  ],
  [
    'a rate of a line that is no number',
    ['bench', model, '--on', 'serial:/dev/ttyACM0@fast'],
    '--on: "serial:/dev/ttyACM0@fast" is not a serial line',
    /serial:\/dev\/ttyACM0@115200$/,
  ],
  [
    'a serial line without a name',
    ['bench', model, '--on', 'serial:'],
    '--on: "serial:" is not a serial line',
    /^name the device/,
  ],
  [
    'a server around WebAssembly',
    ['compile', model, '--serve', '-o', join(dir, 'served')],
    '--serve: is for C, not for wasm',
    'choose --target c or a Cortex-M',
  ],
  ['power without a board', ['power', model], '--board: is missing', /^boards are STM32F412, /],
  [
    'power on no board',
    ['power', model, '--board', 'abacus'],
    '--board: "abacus" is not known',
    /^boards are STM32F412, /,
  ],
  [
    'power of nothing an hour',
    ['power', model, '--board', 'STM32F412', '--per-hour', '0'],
    '--per-hour: "0" is not a number from 0.001 to 3,600,000',
    'for example --per-hour 60',
  ],
  [
    'more inferences than fit into an hour',
    ['power', model, '--board', 'STM32F412', '--cycles', '100M', '--per-hour', '7200'],
    '--per-hour: 7,200 an hour take 2.00 hours of each, at 1.00 s a run',
    /^ask for fewer, or put a gate before the model/,
  ],
  [
    'a battery without a unit',
    ['power', model, '--board', 'STM32F412', '--battery', '220'],
    '--battery: "220" is not a number with a unit',
    'for example --battery 220mAh',
  ],
  [
    'a current of the wrong kind',
    ['power', model, '--board', 'STM32F412', '--sleep-current', '3uAh'],
    '--sleep-current: "3uAh" is not a number with a unit',
    'for example --sleep-current 3uA',
  ],
  [
    'a clock that stands still',
    ['power', model, '--board', 'STM32F412', '--clock', '0MHz'],
    '--clock: "0MHz" is not a number with a unit',
    'for example --clock 80MHz',
  ],
  [
    'a rate of waking without a gate',
    ['power', model, '--board', 'STM32F412', '--wake-rate', '0.1'],
    '--wake-rate: needs --gate-cost beside it',
    /--gate-cost 2ms --wake-rate 0.05$/,
  ],
  [
    'a gate that never says whether it wakes',
    ['power', model, '--board', 'STM32F412', '--gate-cost', '1ms'],
    '--gate-cost: needs --wake-rate beside it',
    /--gate-cost 2ms --wake-rate 0.05$/,
  ],
  [
    'a rate of waking above one',
    ['power', model, '--board', 'STM32F412', '--gate-cost', '1ms', '--wake-rate', '5%'],
    '--wake-rate: "5%" is not a number from 0 to 1',
    'for example --wake-rate 0.05',
  ],
  [
    'a gate whose cost is no time',
    ['power', model, '--board', 'STM32F412', '--gate-cost', '2mJ', '--wake-rate', '0.05'],
    '--gate-cost: "2mJ" is not a number with a unit',
    'for example --gate-cost 2ms',
  ],
  [
    'a misspelt flag of power',
    ['power', model, '--per-hours', '3'],
    "mote power: unknown option '--per-hours'",
    'Did you mean --per-hour?',
  ],
  ['a benchmark on nothing', ['bench', model, '--on', ''], '--on: "" is not known', /^choose from/],
  [
    'no runs',
    ['bench', model, '--runs', '0'],
    '--runs: "0" is not a whole number from 1 to 1000000',
    'for example --runs 1',
  ],
  [
    'a page over a model',
    ['inspect', model, '--html', tflite],
    'whole.tflite: exists and is no page that mote wrote',
    OTHER,
  ],
  ['a page over a folder', ['inspect', model, '--html', sub], 'folder: is a folder, not a file', 'name a file'],
  [
    'a conversion without an output',
    ['convert', model],
    '--output: is "", expected a name that ends in .onnx or .tflite',
  ],
  [
    'a conversion to another format',
    ['convert', model, '-o', 'x.h5'],
    '--output: is "x.h5", expected a name that ends in .onnx or .tflite',
  ],
  [
    'a conversion over the model itself',
    ['convert', tflite, '-o', tflite, '--force'],
    'whole.tflite: is the model itself',
    'choose another name',
  ],
  ['a conversion over a file', ['convert', model, '-o', page], 'page.tflite: exists', OTHER],
  [
    'a conversion into no folder',
    ['convert', model, '-o', join(none, 'x.tflite')],
    'none/x.tflite: is to be in a folder that does not exist',
    'make the folder first',
  ],
]

/** `toMatch` of a text takes any part of it; what is said is the whole. */
function expectSaid(said: string | undefined, wanted: string | RegExp | undefined): void {
  if (typeof wanted === 'object') expect(said).toMatch(wanted)
  else expect(said).toBe(wanted)
}

const CASES = BAD.map(([what, line, says, hint]) => ({ what, line, says, hint }))

test.each(CASES)('$what is one error with exit code 1, as text and as JSON', async ({ line, says, hint }) => {
  const text = await typed(...line)
  expect([text.code, text.out]).toEqual([1, ''])
  const [said, hinted, ...more] = text.err.replaceAll(`${dir}/`, '').trimEnd().split('\n')
  expectSaid(said, says)
  expectSaid(hinted?.replace(/^ {2}hint: /, ''), hint)
  expect(more).toEqual([])

  const json = await typed(line[0], '--json', ...line.slice(1))
  expect([json.code, json.err]).toEqual([1, text.err])
  const { error } = JSON.parse(json.out)
  expect(`${error.message}${error.hint ? `\n  hint: ${error.hint}` : ''}\n`).toBe(text.err)
  if (error.where) expect(error.message.startsWith(`${error.where}: `)).toBe(true)
})

test.skipIf(process.getuid?.() === 0)('what may not be read or written is named (not as root)', async () => {
  const locked = join(dir, 'locked')
  mkdirSync(locked, { mode: 0o500 })
  const secret = at('secret.tflite', bytes)
  chmodSync(secret, 0)
  expect((await typed('inspect', secret)).err).toMatch(/secret\.tflite: permission denied\n {2}hint: /)
  expect((await typed('compile', model, '-o', locked)).err).toMatch(/locked\/.*: permission denied\n {2}hint: /)
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
