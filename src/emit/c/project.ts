// Program -> a project around its C: a main that runs the model once and prints what it gives, the build for gcc by make and
// by CMake, and what an emulated board needs to start. Inputs come from the generator of ir/random.ts, seed 1, so that the
// outputs are those of `mote run --seed 1`.

import { InputError } from '../../errors.ts'
import { elemOf, type Value } from '../../ir/graph.ts'
import { count, type Elem } from '../../loops/ir.ts'
import { pushedInput } from '../../plan/external.ts'
import type { OutputFile, Program } from '../program.ts'
import { preamble } from './arithmetic.ts'
import { EMULATED, type EmulatedBoard, linkerScript, STARTUP } from './board.ts'
import { mappedHooks } from './external.ts'
import { C_TYPE } from './number.ts'
import { portNames } from './program.ts'
import { projectNotes } from './project_notes.ts'

/** How an element is generated, its format in printf and what is printed, given `x`. */
const ELEMENTS: Readonly<Record<Elem, readonly [generated: string, format: string, printed: string]>> = {
  i8: ['(int8_t)(generated() >> 24)', '%d', 'x'],
  u8: ['(uint8_t)(generated() >> 24)', '%d', 'x'],
  i16: ['(int16_t)(generated() >> 16)', '%d', 'x'],
  i32: ['(int32_t)(generated() % 4)', '%ld', '(long)x'],
  i64: ['(int64_t)(generated() % 4)', '%lld', '(long long)x'],
  f16: ['to_half((float)(int32_t)generated() / 2147483648.0f)', '0x%04x', '(unsigned)x'],
  f32: ['(float)(int32_t)generated() / 2147483648.0f', '%.9g', '(double)x'],
  f64: ['(double)(int32_t)generated() / 2147483648.0', '%.17g', 'x'],
}

const elemOfValue = (v: Value): Elem => elemOf(v.type.dtype) ?? 'u8'

/** UTF-8 as a string constant; octal escapes end after three digits. */
function cString(text: string): string {
  const escaped = Array.from(new TextEncoder().encode(text), (b) =>
    b < 32 || b > 126 || b === 34 || b === 92 || b === 63
      ? `\\${b.toString(8).padStart(3, '0')}`
      : String.fromCharCode(b),
  )
  return `"${escaped.join('')}"`
}

function generatedText(v: Value): string {
  return v.type.dtype === 'bool' ? '(uint8_t)(generated() >> 31)' : ELEMENTS[elemOfValue(v)][0]
}

function printText(v: Value, name: string, port: string, labels: readonly string[] | undefined): string {
  const [, format, printed] = ELEMENTS[elemOfValue(v)]
  const macro = `${name}_${port}`.toUpperCase()
  const scaled = v.type.quant?.scale.length === 1
  const real = `, (double)${macro}_SCALE * ((double)x - ${macro}_ZERO_POINT)`
  const type = C_TYPE[elemOfValue(v)]
  const named = labels !== undefined && labels.length === count(v.type.shape)
  return `  const ${type} *${port} = ${name}_${port}(&model);
  for (int i = 0; i < ${macro}_COUNT && i < SHOWN; i++) {
    const ${type} x = ${port}[i];
    printf("${port}[%d]${named ? ' (%s)' : ''} ${format}${scaled ? ' = %g' : ''}\\n", i, ${named ? 'labels[i], ' : ''}${printed}${scaled ? real : ''});
  }
  printf("${port} fnv1a %08lx\\n", (unsigned long)fnv1a(${port}, ${macro}_COUNT * sizeof *${port}));
`
}

