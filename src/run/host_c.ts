// Runs generated C on the machine at hand: compiles it with a small main that reads tensors from its standard input and
// writes tensors to its standard output. Each run is a process; state tensors travel in and out with it.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { preamble } from '../emit/c/arithmetic.ts'
import { kernelText } from '../emit/c/kernel.ts'
import { C_TYPE } from '../emit/c/number.ts'
import { emitC } from '../emit/c/program.ts'
import { bug, ToolError } from '../errors.ts'
import { bytesOf, type Value } from '../ir/graph.ts'
import { count, type Data, elemBytes, elemOfData, type Kernel, newData } from '../loops/ir.ts'
import { kernelKey } from '../loops/print.ts'
import { pushedInput } from '../plan/external.ts'
import type { Place, Plan } from '../plan/plan.ts'
import { checkInputs } from './check.ts'
import { inDirectory, isInstalled, runTool } from './host_tool.ts'
import type { RunningModel } from './model.ts'
import { bytesOfElements, elementsOfBytes } from './stored.ts'

const HINT = 'apt-get install gcc'

export interface HostOptions {
  /** Default: $CC, or the first of gcc, cc and clang that is installed. */
  readonly compiler?: string
  /** Default: -std=c99 -O2. */
  readonly flags?: readonly string[]
}

/** Flags under which generated code compiles without a warning. */
export const STRICT: readonly string[] = [
  ...['-std=c99', '-O1', '-Wall', '-Wextra', '-Wconversion', '-Wsign-conversion', '-Wshadow', '-Wpedantic', '-Werror'],
]
/** Flags that stop the program at undefined behaviour. */
export const SANITIZED: readonly string[] = [
  ...['-std=c99', '-O0', '-fsanitize=undefined,address', '-fno-sanitize-recover=all'],
]

/** The C compiler of this machine, if there is one. */
export function hostCompiler(): string | undefined {
  const { CC } = process.env
  return [...(CC ? [CC] : []), 'gcc', 'cc', 'clang'].find(isInstalled)
}

/** The compiled program's bytes. */
export function build(files: readonly { name: string; text: string }[], options: HostOptions): Uint8Array {
  const compiler = options.compiler ?? hostCompiler()
  if (!compiler) throw new ToolError('host-c', 'no C compiler found; tried gcc, cc and clang', HINT)
  const sources = files.map((f) => f.name).filter((n) => n.endsWith('.c'))
  const flags = options.flags ?? ['-std=c99', '-O2']
  return inDirectory(files, (directory) => {
    runTool(compiler, [...flags, '-o', 'program', ...sources], { directory, hint: HINT })
    return readFileSync(join(directory, 'program'))
  })
}

export function execute(program: Uint8Array, input: Uint8Array): Uint8Array {
  return inDirectory([], (directory) => {
    const path = join(directory, 'program')
    writeFileSync(path, program, { mode: 0o755 })
    return runTool(path, [], { input })
  })
}

function bytesIn(data: Data): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0))
  let at = 0
  for (const p of parts) {
    all.set(p, at)
    at += p.length
  }
  return all
}

/** Takes arrays off the front of a program's output. */
class Reader {
  private readonly bytes: Uint8Array
  private at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  into(data: Data): void {
    const to = bytesIn(data)
    if (this.at + to.length > this.bytes.length)
      bug(`the program wrote ${this.bytes.length} bytes, ${this.at + to.length} are wanted`)
    to.set(this.bytes.subarray(this.at, this.at + to.length))
    this.at += to.length
  }

  value(v: Value): Data {
    const bytes = new Uint8Array(bytesOf(v.type))
    this.into(bytes)
    return elementsOfBytes(v.type, bytes)
  }
}

/** What a trace shows of each node: the steps to run, then the values to write. */
function traceOf(plan: Plan): { first: number; end: number; values: Value[] }[] {
  let step = 0
  const rows = plan.graph.nodes.map((node) => {
    const first = step
    while (step < plan.steps.length && plan.steps[step].node === node) step++
    const later = node.receives && plan.external?.input // not there before the next step
    const values = later ? [] : node.outputs.filter((v) => plan.places.has(v))
    return { first, end: step, values }
  })
  if (step !== plan.steps.length) bug('steps are not in the order of the nodes')
  return rows
}

const STDIO = `static void get(void *p, size_t bytes) {
  if (bytes && fread(p, 1, bytes, stdin) != bytes) exit(9);
}

static void put(const void *p, size_t bytes) {
  if (bytes && fwrite(p, 1, bytes, stdout) != bytes) exit(9);
}
`

