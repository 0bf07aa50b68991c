// Plan -> one C99 file and its header: a function for each distinct kernel, the weight segment as a struct that can be
// replaced at init, and a switch over the steps. The only memory is the caller's arena.

import { layer } from '../../ir/build.ts'
import { elemOf, inputsOf, printTensorType, type Value } from '../../ir/graph.ts'
import { count, type Elem, elemBytes, type Kernel } from '../../loops/ir.ts'
import { kernelKey } from '../../loops/print.ts'
import { visit } from '../../loops/walk.ts'
import { pushedInput } from '../../plan/external.ts'
import type { Place, Plan, Step, StreamedInput } from '../../plan/plan.ts'
import { INLINE_NAMES, preamble } from './arithmetic.ts'
import {
  initText as externalInit,
  externalNames,
  externalText,
  hookFields,
  hookParameters,
  hookType,
  imageDeclarations,
  imageFile,
  imageMacros,
  initNotes,
  resetText,
} from './external.ts'
import { broken, kernelText, MACHINE_TEST, type RoutineUse } from './kernel.ts'
import { LEARN_FIELDS, learnDeclarations, learnMacros, learnNames, learnText } from './learn.ts'
import { comment, identifier, identifiers } from './names.ts'
import { C_TYPE } from './number.ts'
import { stateText } from './state.ts'
import { initialiser, layoutCheck, type Member, membersOf, structText } from './weights.ts'

export { identifier }

export interface CFile {
  readonly name: string
  readonly text: string
}

/** The element in which C sees a value; packed types are bytes. */
function elemOfValue(v: Value): Elem {
  return elemOf(v.type.dtype) ?? 'u8'
}

function stepTitle(step: Step): string {
  const types = (values: readonly Value[]) =>
    values.map((v) => printTensorType({ ...v.type, quant: undefined })).join(', ')
  const { node } = step
  const from = node.from.length > 60 ? `${node.from.slice(0, 57)}...` : node.from
  return comment(`${layer({ ...node, from })}: ${types(inputsOf(node))} -> ${types(node.outputs)}`)
}

/** Alignment in bytes that the arena and the weights need. */
function alignOf(plan: Plan): number {
  const elems = plan.steps.flatMap((s) => s.call.kernel.bufs.map((b) => elemBytes(b.elem)))
  return Math.max(plan.target.align, ...elems)
}

/** The shortest decimal that rounds to the float32. */
function decimalFloat(value: number): string {
  for (let digits = 1; digits < 9; digits++) {
    const text = value.toPrecision(digits)
    if (Math.fround(Number(text)) === Math.fround(value)) return floatSpelling(text)
  }
  return floatSpelling(value.toPrecision(9))
}

