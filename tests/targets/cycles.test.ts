import { describe, expect, test } from 'vitest'
import { compile } from '../../src/emit/program.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { benchDevice, missingDeviceTools } from '../../src/run/device.ts'
import { readCounts, readListing } from '../../src/run/device_mix.ts'
import { hostCompiler } from '../../src/run/host_c.ts'
import { type Block, estimateCycles, type Instruction, mixOf } from '../../src/targets/cycles.ts'
import { separable } from '../support/nets.ts'

const instruction = (line: string): Instruction => {
  const [mnemonic, ...operands] = line.split(' ')
  return { mnemonic, operands: operands.join(' '), size: 4 }
}
const block = (lines: readonly string[], runs = 1, taken = 0): Block => ({
  instructions: lines.map(instruction),
  runs,
  taken,
})
const cycles = (on: string, ...lines: string[]) => estimateCycles(on, [block(lines)])

test('an LDM counts its words, whatever the registers are called', () => {
  const mix = mixOf([block(['ldmia.w r0!, {r4, r5, r6, r7, r8, r9, sl, fp}', 'push {r4, lr}', 'vpop {d8-d11}'], 10)])
  expect(mix).toMatchObject({ loadWords: 10 * (8 + 8), storeWords: 20, taken: 0 })
  expect(mix.instructions).toMatchObject({ load: 20, store: 10, alu: 0 })
})

test('instructions are told apart by what they do', () => {
  const kinds = {
    alu: [
      'adds r0, r0, #1',
      'bic r0, r1, r2',
      'bfi r0, r1, #0, #8',
      'sxtb16 r0, r1',
      'ssat r0, #8, r1',
      'it eq',
      'movs r0, #0',
    ],
    multiply: [
      'smlad r0, r1, r2, r3',
      'mul.w r0, r1, r2',
      'mla r0, r1, r2, r3',
      'smmla r0, r1, r2, r3',
      'umull r0, r1, r2, r3',
    ],
    divide: ['sdiv r0, r1, r2', 'udiv r0, r1, r2'],
    load: [
      'ldr.w r0, [r1]',
      'ldrsb.w r0, [r1, r2]',
      'ldrd r0, r1, [r2]',
      'pop {r4, pc}',
      'vldr s0, [r0]',
      'tbb [pc, r0]',
    ],
    store: ['str r0, [r1]', 'strb.w r0, [r1], #1', 'vstr d0, [r0]'],
    branch: ['b.n 10', 'bne.n 10', 'bls.w 10', 'blt.n 10', 'bl 10', 'bx lr', 'cbz r0, 10', 'le lr, 10', 'dls lr, r0'],
    float: ['vadd.f32 s0, s1, s2', 'vdiv.f32 s0, s1, s2', 'vmov r0, s0', 'vcvt.s32.f32 s0, s0'],
    vector: [
      'vldrb.u8 q0, [r0], #16',
      'vmlava.s8 r0, q0, q1',
      'vadd.i32 q0, q0, r1',
      'vpst',
      'vctp.8 r0',
      'vdup.32 q0, r0',
    ],
  }
  for (const [kind, lines] of Object.entries(kinds))
    for (const line of lines)
      expect(mixOf([block([line])]).instructions[kind as keyof typeof kinds], `${line} is ${kind}`).toBe(1)
})

test('vector loads count the bytes that they read', () => {
  const words = (line: string) => mixOf([block([line])]).loadWords
  expect(words('vldrb.u8 q0, [r0]')).toBe(4)
  expect(words('vldrb.s16 q0, [r0]')).toBe(2)
  expect(words('vldrb.s32 q0, [r0]')).toBe(1)
  expect(words('vldrw.u32 q0, [r0, q1]')).toBe(4)
  expect(words('vldrwt.u32 q0, [r0]')).toBe(4)
})

test('Cortex-M4: loads in a row overlap, an LDM takes one more than its words, a taken branch refills', () => {
  expect(cycles('cortex-m4', 'ldr r0, [r1]')).toBe(2)
  expect(cycles('cortex-m4', 'ldr r0, [r1]', 'ldr r2, [r1, #4]', 'ldr r3, [r1, #8]')).toBe(4)
  expect(cycles('cortex-m4', 'ldmia r1!, {r4, r5, r6}')).toBe(4)
  expect(cycles('cortex-m4', 'smlad r0, r1, r2, r3', 'smlal r0, r1, r2, r3')).toBe(2)
  expect(cycles('cortex-m4', 'vdiv.f32 s0, s1, s2', 'vmla.f32 s0, s1, s2', 'vadd.f32 s0, s1, s2')).toBe(18)
  expect(estimateCycles('cortex-m4', [block(['subs r0, #1', 'bne 0'], 10, 9)])).toBe(10 * 2 + 9 * 2)
})