/** Slow memory whose copies are there when they are waited for, and not before. */
const LATE = `
typedef struct {
  const uint8_t *from;
  uint32_t offset;
  void *to;
  uint32_t bytes;
} late;

static int late_read(void *context, uint32_t offset, void *to, uint32_t bytes) {
  late *copy = (late *)context;
  if (copy->to) exit(7);
  copy->offset = offset;
  copy->to = to;
  copy->bytes = bytes;
  memset(to, 0xee, bytes);
  return 0;
}

static int late_wait(void *context) {
  late *copy = (late *)context;
  if (!copy->to) exit(6);
  memcpy(copy->to, copy->from + copy->offset, copy->bytes);
  copy->to = NULL;
  return 0;
}
`

function mainOf(plan: Plan, name: string): string {
  const UP = name.toUpperCase()
  const at = (p: Place) =>
    p.segment === 'arena' ? `model.arena + ${p.offset}` : `(const uint8_t *)model.weights + ${p.offset}`
  const move = (f: 'get' | 'put', p: Place) => `${f}(${at(p)}, ${p.bytes});`
  const placeOf = (v: Value) => plan.places.get(v) ?? bug(`value "${v.name}" has no place`)
  const { streamed, external } = plan
  const slow = [...(external?.weights ? [`${name}_image`] : []), ...(external?.input ? ['image'] : [])]
  const hooks = slow.map((_, i) => `, &slow${i}`)
  const arrivals = (first: number, end: number) =>
    (pushedInput(plan)?.rows ?? []).flatMap((row, r) =>
      row && row.before >= first && row.before < end
        ? [`      memcpy(${at(row.place)}, image + ${r * streamed!.rowBytes}, ${streamed!.rowBytes});`]
        : [],
    )
  const push = `      for (int r = 0; r < ${UP}_ROWS; r++) ${name}_push_row(&model, image + r * ${UP}_ROW_BYTES, ${UP}_ROW_BYTES);${plan.learning ? `\n      ${name}_run_layers(&model, ${UP}_PREDICTED, ${UP}_LAYERS);` : ''}`
  const traced = traceOf(plan).flatMap(({ first, end, values }) => [
    ...arrivals(first, end),
    ...(end > first ? [`      ${name}_run_layers(&model, ${first}, ${end});`] : []),
    ...values.map((v) => `      ${move('put', placeOf(v))}`),
  ])
  return `#include "${name}.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

${STDIO}
static uint8_t arena[${plan.arenaBytes || 1}] __attribute__((aligned(64)));
${streamed ? `static uint8_t image[${bytesOf(streamed.input.type)}];\n` : ''}${external ? LATE : ''}
int main(void) {
  ${name}_t model;
  int32_t head[3]; /* runs, trace, state follows */
${slow.map((from, i) => `  late copy${i} = {${from}, 0, NULL, 0};\n  const mote_memory_t slow${i} = {late_read, late_wait, &copy${i}};\n`).join('')}  memset(arena, 0xa5, sizeof arena);
  if (${name}_init(&model, arena, NULL${hooks.join('')}) != 0 || ${UP}_LAYERS != ${plan.steps.length}) return 8;
  get(head, sizeof head);
  if (head[2]) {
${plan.state.map((s) => `    ${move('get', s.place)}`).join('\n')}
  }
  for (int32_t i = 0; i < head[0]; i++) {
${plan.graph.inputs.map((v) => (v === streamed?.input ? '    get(image, sizeof image);' : `    ${move('get', placeOf(v))}`)).join('\n')}
    if (head[1]) {
${traced.join('\n')}
    } else {
${pushedInput(plan) ? push : `      ${name}_run(&model);`}
    }
${plan.graph.outputs.map((v) => `    ${move('put', placeOf(v))}`).join('\n')}
  }
${plan.state.map((s) => `  ${move('put', s.place)}`).join('\n')}
  return 0;
}
`
}

export interface HostModel extends RunningModel {
  /** Many runs, one after the other, in one process. */
  runMany(inputs: readonly (readonly Data[])[]): Data[][]
}

