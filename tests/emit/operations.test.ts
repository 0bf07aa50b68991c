import { describe, expect, test } from 'vitest'
import { interpret } from '../../src/loops/interpret.ts'
import type { Data } from '../../src/loops/ir.ts'
import { type HostOptions, hostCompiler, runKernelsHostC, SANITIZED, STRICT } from '../../src/run/host_c.ts'
import { isInstalled } from '../../src/run/host_tool.ts'
import { runKernelWasm } from '../../src/run/wasm.ts'
import { everyFunction, everyOperation, type Run } from '../support/operations.ts'

const RUNS = [...everyOperation(), ...everyFunction()]
const copy = ({ kernel, args }: Run): Run => ({ kernel, args: args.map((a) => a.slice()) })

/** What the interpreter makes of each. */
const MEANT = RUNS.map(copy)
for (const { kernel, args } of MEANT) interpret(kernel, args)

function sameNumbers(got: Data, want: Data): number {
  const [a, b] = [got, want] as [ArrayLike<number | bigint>, ArrayLike<number | bigint>]
  for (let i = 0; i < b.length; i++) if (!Object.is(a[i], b[i])) return i
  return -1
}

function expectSame(got: readonly Run[]): void {
  for (const [i, { kernel, args }] of MEANT.entries()) {
    const [have, want] = [got[i].args.at(-1)!, args.at(-1)!]
    const at = sameNumbers(have, want)
    const of = args.slice(0, -1).map((a) => a[at])
    expect(at, `${kernel.name}(${of.join(', ')}) is ${have[at]}, meant is ${want[at]}`).toBe(-1)
  }
}

test('WebAssembly gives the numbers of the interpreter for every operation and function', () => {
  const got = RUNS.map(copy)
  for (const { kernel, args } of got) runKernelWasm(kernel, args)
  expectSame(got)
})

function onHost(options: HostOptions): void {
  const got = RUNS.map(copy)
  runKernelsHostC(got, options)
  expectSame(got)
}

const WARNINGS = ['-O1', '-Wall', '-Wextra', '-Wconversion', '-Wdouble-promotion', '-Wpedantic', '-Werror']

describe.skipIf(!hostCompiler())('C (skipped where no C compiler is installed)', () => {
  test('gives the numbers of the interpreter for every operation and function, without a warning', () =>
    onHost({ flags: [...STRICT, '-Wdouble-promotion'] }))
  test('has no undefined behaviour', () => onHost({ flags: SANITIZED }))
  test('gives the same numbers when optimised, whatever flags say about fused multiply-add', () =>
    onHost({
      flags: ['-std=gnu99', '-O3', ...(process.arch === 'x64' ? ['-mfma', '-ffp-contract=fast'] : [])],
      compiler: isInstalled('gcc') ? 'gcc' : hostCompiler(),
    }))
})

for (const [compiler, flags] of [
  ['clang', ['-std=c99', ...WARNINGS]],
  ['g++', ['-x', 'c++', ...WARNINGS]],
] as const)
  test.skipIf(!isInstalled(compiler))(
    `${compiler} gives the same numbers, without a warning (skipped where missing)`,
    () => onHost({ compiler, flags }),
  )
