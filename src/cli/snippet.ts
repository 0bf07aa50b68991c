// How to call a program, in a few lines with the model's own names and shapes: C as its header declares it, or JavaScript as
// the loader beside the module exports it.

import { C_TYPE } from '../emit/c/number.ts'
import { portNames } from '../emit/c/program.ts'
import type { Program } from '../emit/program.ts'
import { elemOf, type Value } from '../ir/graph.ts'
import { count } from '../loops/ir.ts'
import { arrayOf } from './loader.ts'

/** A name from a model file, as a comment on one line. */
const said = (v: Value) =>
  `${v.name
    .replace(/[^ -~]/g, '?')
    .replaceAll('*/', '* /')
    .slice(0, 40)} [${v.type.shape.join(', ')}]`

/** Lines that run the program once. */
export function snippet({ name, plan, wasm }: Program): string[] {
  const { inputs, outputs } = plan.graph
  if (wasm)
    return [
      `import { readFile } from 'node:fs/promises'`,
      `import { load } from './${name}.mjs'`,
      `const model = await load(readFile('${name}.wasm'))   // in a browser: fetch('${name}.wasm')`,
      ...inputs.map((v, i) => `const in${i} = new ${arrayOf(v)}(${count(v.type.shape)})   // ${said(v)}`),
      `const [${outputs.map((_, i) => `out${i}`).join(', ')}] = model.run(${inputs.map((_, i) => `in${i}`).join(', ')})   // ${outputs.map(said).join('; ')}`,
    ]
  const upper = name.toUpperCase()
  const type = (v: Value) => C_TYPE[elemOf(v.type.dtype) ?? 'u8']
  const [ins, outs] = [portNames('input', inputs), portNames('output', outputs)]
  return [
    `#include "${name}.h"`,
    `static uint64_t arena[(${upper}_ARENA_BYTES + 7) / 8];`,
    `static ${name}_t model;`,
    `${name}_init(&model, arena, 0);   /* once; returns 0 when ready */`,
    ...inputs.map(
      (v, i) => `${type(v)} *${ins[i]} = ${name}_${ins[i]}(&model);   /* write ${count(v.type.shape)}: ${said(v)} */`,
    ),
    `${name}_run(&model);`,
    ...outputs.map(
      (v, i) =>
        `const ${type(v)} *${outs[i]} = ${name}_${outs[i]}(&model);   /* read ${count(v.type.shape)}: ${said(v)} */`,
    ),
  ]
}
