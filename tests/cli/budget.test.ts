import { describe, expect, test } from 'vitest'
import type { Graph } from '../../src/ir/graph.ts'
import { missingDeviceTools } from '../../src/run/device.ts'
import { residual, separable } from '../support/nets.ts'
import { answered, folder, saved, typed } from './console.ts'

const lacks = missingDeviceTools()
const needs = lacks.length > 0 ? ` (needs ${lacks.join(', ')})` : ''
const dir = folder()

function line(graph: Graph, flags: string): string[] {
  return ['compile', saved(dir, graph), ...flags.split(' '), '-o', dir]
}

/** The flags with those of `change` in place of their own. */
function changed(flags: string, change: string): string {
  const given = new Map<string, string>()
  for (const text of [flags, change])
    for (const [, flag, value] of text.matchAll(/--(\S+) (\S+)/g)) given.set(flag, value)
  return [...given].map(([flag, value]) => `--${flag} ${value}`).join(' ')
}

/** Every change that the refusal names, as flags. */
function advice(flags: string, err: string): string[] {
  const hint = err.split('hint: ')[1].trim()
  return hint.split('; ').flatMap((text) => {
    const [, change] = /^(--.*) fits \(/.exec(text) ?? /^it fits (--.*)$/.exec(text) ?? []
    if (change) return [changed(flags, change)]
    const names = /^boards that hold it: (.*)$/.exec(text)?.[1].split(', ') ?? []
    const rest = flags.replace(/--(sram|flash|target) \S+/g, '')
    return names.map((name) => changed(rest, `--board ${name}`))
  })
}

const REFUSED: readonly (readonly [flags: string, graph: () => Graph, says: RegExp, also: RegExp])[] = [
  [
    '--sram 100',
    separable,
    /needs \d+ bytes of RAM, limit is 100/,
    /it fits --sram \d+; boards that hold it: STM32F412/,
  ],
  [
    '--target c --sram 300 --stage none',
    separable,
    /limit is 300/,
    /--stage auto fits \(RAM \d+ B\); it fits --sram \d+;/,
  ],
  [
    '--target cortex-m4 --flash 2K',
    separable,
    /weights and code take \d+ \+ \d+ = \d+ bytes of flash, limit is 2048/,
    /it fits --flash \d+/,
  ],
  [
    '--target portable --max-instructions 10K',
    separable,
    /a run takes \d+ instructions on portable, limit is 10000; heaviest: \w+ "stem" \d+, \w+ "[^"]+" \d+, \w+ "[^"]+" \d+$/m,
    /--target cortex-m55 fits \(RAM .*, flash .*, [\d,]+ instructions\); it fits --max-instructions \d+; boards that hold it: Ensemble-E7/,
  ],
  [
    '--target cortex-m7 --sram 64 --flash 64 --max-instructions 100',
    residual,
    /limit is 64/,
    /it fits --sram \d+ --flash \d+ --max-instructions \d+$/m,
  ],
]

describe.skipIf(lacks.length > 0)(`limits${needs}`, () => {
  test.each(REFUSED)(
    'compile %s is refused, and each change that is named fits',
    async (flags, graph, says, also) => {
      const { code, err } = await typed(...line(graph(), flags))
      expect(code).toBe(1)
      expect(err).toMatch(says)
      expect(err).toMatch(also)
      const changes = advice(flags, err)
      expect(changes.length).toBeGreaterThan(0)
      if (changes.length > 2) changes.splice(1, changes.length - 2)
      for (const change of changes) {
        const again = await typed(...line(graph(), change))
        expect(again.code, `${change}: ${again.err}`).toBe(0)
      }
    },
    60_000,
  )

  test('count instructions and code as bench does', async () => {
    const model = saved(dir, separable())
    const { instructions, codeBytes } = await answered(...line(separable(), '--target cortex-m4 --max-instructions 1M'))
    const bench = await answered('bench', model, '--on', 'cortex-m4')
    expect({ instructions, codeBytes }).toEqual({
      instructions: bench.runs[0].instructions,
      codeBytes: bench.runs[0].codeBytes,
    })
  })

  test('of flash count the code, and the answer shows the shares', async () => {
    const { out } = await typed(...line(separable(), '--board nRF52840 --max-instructions 1M'))
    expect(out).toMatch(/flash for code +[\d.]+ KB\n {2}flash for both +[\d.]+ KB, \d\.\d% of 1\.00 MB\n/)
    expect(out).toMatch(/instructions +[\d,]+, \d+\.\d% of 1,000,000\n/)
  })
})

describe('without the tools for boards', () => {
  const without = async (flags: string) => {
    const { PATH } = process.env
    process.env.PATH = ''
    try {
      return await typed(...line(separable(), flags))
    } finally {
      process.env.PATH = PATH
    }
  }

  test('instructions cannot be limited, and the answer says what to install', async () => {
    const { code, err } = await without('--target cortex-m4 --max-instructions 1M')
    expect(code).toBe(1)
    expect(err).toBe(
      '--max-instructions: needs arm-none-eabi-gcc and qemu-system-arm, not installed here\n' +
        '  hint: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm\n',
    )
  })

  test('weights alone count as flash, and the answer says so', async () => {
    const { code, out } = await without('--target cortex-m4 --flash 1M')
    expect(code).toBe(0)
    expect(out).toMatch(/flash for weights +[\d.]+ \w+, \d\.\d% of 1\.00 MB\n {2}\(stack, code and the rest/)
  })
})
