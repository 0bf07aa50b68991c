import { expect, test } from 'vitest'
import { estimatesOf } from '../../src/cli/bench.ts'
import { missingDeviceTools } from '../../src/run/device.ts'
import { hostCompiler } from '../../src/run/host_c.ts'
import { BOARDS } from '../../src/targets/boards.ts'
import { drains, poweredBoard, poweredBoardsOf } from '../../src/targets/power.ts'
import { separable } from '../support/nets.ts'
import { answered, folder, saved, typed } from './console.ts'

const dir = folder()
const model = saved(dir, separable())
const close = (a: number, b: number) => expect(Math.abs(a / b - 1), `${a} and ${b}`).toBeLessThan(1e-9)

test('currents add up by the time that each takes', () => {
  const duties = [
    { name: 'gate', perHour: 3600, seconds: 0.01, amperes: 0.01 },
    { name: 'model', perHour: 36, seconds: 1, amperes: 0.02 },
  ]
  expect(drains(duties, 1e-5).map((d) => d.share)).toEqual([0.98, 0.01, 0.01])
  const total = drains(duties, 1e-5).reduce((sum, d) => sum + d.amperes, 0)
  close(total, 0.98e-5 + 1e-4 + 2e-4)
})

test('every board that has a current says where it is from, and its currents are those of its kind', () => {
  const targets = new Set(BOARDS.map((b) => b.target))
  const powered = [...targets].flatMap(poweredBoardsOf)
  expect(powered.length).toBeGreaterThan(5)
  for (const { board, power } of powered) {
    expect(power.source.length, board.name).toBeGreaterThan(20)
    expect(power.clock / 1e6, board.name).toBeGreaterThanOrEqual(16)
    const awake = power.active * power.clock
    expect(awake, board.name).toBeLessThan(0.2)
    expect(awake / power.sleep, board.name).toBeGreaterThan(10)
  }
  expect(poweredBoard('stm32f412').board.name).toBe('STM32F412')
})

test('a battery lasts as long as its charge does at the average current', async () => {
  const board = ['--board', 'nRF52840', '--cycles', '6.4M', '--clock', '64MHz']
  const measured = ['--active-current', '3.6mA', '--sleep-current', '2uA', '--volts', '3V']
  const said = await answered('power', model, ...board, ...measured, '--per-hour', '60', '--battery', '200mAh')
  expect(said).toMatchObject({ estimate: true, run: { cycles: 6.4e6, measuredCycles: true, seconds: 0.1 } })
  const share = (60 * 0.1) / 3600
  const amperes = share * 3.6e-3 + (1 - share) * 2e-6
  close(said.averageAmperes, amperes)
  close(said.lifeSeconds, 720 / amperes)
  close(said.run.joules, 0.1 * 3.6e-3 * 3)
  close(said.averageWatts, amperes * 3)
})

test('a gate wakes the model in its share of the checks', async () => {
  const how = ['--board', 'stm32f412', '--cycles', '10M', '--per-hour', '3600']
  const always = await answered('power', model, ...how)
  const gated = await answered('power', model, ...how, '--gate-cost', '1ms', '--wake-rate', '0.05')
  const [, gate, net] = gated.drains
  close(net.amperes, 0.05 * always.drains[1].amperes)
  close(gate.share, 1e-3)
  expect(gated.lifeSeconds).toBeGreaterThan(10 * always.lifeSeconds)
  const never = await answered('power', model, ...how, '--gate-cost', '1ms', '--wake-rate', '0')
  expect(never.drains[2].amperes).toBe(0)
})

test('the text says that all of it is estimated, and shows where the charge goes', async () => {
  const line = ['power', model, '--board', 'stm32f412', '--cycles', '3.8M', '--gate-cost', '1ms', '--wake-rate', '0.05']
  const { code, out } = await typed(...line, '--per-hour', '3600')
  expect(code).toBe(0)
  expect(out).toContain('all figures estimates')
  expect(out).toMatch(/asleep +█+\S* +17\.9 µA/)
  expect(out).toMatch(/gate +\S* +11\.2 µA/)
  expect(out).toMatch(/a battery of 220mAh lasts \d+\.?\d* (hours|days|years)/)
  expect(out).toContain('ST DS11139')
  const other = await typed('power', model, '--board', 'RP2040', '--cycles', '3.8M')
  expect(other.out).not.toContain('Cortex-M3')
})

test('what a part would need follows from cycles, its clock and its current', () => {
  const [estimate] = estimatesOf('cortex-m4', 100e6).filter((e) => e.board === 'STM32F412')
  expect(estimate).toMatchObject({ clockHz: 100e6, us: 1e6, note: '' })
  close(estimate.joules, 11.2e-3 * 3.3)
})

test.skipIf(missingDeviceTools().length > 0 || !hostCompiler())(
  'cycles are estimated in an emulator where none are given (needs gcc, gcc-arm-none-eabi and qemu-system-arm)',
  async () => {
    const { run } = await answered('power', model, '--board', 'nRF52840')
    const { runs } = await answered('bench', model, '--on', 'cortex-m4')
    expect(run).toMatchObject({ measuredCycles: false, cycles: runs[0].estimatedCycles })
    expect(runs[0].estimates.map((e: { board: string }) => e.board)).toEqual(expect.arrayContaining(['nRF52840']))
    const { out } = await typed('bench', model, '--on', 'cortex-m4')
    expect(out).toMatch(/~ is an estimate/)
    expect(out).toMatch(/words loaded/)
  },
)
