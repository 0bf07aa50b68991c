// `mote power`: how long a battery lasts that runs a model now and then and sleeps in between, from estimated cycles (or
// measured ones) and the currents of a board's data sheet, with a cheap stage before the model that decides whether it runs.

import { compile } from '../emit/program.ts'
import { InputError } from '../errors.ts'
import { countText, table, timeText } from '../report/figures.ts'
import { benchDevice } from '../run/device.ts'
import { BOARDS } from '../targets/boards.ts'
import { type Drain, type Duty, drains, poweredBoard } from '../targets/power.ts'
import type { Command, Options } from './command.ts'
import { MODEL_OPTIONS, openModel } from './model.ts'
import { bar } from './numbers.ts'
import { checkPlanOptions, EXTERNAL_OPTIONS, PLAN_OPTIONS, planChoiceOf } from './plan.ts'
import { generated } from './run.ts'

type Units = Readonly<Record<string, number>>

const CURRENT: Units = { uA: 1e-6, µA: 1e-6, mA: 1e-3, A: 1 }
const CHARGE: Units = { mAh: 3.6, Ah: 3600 } // coulombs
const CLOCK: Units = { kHz: 1e3, MHz: 1e6, GHz: 1e9 }
const VOLTS: Units = { V: 1, mV: 1e-3 }
const COST: Units = { us: 1e-6, µs: 1e-6, ms: 1e-3, s: 1 }
const COUNT: Units = { '': 1, k: 1e3, M: 1e6, G: 1e9 }
const YEARS = 365.25 * 24 * 3600

/** A number with one of the units, above zero. */
function quantity(text: string, flag: string, units: Units, example: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(\S*)$/i.exec(text.trim()) ?? []
  const size = units[unit] ?? units[unit?.replace('μ', 'µ')]
  const value = Number(number) * (size ?? Number.NaN)
  if (!(value > 0 && Number.isFinite(value)))
    throw new InputError(flag, `"${text}" is not a number with a unit`, `for example ${flag} ${example}`)
  return value
}

function plain(text: string, flag: string, lo: number, hi: number, example: string): number {
  const n = text.trim() === '' ? Number.NaN : Number(text)
  if (!(n >= lo && n <= hi))
    throw new InputError(
      flag,
      `"${text}" is not a number from ${lo} to ${countText(hi)}`,
      `for example ${flag} ${example}`,
    )
  return n
}

function amperesText(a: number): string {
  if (a < 1e-3) return `${(a * 1e6).toPrecision(3)} µA`
  return `${(a * 1e3).toPrecision(3)} mA`
}

function lifeText(seconds: number): string {
  const days = seconds / 86400
  if (days < 2) return `${(days * 24).toPrecision(3)} hours`
  return days < 730 ? `${days.toPrecision(3)} days` : `${(days / 365.25).toPrecision(3)} years`
}

/** What is to be spent how often: the model, and the stage before it. */
interface Spent {
  readonly perHour: number
  readonly wakeRate: number
  readonly gateSeconds?: number
}

function spentOf(options: Options): Spent {
  const perHour = plain(String(options.perHour), '--per-hour', 0.001, 3.6e6, '60')
  const gated = options.gateCost !== undefined
  if (gated !== (options.wakeRate !== undefined))
    throw new InputError(
      gated ? '--gate-cost' : '--wake-rate',
      `needs ${gated ? '--wake-rate' : '--gate-cost'} beside it`,
      'a stage before the model takes a time and wakes it in a share of its checks: --gate-cost 2ms --wake-rate 0.05',
    )
  if (!gated) return { perHour, wakeRate: 1 }
  return {
    perHour,
    wakeRate: plain(String(options.wakeRate), '--wake-rate', 0, 1, '0.05'),
    gateSeconds: quantity(String(options.gateCost), '--gate-cost', COST, '2ms'),
  }
}

const NAMES: Readonly<Record<string, string>> = { sleep: 'asleep', gate: 'gate', model: 'model' }

function breakdown(all: readonly Drain[], total: number): string {
  return table(
    ['', '', '>', '>', '>'],
    all.map(({ name, share, amperes }) => [
      `  ${NAMES[name] ?? name}`,
      bar(amperes / total, 24).padEnd(24),
      amperesText(amperes),
      `${((100 * amperes) / total).toFixed(1)}%`,
      `${(100 * share).toPrecision(3)}% of the time`,
    ]),
  )
}