function floatSpelling(text: string): string {
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`
}

/** `input`, or `input0`, `input1`, … where there are several. */
export function portNames(kind: 'input' | 'output', values: readonly Value[]): string[] {
  return values.map((_, i) => (values.length === 1 ? kind : `${kind}${i}`))
}

function accessors(plan: Plan, name: string): { value: Value; head: string; port: string }[] {
  const { outputs } = plan.graph
  const inputs = plan.graph.inputs.filter((v) => v !== plan.streamed?.input)
  const inputPorts = portNames('input', inputs)
  const outputPorts = portNames('output', outputs)
  return [
    ...inputs.map((value, i) => ({
      value,
      port: inputPorts[i],
      head: `${C_TYPE[elemOfValue(value)]} *${name}_${inputPorts[i]}(const ${name}_t *m)`,
    })),
    ...outputs.map((value, i) => ({
      value,
      port: outputPorts[i],
      head: `const ${C_TYPE[elemOfValue(value)]} *${name}_${outputPorts[i]}(const ${name}_t *m)`,
    })),
  ]
}

/** What else a function returns that reads slow memory. */
function faultNote({ external }: Plan, at: string): string {
  return external ? `, ${at}` : ''
}

function runDeclaration(plan: Plan, name: string): string {
  return `/*
 * Computes the outputs. Inputs must be written again before each run: their bytes are reused.
 * Returns 0, -1 before init${faultNote(plan, 'or what a hook returned: then there are no outputs')}.
 */
int ${name}_run(${name}_t *m);
`
}

function pushDeclaration(plan: Plan, { input }: StreamedInput, name: string): string {
  const UP = name.toUpperCase()
  return `/*
 * Takes the next of ${UP}_ROWS rows of ${comment(input.name)} (bytes: ${UP}_ROW_BYTES) and computes what it makes
 * possible. Returns 0: go on with the next row, 1: the outputs are ready and the next row begins another run,
 * -1 before init, -2 where there is no row or bytes is another number${faultNote(plan, '-3 where a hook failed: the next row is the first')}.
 */
int ${name}_push_row(${name}_t *m, const void *row, size_t bytes);
`
}

/** The end of the steps that may run once each row is there. */
function endsOf({ rows }: StreamedInput, steps: number): number[] {
  const ends = new Array<number>(rows.length)
  let end = steps
  for (let r = rows.length - 1; r >= 0; r--) {
    ends[r] = end
    end = rows[r]?.before ?? end
  }
  return ends
}

function pushText(plan: Plan, streamed: StreamedInput, name: string): string {
  const UP = name.toUpperCase()
  const ends = endsOf(streamed, plan.learning?.predicted ?? plan.steps.length)
  const rows = streamed.rows.map((row, r) => `{${row ? row.place.offset : '0xffffffffu'}, ${ends[r]}}`)
  return `int ${name}_push_row(${name}_t *m, const void *row, size_t bytes) {
  static const struct {
    uint32_t place; /* in the arena, or none: no layer reads the row */
    int end;
  } rows[${UP}_ROWS] = {
${broken(`    ${rows.join(', ')}`, '    ').join('\n')}
  };
  if (!m->arena) return -1;
  if (!row || bytes != ${UP}_ROW_BYTES) return -2;
  if (rows[m->row].place != 0xffffffffu) memcpy(m->arena + rows[m->row].place, row, bytes);
${plan.external ? `  if (${name}_run_layers(m, m->step, rows[m->row].end)) {\n    m->row = 0;\n    m->step = 0;\n    return -3;\n  }` : `  ${name}_run_layers(m, m->step, rows[m->row].end);`}
  m->step = rows[m->row].end;
  if (++m->row < ${UP}_ROWS) return 0;
  m->row = 0;
  m->step = 0;
${plan.learning ? '  m->ready = 1;\n' : ''}  return 1;
}
`
}

function headerText(plan: Plan, name: string, members: readonly Member[]): string {
  const UP = name.toUpperCase()
  const ports = accessors(plan, name).flatMap(({ value, port }) => {
    const { shape, quant } = value.type
    const macro = `${UP}_${port.toUpperCase()}`
    const lines = [
      `/* ${comment(`${value.name}: ${printTensorType(value.type)}`)} */`,
      `#define ${macro}_COUNT ${count(shape)}`,
      `#define ${macro}_DIMS ${shape.length}`,
      `#define ${macro}_SHAPE {${shape.length ? shape.join(', ') : 1}}`,
    ]
    if (quant?.scale.length === 1)
      lines.push(
        `#define ${macro}_SCALE ${decimalFloat(quant.scale[0])}`,
        `#define ${macro}_ZERO_POINT ${quant.zero[0]}`,
      )
    return lines
  })
  if (plan.streamed)
    ports.push(
      `/* ${comment(`${plan.streamed.input.name}: ${printTensorType(plan.streamed.input.type)}, row by row`)} */`,
      `#define ${UP}_ROWS ${plan.streamed.rows.length}`,
      `#define ${UP}_ROW_BYTES ${plan.streamed.rowBytes}`,
    )
  if (plan.external) ports.push(...imageMacros(plan.external, name))
  if (plan.learning) ports.push(...learnMacros(plan.learning, name))
  const pushed = pushedInput(plan)
  const declarations = accessors(plan, name).map(({ head }) => `${head};`)
  return `/* ${comment(plan.graph.name)}: ${plan.macs} multiply-accumulates, ${plan.arenaBytes} bytes of RAM, ${plan.weightBytes} bytes of weights. */
#ifndef MOTE_${UP}_H
#define MOTE_${UP}_H

${pushed ? '#include <stddef.h>\n' : ''}#include <stdint.h>

#define ${UP}_ARENA_BYTES ${plan.arenaBytes}
#define ${UP}_ARENA_ALIGN ${alignOf(plan)}
#define ${UP}_LAYERS ${plan.steps.length}
#define ${UP}_WEIGHTS_BYTES ${plan.weightBytes}
/* Weights of equal layout are interchangeable; the hash (FNV-1a) tells two of them apart. */
#define ${UP}_WEIGHTS_LAYOUT 0x${plan.weights.layoutId}u
#define ${UP}_WEIGHTS_HASH 0x${plan.weights.hash}u
${ports.join('\n')}

#ifdef __cplusplus
extern "C" {
#endif

${structText(`${name}_weights_t`, members)}
${plan.external ? hookType() : ''}typedef struct {
  uint8_t *arena;
  const ${name}_weights_t *weights;
${pushed ? '  int row, step; /* which row comes next, and which layer */\n' : ''}${plan.learning ? LEARN_FIELDS : ''}${plan.external ? hookFields(plan.external) : ''}} ${name}_t;

extern const ${name}_weights_t ${name}_weights;

/*
 * Binds the arena (${UP}_ARENA_BYTES bytes) and the weights (NULL: the built-in ones). Returns 0, or
 * 1 where there is no arena, or it is not aligned to ${UP}_ARENA_ALIGN bytes; 2 where the weights are not;
 * 3 where the compiler was told to fuse float operations, so that results would differ from the model's.
${
  plan.external
    ? `${initNotes(plan.external)
        .map((line) => ` * ${line}\n`)
        .join('')}`
    : ''
} * After another number than 0, as in a ${name}_t of zeros, the functions below do nothing, and there are no tensors.
 */
int ${name}_init(${name}_t *m, void *arena, const ${name}_weights_t *weights${hookParameters(plan.external)});

/* Puts tensors that live between runs back to what they start from. */
void ${name}_reset(${name}_t *m);

${plan.external ? imageDeclarations(plan.external, name) : ''}${pushed ? pushDeclaration(plan, pushed, name) : runDeclaration(plan, name)}
${plan.learning ? learnDeclarations(plan.learning, name, pushed !== undefined) : ''}/* Runs layers first to end - 1, those of them that are among ${UP}_LAYERS. */
int ${name}_run_layers(${name}_t *m, int first, int end);

${declarations.join('\n')}

#ifdef __cplusplus
}
#endif

#endif
`
}

