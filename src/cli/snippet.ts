// How to call a program, in a few lines with the model's own names and shapes: C as its header declares it, or JavaScript as
// the loader beside the module exports it.

import { hooksOf } from '../emit/c/external.ts'
import { C_TYPE } from '../emit/c/number.ts'
import { portNames } from '../emit/c/program.ts'
import { jsPorts } from '../emit/js/ports.ts'
import type { Program } from '../emit/program.ts'
import type { Description } from '../import/tflite_metadata.ts'
import { elemOf, type Value } from '../ir/graph.ts'
import { count } from '../loops/ir.ts'
import { pushedInput } from '../plan/external.ts'

/** A name from a model file, as a comment on one line. */
const said = (v: Value) =>
  `${v.name
    .replace(/[^ -~]/g, '?')
    .replaceAll('*/', '* /')
    .slice(0, 40)} [${v.type.shape.join(', ')}]`

/** Lines that run the program once. */
export function snippet({ name, plan, wasm }: Program, described?: Description): string[] {
  const { outputs } = plan.graph
  const inputs = plan.graph.inputs.filter((v) => v !== plan.streamed?.input)
  if (wasm) {
    const ports = jsPorts(plan.graph, described)
    const keys = (list: typeof ports.inputs) => list.map((p) => p.key).join(', ')
    return [
      `import { load } from './${name}.js'   // './${name}.worker.js': in a worker, and await model.run`,
      'const model = await load()',
      ...ports.inputs.map((p) => `const ${p.key} = new ${p.array}(${p.length})   // ${said(p.value)}`),
      `const { ${keys(ports.outputs)} } = model.run({ ${keys(ports.inputs)} })   // ${outputs.map(said).join('; ')}`,
    ]
  }
  const upper = name.toUpperCase()
  const hooks = plan.external ? hooksOf(plan.external) : []
  const type = (v: Value) => C_TYPE[elemOf(v.type.dtype) ?? 'u8']
  const [ins, outs] = [portNames('input', inputs), portNames('output', outputs)]
  return [
    `#include "${name}.h"`,
    `static uint64_t arena[(${upper}_ARENA_BYTES + 7) / 8];`,
    `static ${name}_t model;`,
    ...hooks.map((hook) => `const mote_memory_t ${hook} = {read_${hook}, 0, 0};   /* slow memory: yours to read */`),
    `${name}_init(&model, arena, 0${hooks.map((hook) => `, &${hook}`).join('')});   /* once; returns 0 when ready */`,
    ...inputs.map(
      (v, i) => `${type(v)} *${ins[i]} = ${name}_${ins[i]}(&model);   /* write ${count(v.type.shape)}: ${said(v)} */`,
    ),
    pushedInput(plan)
      ? `while (${name}_push_row(&model, row, ${upper}_ROW_BYTES) == 0);   /* each time the next row */`
      : `${name}_run(&model);`,
    ...outputs.map(
      (v, i) =>
        `const ${type(v)} *${outs[i]} = ${name}_${outs[i]}(&model);   /* read ${count(v.type.shape)}: ${said(v)} */`,
    ),
  ]
}
