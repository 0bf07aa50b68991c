import { describe, expect, test } from 'vitest'
import { describeShared, sharedPath } from '../shared/shared.ts'
import { answered, typed } from './console.ts'

interface Found {
  readonly speakers: readonly { name: string; before: number; after: number; of: number; losses: number[] }[]
  readonly scheme: string
  readonly arenaBytes: number
}

const demo = (...args: string[]): Promise<Found> => answered('demo', ...args)

describe('mote demo', () => {
  test('learns how people speak that it understood badly, inside 16 KB', async () => {
    const { speakers, arenaBytes } = await demo()
    expect(arenaBytes).toBeLessThanOrEqual(16 * 1024)
    expect(speakers).toHaveLength(3)
    for (const { name, before, after, of } of speakers) {
      expect(of, name).toBe(60)
      expect(before / of, name).toBeLessThan(0.7)
      expect(after / of, name).toBeGreaterThan(0.75)
    }
  })

  test('learns less where there is less RAM, and says what the least is', async () => {
    const { scheme, arenaBytes, speakers } = await demo('--sram', '4K')
    expect(scheme).toBe('last')
    expect(arenaBytes).toBeLessThanOrEqual(4096)
    for (const { before, after } of speakers) expect(after).toBeGreaterThan(before)
    const { code, err } = await typed('demo', '--sram', '1K')
    expect(code).toBe(1)
    const least = /--sram (\d+)/.exec(err)![1]
    expect((await demo('--sram', least)).arenaBytes).toBe(Number(least))
  })

  test('keeps something to judge by', async () => {
    const { code, err } = await typed('demo', '--shots', '9')
    expect(code).toBe(1)
    expect(err).toMatch(/--shots: 9 takes all 90 recordings of Spanish, and none is left to judge\n {2}hint: /)
  })

  test('more examples teach more', async () => {
    const right = async (shots: string) => {
      const { speakers } = await demo('--shots', shots)
      return speakers.reduce((sum, s) => sum + s.after / s.of, 0)
    }
    expect(await right('5')).toBeGreaterThan(await right('1'))
  })

  describeShared('real recordings', () => {
    test('of five people: right more often after three examples of each word', async () => {
      const { speakers } = await demo('--recordings', sharedPath('datasets/fsdd'))
      expect(speakers.map((s) => s.name)).toEqual(['george', 'jackson', 'lucas', 'nicolas', 'theo'])
      const sum = (key: 'before' | 'after' | 'of') => speakers.reduce((n, s) => n + s[key], 0)
      expect(sum('of')).toBe(1100)
      expect(sum('before') / sum('of')).toBeLessThan(0.65)
      expect(sum('after') / sum('of')).toBeGreaterThan(0.75)
    })
  })
})