/** Expressions for places, given `a` (the arena) and `w` (the weights) in scope. */
class Places {
  private readonly members: ReadonlyMap<number, Member>

  constructor(members: readonly Member[]) {
    this.members = new Map(members.filter((m) => m.entry).map((m) => [m.offset, m]))
  }

  pointer(place: Place, elem: Elem, arena = 'a', weights = 'w'): string {
    if (place.segment === 'weights') {
      const member = this.members.get(place.offset)
      if (member?.elem === elem) return `${weights}->${member.name}`
      return `(const ${C_TYPE[elem]} *)((const uint8_t *)${weights} + ${place.offset})`
    }
    const at = place.offset === 0 ? arena : `${arena} + ${place.offset}`
    if (elem === 'u8') return at
    return `(${C_TYPE[elem]} *)${place.offset === 0 ? at : `(${at})`}`
  }
}

const ASSEMBLY = `#if defined(__clang__)
#define MOTE_ASM __attribute__((naked, noinline))
#elif defined(__GNUC__)
#define MOTE_ASM __attribute__((naked, noipa))
#endif
#if defined(__GNUC__)
#define MOTE_UNUSED __attribute__((unused))
#endif
`

function routineNames(kernel: Kernel): string[] {
  const names: string[] = []
  visit(kernel.body, (s) => {
    if (s.s === 'asm') names.push(s.routine.name)
  })
  return names
}

