// A program put to the test: generated C with device/trial.c around it, which uses the model as it must not be used and as
// it must, compiled and run on this machine (under sanitizers or other tools, as asked) or on an emulated board.

import { join } from 'node:path'
import { emitC, portNames } from '../emit/c/program.ts'
import { bytesOf } from '../ir/graph.ts'
import type { Data } from '../loops/ir.ts'
import type { Plan } from '../plan/plan.ts'
import { checkInputs } from './check.ts'
import { type DeviceOptions, deviceFile, runOnBoard } from './device.ts'
import { inDirectory, runTool } from './host_tool.ts'

export interface TrialReport {
  /** FNV-1a of each output on the first input (all runs on it agree) and, if it ran, on the second. */
  readonly outputs: readonly (readonly string[])[]
  /** The painted arena up to the last byte that was written, if it was painted. */
  readonly arenaUsedBytes?: number
  /** What did not hold: lines of device/trial.c, runs that differ. Empty where all is well. */
  readonly faults: readonly string[]
}

export interface TrialOptions {
  /** Default: gcc. */
  readonly compiler?: string
  /** For the model's code. */
  readonly flags?: readonly string[]
  /** Of linking, and for device/trial.c. */
  readonly linking?: readonly string[]
}

/** How to run: `exact` is one run in an arena that nobody painted; `under` is put before the program. */
export interface TrialRun {
  readonly exact?: boolean
  readonly under?: readonly string[]
  readonly timeoutSeconds?: number
}

/** The model's tensors for device/trial.c, and what each of the two runs is given. */
function modelHeader(plan: Plan): string {
  const { streamed } = plan
  const held = plan.graph.inputs.filter((v) => v !== streamed?.input)
  const { outputs } = plan.graph
  const choices = (ports: readonly string[]) => ports.map((p, i) => `    case ${i}: return model_${p}(m);`).join('\n')
  const sizes = (bytes: readonly number[]) => `{${bytes.join(', ') || 0}}`
  const offsets: number[] = []
  let at = 0
  for (const v of plan.graph.inputs) {
    offsets.push(at)
    at += Math.ceil(bytesOf(v.type) / 8) * 8
  }
  const heldOffsets = held.map((v) => offsets[plan.graph.inputs.indexOf(v)])
  const image = streamed
    ? `static inline const uint8_t *trial_image(int set) {
  return trial_data + set * ${at} + ${offsets[plan.graph.inputs.indexOf(streamed.input)]};
}
`
    : ''
  return `#include <stddef.h>
#include <stdint.h>
#include "model.h"

#define TRIAL_INPUTS ${held.length}
#define TRIAL_OUTPUTS ${outputs.length}

__asm__(".section .rodata\\n.balign 64\\ntrial_data:\\n.incbin \\"inputs.bin\\"\\n.previous");
extern const uint8_t trial_data[];

static const size_t trial_input_bytes[] = ${sizes(held.map((v) => bytesOf(v.type)))};
static const size_t trial_input_at[] = ${sizes(heldOffsets)};
static const size_t trial_output_bytes[] = ${sizes(outputs.map((v) => bytesOf(v.type)))};

static inline const void *trial_given(int set, int i) {
  return trial_data + set * ${at} + trial_input_at[i];
}

${image}
static inline void *trial_input(model_t *m, int i) {
  switch (i) {
${choices(portNames('input', held))}
  }
  (void)m;
  return NULL;
}

static inline const void *trial_output(const model_t *m, int i) {
  switch (i) {
${choices(portNames('output', outputs))}
  }
  return NULL;
}
`
}

/** Both sets of inputs, each tensor on a multiple of 8 bytes. */
function inputBytes(sets: readonly (readonly Data[])[]): Uint8Array {
  const parts = sets.flat().map((d) => new Uint8Array(d.buffer, d.byteOffset, d.byteLength))
  const bytes = new Uint8Array(parts.reduce((n, p) => n + Math.ceil(p.length / 8) * 8, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += Math.ceil(part.length / 8) * 8
  }
  return bytes
}

const USE_FROM_CXX = `#include "model.h"
int use(model_t *m, void *arena);
int use(model_t *m, void *arena) {
  const int fault = model_init(m, arena, nullptr);
  model_reset(m);
  model_run_layers(m, 0, MODEL_LAYERS);
  return fault;
}
`

function filesOf(plan: Plan, sets: readonly (readonly Data[])[]) {
  for (const inputs of sets) checkInputs(plan.graph.inputs, inputs)
  return [
    ...emitC(plan, 'model').files,
    deviceFile('trial.c', 'bench_main.c'),
    { name: 'trial_model.h', text: modelHeader(plan) },
    { name: 'include.cc', text: USE_FROM_CXX },
    { name: 'inputs.bin', text: inputBytes(sets) },
  ]
}

function reportOf(output: string, outputs: number): TrialReport {
  const lines = output.split(/\r?\n/).map((line) => line.trim().split(' '))
  const values = (label: string) => lines.filter(([l]) => l === label).map(([, value]) => value)
  const faults = values('fault').map((line) => `device/trial.c:${Number.parseInt(line, 16)} does not hold`)
  if (values('done').length === 0) faults.push(`the program did not end: ${output.slice(-500)}`)
  const first = values('output0')
  const runs = Array.from({ length: outputs ? first.length / outputs : 0 }, (_, r) =>
    first.slice(r * outputs, (r + 1) * outputs),
  )
  for (const run of runs) if (run.join() !== runs[0].join()) faults.push(`runs on one input gave ${runs[0]} and ${run}`)
  const used = values('used')[0]
  return {
    outputs: [runs[0] ?? [], values('output1')],
    ...(used !== undefined && { arenaUsedBytes: Number.parseInt(used, 16) }),
    faults,
  }
}

/**
 * Compiles the plan's C for this machine and hands `use` a way to run it, and one to compile a file of the program
 * (`model.c`, or `include.cc`, C++ that includes its header) with other flags. Throws ToolError where a tool is missing or fails.
 */
export function onHost<T>(
  plan: Plan,
  sets: readonly [readonly Data[], readonly Data[]],
  { compiler = 'gcc', flags = ['-std=c99', '-O2'], linking = [] }: TrialOptions,
  use: (run: (how: TrialRun) => TrialReport, compile: (args: readonly string[]) => void) => T,
): T {
  return inDirectory(filesOf(plan, sets), (directory) => {
    const tool = (args: readonly string[]) => runTool(args[0], args.slice(1), { directory })
    tool([compiler, ...flags, '-c', '-o', 'model.o', 'model.c'])
    tool([compiler, '-std=gnu99', '-O1', ...linking, '-o', 'program', 'bench_main.c', 'model.o'])
    const run = ({ exact, under = [], timeoutSeconds }: TrialRun) => {
      const [program, ...args] = [...under, join(directory, 'program'), ...(exact ? ['exact'] : [])]
      const printed = runTool(program, args, { directory, timeoutSeconds })
      return reportOf(`${Buffer.from(printed)}`, plan.graph.outputs.length)
    }
    return use(run, tool)
  })
}

/** Compiles the plan's C for a board and runs it there, emulated. Throws ToolError where a tool is missing or fails. */
export function onBoard(
  plan: Plan,
  on: string,
  sets: readonly [readonly Data[], readonly Data[]],
  options: DeviceOptions = {},
): TrialReport {
  return reportOf(runOnBoard(on, filesOf(plan, sets), options).printed, plan.graph.outputs.length)
}