export const power: Command = {
  name: 'power',
  args: [['<model>', 'a .tflite or .onnx file']],
  summary: 'estimate how long a battery lasts that runs a model on a board',
  options: [
    ...MODEL_OPTIONS,
    ['--board <name>', `clock and currents of a board: ${BOARDS.map((b) => b.name).join(', ')}`],
    ['--per-hour <n>', 'inferences an hour or, with a gate, checks of it', '60'],
    ['--battery <charge>', 'for example 220mAh (a CR2032), 2.5Ah', '220mAh'],
    ['--wake-rate <share>', 'of the checks of a gate that wake the model: 0.05'],
    ['--gate-cost <time>', 'what a check of the gate takes, awake: 2ms'],
    ['--cycles <n>', 'cycles of a run, as measured on a board (default: estimated in QEMU): 3.8M'],
    ['--clock <frequency>', "instead of the board's: 80MHz"],
    ['--active-current <current>', 'while it computes, measured at that clock: 9mA'],
    ['--sleep-current <current>', 'in between, measured: 3uA'],
    ['--volts <voltage>', 'of the supply: 3V'],
    ...PLAN_OPTIONS,
    ...EXTERNAL_OPTIONS,
  ],
  async run([path], options, io) {
    if (options.board === undefined)
      throw new InputError('--board', 'is missing', `boards are ${BOARDS.map((b) => b.name).join(', ')}`)
    const { board, power } = poweredBoard(String(options.board))
    checkPlanOptions(options)
    const spent = spentOf(options)
    const given = (name: string, flag: string, units: Units, example: string) =>
      options[name] === undefined ? undefined : quantity(String(options[name]), flag, units, example)
    const charge = quantity(String(options.battery), '--battery', CHARGE, '220mAh')
    const clock = given('clock', '--clock', CLOCK, '80MHz') ?? power.clock
    const active = given('activeCurrent', '--active-current', CURRENT, '9mA') ?? power.active * clock
    const sleep = given('sleepCurrent', '--sleep-current', CURRENT, '3uA') ?? power.sleep
    const volts = given('volts', '--volts', VOLTS, '3V') ?? power.volts
    const measured = given('cycles', '--cycles', COUNT, '3.8M')

    const { graph } = await openModel(path, options)
    let cycles = measured
    if (cycles === undefined) {
      io.progress(`${path} on ${board.target} …`)
      const { plan } = compile(graph, { target: board.target, ...planChoiceOf(options) })
      cycles = benchDevice(plan, board.target, generated(plan.graph.inputs, 1), { mix: true }).estimatedCycles
      io.progress('')
      if (cycles === undefined)
        throw new InputError(
          '--cycles',
          'cannot be estimated here: QEMU has no plugins, or there is no C compiler',
          CYCLES,
        )
    }
    const seconds = cycles / clock
    const { perHour, wakeRate, gateSeconds } = spent
    const duties: Duty[] = [
      ...(gateSeconds === undefined ? [] : [{ name: 'gate', perHour, seconds: gateSeconds, amperes: active }]),
      { name: 'model', perHour: perHour * wakeRate, seconds, amperes: active },
    ]
    const all = drains(duties, sleep)
    if (all[0].share < 0) {
      const hours = 1 - all[0].share
      throw new InputError(
        '--per-hour',
        `${countText(perHour)} an hour take ${hours.toFixed(2)} hours of each, at ${timeText(seconds * 1e6)} a run`,
        'ask for fewer, or put a gate before the model: --gate-cost 2ms --wake-rate 0.05',
      )
    }
    const amperes = all.reduce((sum, d) => sum + d.amperes, 0)
    const lifeSeconds = charge / amperes
    const joules = seconds * active * volts
    const core =
      power.core && measured === undefined ? [`cycles are those of a Cortex-M3, its core is ${power.core}`] : []
    return {
      json: {
        model: path,
        board: board.name,
        estimate: true,
        assumed: { source: power.source, clockHz: clock, activeAmperes: active, sleepAmperes: sleep, volts },
        run: { cycles, measuredCycles: measured !== undefined, seconds, joules },
        ...{ perHour, wakeRate, ...(gateSeconds !== undefined && { gateSeconds }) },
        drains: all,
        averageAmperes: amperes,
        averageWatts: amperes * volts,
        lifeSeconds,
      },
      text: [
        `${path} on ${board.name} at ${countText(clock / 1e6)} MHz, all figures estimates`,
        '',
        `  a run     ${countText(cycles)} cycles${measured === undefined ? ' (estimated)' : ''}, ${timeText(seconds * 1e6)}, ${(joules * 1e3).toPrecision(3)} mJ`,
        ...(gateSeconds === undefined
          ? [`  how often ${perHour} an hour`]
          : [
              `  a check   ${timeText(gateSeconds * 1e6)}, ${perHour} an hour; ${(100 * wakeRate).toPrecision(3)}% of them wake the model`,
            ]),
        `  currents  ${amperesText(active)} awake, ${amperesText(sleep)} asleep, ${volts} V`,
        '',
        breakdown(all, amperes),
        '',
        `  on average ${amperesText(amperes)}, ${(amperes * volts * 1e6).toPrecision(3)} µW`,
        `  a battery of ${options.battery} lasts ${lifeText(lifeSeconds)}${lifeSeconds > 10 * YEARS ? ' by this reckoning; cells age, most within ten' : ''}`,
        '',
        `  ${power.source}`,
        ...core.map((line) => `  ${line}`),
        '  the part alone: regulator, sensor and radio come on top, waking up and the loss of the cell are not counted',
      ].join('\n'),
    }
  },
}

const CYCLES = 'measure them on a board (mote bench --on serial:/dev/ttyACM0) and say --cycles 3.8M'