function initText(plan: Plan, name: string, floats: boolean): string {
  const UP = name.toUpperCase()
  const misaligned = (p: string) => `((uintptr_t)${p} & (${UP}_ARENA_ALIGN - 1)) != 0`
  const { lines: copies, functions } = stateText(plan)
  const { external } = plan
  if (external) copies.push(...resetText(name).map((line) => `  ${line}`))
  const guard = copies.length ? ['  if (!m->arena) return;'] : []
  return `${functions}int ${name}_init(${name}_t *m, void *arena, const ${name}_weights_t *weights${hookParameters(external)}) {
  m->arena = NULL;
  m->weights = weights ? weights : &${name}_weights;
  if (!arena || ${misaligned('arena')}) return 1;
  if (${misaligned('m->weights')}) return 2;
${floats ? '  if (!rounds_products()) return 3;\n' : ''}${external ? externalInit(external, name) : ''}  m->arena = (uint8_t *)arena;
  ${name}_reset(m);
  return 0;
}

void ${name}_reset(${name}_t *m) {
${[...guard, ...copies, ...(pushedInput(plan) ? ['  m->row = 0;', '  m->step = 0;'] : []), ...(plan.learning ? ['  m->ready = 0;'] : [])].join('\n') || '  (void)m;'}
}
`
}

/** Whether a step writes bytes that it also sees as another type of more than one byte. */
function sharesBytes({ call, places }: Step): boolean {
  return call.kernel.bufs.some(
    (b, i) =>
      b.access !== 'read' &&
      call.kernel.bufs.some((c, k) => {
        const [p, q] = [places[i], places[k]]
        const overlap = p.segment === q.segment && p.offset < q.offset + q.bytes && q.offset < p.offset + p.bytes
        return overlap && b.elem !== c.elem && elemBytes(b.elem) > 1 && elemBytes(c.elem) > 1
      }),
  )
}

/** The routine as a function without any code of the compiler's. */
function routineText({ routine, addresses }: RoutineUse): string {
  const parameters = addresses.map((address, i) => `MOTE_UNUSED ${address ? 'const void *' : 'int32_t '}a${i}`)
  const lines = routine.text.split('\n').map((line) => `    "${line}\\n"`)
  return `#if ${MACHINE_TEST[routine.machine]}
static MOTE_ASM void ${routine.name}(${parameters.join(', ')}) {
  __asm__ volatile(
${lines.join('\n')}
  );
}
#endif
`
}

/** The names of the functions, one for each distinct kernel, and their text. */
function kernels(plan: Plan, name: string) {
  const fresh = identifiers([
    ...plan.steps.flatMap((step) => routineNames(step.call.kernel)),
    ...INLINE_NAMES,
    ...['t', 'weights', 'weights_t', 'weights_layout', 'init', 'reset', 'run', 'run_layers', 'push_row'].map(
      (s) => `${name}_${s}`,
    ),
    ...accessors(plan, name).map(({ port }) => `${name}_${port}`),
    ...externalNames(name),
    ...learnNames(name),
  ])
  const names = new Map<string, string>()
  const texts: string[] = []
  const uses = new Set<string>()
  const routines = new Map<string, RoutineUse>()
  let floats = false
  const aliased = plan.steps.map(sharesBytes)
  const keys = plan.steps.map((step, i) => `${aliased[i]} ${kernelKey(step.call.kernel)}`)
  plan.steps.forEach((step, i) => {
    if (names.has(keys[i])) return
    const id = fresh(`${name}_${step.call.kernel.name}`)
    names.set(keys[i], id)
    const printed = kernelText(step.call.kernel, id, { aliased: aliased[i] })
    texts.push(`/* ${stepTitle(step)} */\n${printed.text}`)
    for (const u of printed.uses) uses.add(u)
    for (const [key, use] of printed.routines) routines.set(key, use)
    floats ||= printed.floats
  })
  const routineTexts = [...routines.values()].map(routineText)
  return {
    nameOf: (i: number) => names.get(keys[i])!,
    texts: [...routineTexts, ...texts],
    uses,
    floats,
    assembly: routines.size > 0,
  }
}