function mainText({ name, plan }: Program, labels: readonly string[] | undefined): string {
  const UP = name.toUpperCase()
  const pushed = pushedInput(plan)?.input
  const pulled = plan.external?.input ? plan.streamed?.input : undefined
  const hooks = mappedHooks(plan.external, name, 'frame')
  const { outputs } = plan.graph
  const inputs = plan.graph.inputs.filter((v) => v !== plan.streamed?.input)
  const ports = portNames('input', inputs)
  const fill = inputs.map(
    (v, i) => `  ${C_TYPE[elemOfValue(v)]} *${ports[i]} = ${name}_${ports[i]}(&model);
  for (int i = 0; i < ${UP}_${ports[i].toUpperCase()}_COUNT; i++) ${ports[i]}[i] = ${generatedText(v)};
`,
  )
  const stop = (called: string, state: string) => `    printf("${name}_${called}: %d\\n", ${state});
    return 1;
  }
`
  const row = pushed && C_TYPE[elemOfValue(pushed)]
  const go = pushed
    ? `  int state;
  do {
    static ${row} row[${UP}_ROW_BYTES / sizeof(${row})];
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) row[i] = ${generatedText(pushed)};
    state = ${name}_push_row(&model, row, sizeof row);
  } while (state == 0);
  if (state < 0) {
${stop('push_row', 'state')}`
    : `  const int state = ${name}_run(&model);
  if (state != 0) {
${stop('run', 'state')}`
  const halves = plan.graph.inputs.some((v) => elemOfValue(v) === 'f16')
  const names = portNames('output', outputs)
  const labelled = labels && outputs.some((v) => count(v.type.shape) === labels.length)
  return `/*
 * Runs the model once and prints its outputs. The inputs are generated, the same as those of \`mote run MODEL --seed 1\`, so
 * that the outputs can be compared: put your sensor in their place.
 */
#include "${name}.h"

#include <stdio.h>
${halves ? `#include <string.h>\n\n${preamble(new Set(['to_half']), false)}` : ''}
#ifndef MOTE_ARENA_SECTION
#define MOTE_ARENA_SECTION /* where the arena lies, as the linker script calls it: __attribute__((section(".bss.arena"))) */
#endif

#define SHOWN 32 /* elements of each output */

MOTE_ARENA_SECTION static uint64_t arena[${UP}_ARENA_BYTES / sizeof(uint64_t) + 1];
static ${name}_t model;
${pulled ? `static ${C_TYPE[elemOfValue(pulled)]} frame[${count(pulled.type.shape)}]; /* the input, where slow memory would have it */\n` : ''}${
  hooks.text ? `\n/* Slow memory: here what the machine sees; put your driver in its place. */\n${hooks.text}` : ''
}${labelled ? `\nstatic const char *const labels[] = {\n${labels.map((l) => `  ${cString(l)},`).join('\n')}\n};\n` : ''}${
  plan.graph.inputs.length > 0
    ? `
/* xorshift32 (Marsaglia 2003) */
static uint32_t generated(void) {
  static uint32_t x = 1;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return x;
}
`
    : ''
}
static uint32_t fnv1a(const void *data, size_t bytes) {
  const uint8_t *p = (const uint8_t *)data;
  uint32_t h = 0x811c9dc5u;
  for (size_t i = 0; i < bytes; i++) h = (h ^ p[i]) * 0x01000193u;
  return h;
}

int main(void) {
  const int fault = ${name}_init(&model, arena, NULL${hooks.arguments}); /* NULL: the weights of ${name}.c */
  if (fault != 0) {
${stop('init', 'fault')}
${pulled ? `  for (size_t i = 0; i < sizeof frame / sizeof *frame; i++) frame[i] = ${generatedText(pulled)};\n` : ''}${fill.join('\n')}${go}
${outputs.map((v, i) => printText(v, name, names[i], labels)).join('\n')}  return fflush(stdout);
}
`
}

const WARNINGS = '-Wall -Wextra -Wconversion'
const LINKING = '-nostartfiles --specs=rdimon.specs -Wl,--gc-sections'

function emulator({ machine }: EmulatedBoard): string[] {
  const quiet = ['-display', 'none', '-monitor', 'none', '-serial', 'none', '-chardev', 'stdio,id=out']
  return ['qemu-system-arm', '-M', machine, ...quiet, '-semihosting-config', 'enable=on,target=native,chardev=out']
}

function makefile(name: string, sources: readonly string[], board: EmulatedBoard): string {
  const objects = [...sources, 'main.c', 'startup.c'].map((file) => `build/${file.replace(/c$/, 'o')}`)
  return `# make: the firmware; make run: run it in QEMU; make host: run it here; make size: its sections.
CROSS ?= arm-none-eabi-
HOST_CC ?= cc
CFLAGS ?= -O2
WARNINGS = ${WARNINGS}
CORE = ${board.flags.join(' ')}
ARENA = '-DMOTE_ARENA_SECTION=__attribute__((section(".bss.arena")))'
OBJECTS = ${objects.join(' ')}

build/firmware.elf: $(OBJECTS) ${board.machine}.ld
	$(CROSS)gcc $(CORE) ${LINKING} -T ${board.machine}.ld -o $@ $(OBJECTS)

build/%.o: %.c ${name}.h Makefile
	@mkdir -p build
	$(CROSS)gcc $(CORE) -std=c99 $(CFLAGS) $(WARNINGS) -ffunction-sections -fdata-sections $(ARENA) -c -o $@ $<

build/host: main.c ${sources.join(' ')} ${name}.h Makefile
	@mkdir -p build
	$(HOST_CC) -std=c99 $(CFLAGS) $(WARNINGS) -o $@ main.c ${sources.join(' ')}

run: build/firmware.elf
	${emulator(board).join(' ')} -kernel $<

host: build/host
	./build/host

size: build/firmware.elf
	$(CROSS)size -A $<
	$(CROSS)size $(OBJECTS)

clean:
	rm -rf build

.PHONY: run host size clean
`
}

function cmakeLists(name: string, sources: readonly string[], { machine }: EmulatedBoard): string {
  return `# cmake -B build -DCMAKE_TOOLCHAIN_FILE=arm-none-eabi.cmake, then cmake --build build --target run: in QEMU.
# Without a toolchain file: the same on this machine.
cmake_minimum_required(VERSION 3.16)
project(${name} C)

set(CMAKE_C_STANDARD 99)
set(CMAKE_C_EXTENSIONS OFF)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_C_FLAGS_RELEASE -O2)

add_executable(firmware main.c ${sources.join(' ')})
target_compile_options(firmware PRIVATE ${WARNINGS})
if(CMAKE_CROSSCOMPILING)
  set(script \${CMAKE_CURRENT_SOURCE_DIR}/${machine}.ld)
  target_sources(firmware PRIVATE startup.c)
  target_compile_definitions(firmware PRIVATE "MOTE_ARENA_SECTION=__attribute__((section(\\".bss.arena\\")))")
  target_compile_options(firmware PRIVATE -ffunction-sections -fdata-sections)
  target_link_options(firmware PRIVATE ${LINKING.replace('--specs', 'SHELL:--specs')} -T \${script})
  set_target_properties(firmware PROPERTIES SUFFIX .elf LINK_DEPENDS \${script})
endif()

add_custom_target(run COMMAND firmware USES_TERMINAL)
`
}

function toolchain(board: EmulatedBoard): string {
  return `# gcc for the ${board.core}, and QEMU's ${board.machine} to run what it builds.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR ${board.core})
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_C_FLAGS_INIT "${board.flags.join(' ')}")
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_CROSSCOMPILING_EMULATOR ${emulator(board).join(' ')} -kernel)
`
}

/** Targets that a project can be written for. */
export const PROJECT_TARGETS: readonly string[] = EMULATED.map((b) => b.name)

/**
 * The files of a ready-to-build project, to stand beside the program's own; its main prints the names of the classes where
 * there are `labels`, one for each element of an output. Slow memory is memory that the machine sees. Throws InputError
 * where no emulated board runs the target, and where a file of the program has the name of one of these.
 */
export function projectFiles(program: Program, labels?: readonly string[]): OutputFile[] {
  const { name, target } = program
  const board = EMULATED.find((b) => b.name === target)
  if (!board)
    throw new InputError('--project', `is not for target ${target}`, `targets are ${PROJECT_TARGETS.join(', ')}`)
  const sources = program.files.flatMap((f) => (f.name.endsWith('.c') ? [f.name] : []))
  const files = [
    { name: 'main.c', data: mainText(program, labels) },
    { name: 'startup.c', data: STARTUP },
    { name: `${board.machine}.ld`, data: linkerScript(board) },
    { name: 'Makefile', data: makefile(name, sources, board) },
    { name: 'CMakeLists.txt', data: cmakeLists(name, sources, board) },
    { name: 'arm-none-eabi.cmake', data: toolchain(board) },
    { name: 'README.md', data: projectNotes(program, board) },
  ]
  const taken = new Set(files.map((f) => f.name.toLowerCase()))
  for (const f of program.files)
    if (taken.has(f.name.toLowerCase()))
      throw new InputError('--project', `has a file ${f.name}, and so has the program`, 'choose another --name')
  return files
}