test('Cortex-M3 multiplies more slowly', () => {
  expect(cycles('portable', 'mla r0, r1, r2, r3', 'smull r0, r1, r2, r3', 'mul r0, r1, r2')).toBe(2 + 4 + 1)
})

test('Cortex-M7: two independent instructions share a cycle, dependent ones and two multiplications do not', () => {
  expect(cycles('cortex-m7', 'add r0, r1, r2', 'add r3, r4, r5')).toBe(1)
  expect(cycles('cortex-m7', 'add r0, r1, r2', 'add r3, r0, r5')).toBe(2)
  expect(cycles('cortex-m7', 'smlad r0, r1, r2, r0', 'smlad r3, r1, r2, r3')).toBe(2)
  expect(cycles('cortex-m7', 'smlad r0, r1, r2, r0', 'ldr r4, [r5]')).toBe(1)
  expect(cycles('cortex-m7', 'ldmia r1!, {r4, r5, r6, r7}')).toBe(2)
  expect(cycles('cortex-m7', 'str r0, [r1]', 'str r2, [r1, #4]')).toBe(2)
})

test('Cortex-M55: a vector instruction takes two cycles, one where the unit before it is another; loops are free', () => {
  expect(cycles('cortex-m55', 'vldrb.u8 q0, [r0]', 'vmlava.s8 r2, q0, q1', 'vldrb.u8 q1, [r1]')).toBe(4)
  expect(cycles('cortex-m55', 'vmlava.s8 r2, q0, q1', 'vmlava.s8 r4, q0, q2')).toBe(4)
  expect(estimateCycles('cortex-m55', [block(['vadd.i32 q0, q0, q1', 'le lr, 0'], 8, 7)])).toBe(16)
})

test('a listing and counts of blocks become instructions', () => {
  const listing = readListing(
    [
      '00000100 <f>:',
      '     100:\tf850 4b04 \tldr.w\tr4, [r0], #4',
      '     104:\t3a01      \tsubs\tr2, #1',
      '     106:\td1fb      \tbne.n\t100 <f>',
      '     108:\t00000014 \t.word\t0x00000014',
    ].join('\n'),
  )
  expect(listing.get(0x100)).toEqual({ mnemonic: 'ldr.w', operands: 'r4, [r0], #4', size: 4 })
  expect(listing.get(0x106)).toEqual({ mnemonic: 'bne.n', operands: '100', size: 2 })
  const [first, second] = readCounts('100 8 10 9\n-\n104 4 1 0\n-\n', listing)
  expect(mixOf(first)).toMatchObject({ loadWords: 10, taken: 9, instructions: { load: 10, alu: 10, branch: 10 } })
  expect(second).toHaveLength(1)
})

const missing = [...missingDeviceTools(), ...(hostCompiler() ? [] : ['a C compiler'])]
describe.skipIf(missing.length > 0)(`counted in an emulator (skipped without ${missing.join(' and ')})`, () => {
  test.each(['cortex-m4', 'cortex-m55'])('%s: classes add up to the instructions of each layer', (on) => {
    const { plan } = compile(separable(), { target: on })
    const random = new Xorshift32(1)
    const inputs = plan.graph.inputs.map((v) => random.fill(v.type))
    const { layers, estimatedCycles } = benchDevice(plan, on, inputs, { mix: true })
    for (const { name, instructions, mix, estimatedCycles } of layers) {
      const sum = Object.values(mix!.instructions).reduce((a, b) => a + b)
      // Two ticks of the clock, and what starts and stops it.
      expect(Math.abs(sum - instructions), name).toBeLessThan(250)
      expect(estimatedCycles, name).toBeGreaterThan(sum / 2)
      expect(estimatedCycles, name).toBeLessThan(4 * sum)
    }
    expect(estimatedCycles).toBe(layers.reduce((n, l) => n + l.estimatedCycles!, 0))
    expect(layers.some(({ mix }) => mix!.instructions[on === 'cortex-m4' ? 'multiply' : 'vector'] > 100)).toBe(true)
    const plain = benchDevice(plan, on, inputs)
    expect(plain).not.toHaveProperty('estimatedCycles')
    expect(plain.layers.map((l) => l.instructions)).toEqual(layers.map((l) => l.instructions))
  })
})