function sourceText(plan: Plan, name: string, members: readonly Member[]): string {
  const UP = name.toUpperCase()
  const { nameOf, texts, uses, floats, assembly } = kernels(plan, name)
  const floatWeights = members.some((m) => m.entry?.elem === 'f32' || m.entry?.elem === 'f64')
  const places = new Places(members)
  let [arenaUsed, weightsUsed] = [false, false]
  const cases = plan.steps.map((step, i) => {
    const args = step.call.kernel.bufs.map((b, k) => {
      if (step.places[k].segment === 'arena') arenaUsed = true
      else weightsUsed = true
      return places.pointer(step.places[k], b.elem)
    })
    const call = broken(`        ${nameOf(i)}(${args.join(', ')});`, ' '.repeat(12)).join('\n')
    return `      case ${i}: /* ${stepTitle(step)} */\n${call}\n        break;`
  })
  const bodies = accessors(plan, name).map(({ value, head }) => {
    const place = plan.places.get(value)!
    return `${head} {\n  return ${places.pointer(place, elemOfValue(value), 'm->arena', 'm->weights')};\n}\n`
  })
  const pushed = pushedInput(plan)
  const fetching = plan.external ? `\n    const int fault = ${name}_arrive(m, i);\n    if (fault) return fault;` : ''
  const loop = `  if (!m->arena) return -1;
  if (first < 0) first = 0;
  for (int i = first; i < end && i < ${UP}_LAYERS; i++) {${fetching}
    switch (i) {
${cases.join('\n')}
      default:
        break;
    }
  }`
  return `/* ${comment(plan.graph.name)} for ${plan.target.name}. Generated; see ${name}.h. */
#include "${name}.h"

#include <stddef.h>
#include <string.h>

${preamble(uses, floats || floatWeights)}
#ifndef MOTE_WEIGHTS_SECTION
#if defined(__GNUC__) && defined(__ELF__)
#define MOTE_WEIGHTS_SECTION __attribute__((section(".rodata.${name}_weights")))
#else
#define MOTE_WEIGHTS_SECTION
#endif
#endif
#if defined(__GNUC__)
#define MOTE_ALIGNED(n) __attribute__((aligned(n)))
#else
#define MOTE_ALIGNED(n)
#endif
${assembly ? ASSEMBLY : ''}
${texts.join('\n')}
${layoutCheck(`${name}_weights_t`, members)}
${plan.external ? `${externalText(plan, name)}\n` : ''}${initText(plan, name, floats || floatWeights)}
${pushed ? pushText(plan, pushed, name) : `int ${name}_run(${name}_t *m) {\n  return ${name}_run_layers(m, 0, ${UP}_LAYERS);\n}\n`}${learnText(plan, name, pushed !== undefined)}
int ${name}_run_layers(${name}_t *m, int first, int end) {
${arenaUsed ? '  uint8_t *const a = m->arena;\n' : ''}${weightsUsed ? `  const ${name}_weights_t *const w = m->weights;\n` : ''}${plan.steps.length ? loop : '  (void)first;\n  (void)end;'}
  return ${plan.steps.length ? '0' : 'm->arena ? 0 : -1'};
}

${bodies.join('\n')}
MOTE_WEIGHTS_SECTION MOTE_ALIGNED(${UP}_ARENA_ALIGN) const ${name}_weights_t ${name}_weights = ${initialiser(plan.weights, members)};
`
}

/** The program as `<name>.c` and `<name>.h`; `name` is an identifier (see `identifier`). */
export function emitC(plan: Plan, name: string): { readonly files: readonly CFile[] } {
  const members = membersOf(plan.weights)
  return {
    files: [
      { name: `${name}.c`, text: sourceText(plan, name, members) },
      { name: `${name}.h`, text: headerText(plan, name, members) },
      ...(plan.external?.weights ? [imageFile(plan.external.weights, name)] : []),
    ],
  }
}