/** Compiles the plan's C. Throws ToolError where there is no compiler. */
export function runHostC(plan: Plan, options: HostOptions = {}): HostModel {
  const name = 'model'
  const program = build([...emitC(plan, name).files, { name: 'host_main.c', text: mainOf(plan, name) }], options)
  const { inputs, outputs } = plan.graph
  const traced = traceOf(plan).flatMap(({ values }) => values)
  let state: Uint8Array[] | undefined

  const go = (runs: readonly (readonly Data[])[], trace: boolean) => {
    for (const given of runs) checkInputs(inputs, given)
    const head = Int32Array.of(runs.length, trace ? 1 : 0, state ? 1 : 0)
    const output = execute(
      program,
      concat([
        bytesIn(head),
        ...(state ?? []),
        ...runs.flatMap((given) => given.map((data, i) => bytesOfElements(inputs[i].type, data))),
      ]),
    )
    const reader = new Reader(output)
    const results = runs.map(() => ({
      tensors: trace ? traced.map((value) => ({ value, data: reader.value(value) })) : [],
      outputs: outputs.map((v) => reader.value(v)),
    }))
    state = plan.state.map(({ place }) => {
      const bytes = new Uint8Array(place.bytes)
      reader.into(bytes)
      return bytes
    })
    return results
  }
  return {
    inputs: inputs.map(({ name, type }) => ({ name, type })),
    outputs: outputs.map(({ name, type }) => ({ name, type })),
    run: (given) => go([given], false)[0].outputs,
    runMany: (runs) => go(runs, false).map((r) => r.outputs),
    trace: (given) => go([given], true)[0],
    reset() {
      state = undefined
    },
  }
}

export interface KernelRun {
  readonly kernel: Kernel
  /** One typed array for each buffer, scratch included; those that the kernel may write are updated in place. */
  readonly args: readonly Data[]
}

/** The kernels as one C file with a main that runs them in turn. */
function kernelsFile(runs: readonly KernelRun[]): string {
  const names = new Map<string, string>()
  const texts: string[] = []
  const uses = new Set<string>()
  let floats = false
  const calls = runs.map(({ kernel, args }, i) => {
    if (args.length !== kernel.bufs.length) bug(`kernel has ${kernel.bufs.length} buffers, ${args.length} arrays given`)
    const key = kernelKey(kernel)
    let id = names.get(key)
    if (!id) {
      id = `kernel_${i}`
      names.set(key, id)
      const printed = kernelText(kernel, id)
      texts.push(printed.text)
      for (const u of printed.uses) uses.add(u)
      floats ||= printed.floats
    }
    const pointers = kernel.bufs.map((buf, k) => {
      if (elemOfData(args[k]) !== buf.elem || args[k].length !== count(buf.shape))
        bug(`buffer "${buf.name}" is ${buf.elem}[${buf.shape}], array is ${elemOfData(args[k])}[${args[k].length}]`)
      return `(${C_TYPE[buf.elem]} *)b[${k}]`
    })
    const sizes = kernel.bufs.map((buf) => count(buf.shape) * elemBytes(buf.elem))
    return `static void run_${i}(void) {
  static const size_t bytes[] = {${sizes.join(', ')}};
  void *b[${sizes.length}];
  for (int k = 0; k < ${sizes.length}; k++) {
    b[k] = malloc(bytes[k] ? bytes[k] : 1);
    get(b[k], bytes[k]);
  }
  ${id}(${pointers.join(', ')});
  for (int k = 0; k < ${sizes.length}; k++) {
    put(b[k], bytes[k]);
    free(b[k]);
  }
}
`
  })
  return `#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

${preamble(uses, floats)}
${texts.join('\n')}
${STDIO}
${calls.join('\n')}
int main(void) {
${floats ? '  if (!rounds_products()) return 8;\n' : ''}${runs.map((_, i) => `  run_${i}();`).join('\n')}
  return 0;
}
`
}

/** Compiles all kernels into one program and runs each on its arrays. */
export function runKernelsHostC(runs: readonly KernelRun[], options: HostOptions = {}): void {
  if (runs.length === 0) return
  const program = build([{ name: 'kernels.c', text: kernelsFile(runs) }], options)
  const reader = new Reader(execute(program, concat(runs.flatMap(({ args }) => args.map(bytesIn)))))
  for (const { kernel, args } of runs)
    kernel.bufs.forEach((buf, k) => {
      reader.into(buf.access === 'read' ? newData(buf.elem, args[k].length) : args[k])
    })
}

/** `runKernelsHostC` of one kernel. */
export function runKernelHostC(kernel: Kernel, args: readonly Data[], options: HostOptions = {}): void {
  runKernelsHostC([{ kernel, args }], options)
}
