// What boards draw, for estimates: typical currents of the part alone at 25 °C, from data sheets, in the mode that keeps RAM
// and wakes by a timer. What else is on a board (regulator, sensor, radio) comes on top. The sleep currents of RP2040 and ESP32-S3
// were compared with published measurements; the other figures are those in general use: compare them with the document that is
// named, or measure yours.

import { InputError } from '../errors.ts'
import { type Board, boardOf } from './boards.ts'

export interface Power {
  /** Hertz, of the core. */
  readonly clock: number
  /** Amperes while the core runs, for each hertz of its clock. */
  readonly active: number
  /** Amperes asleep, RAM kept. */
  readonly sleep: number
  readonly volts: number
  /** Where the core is none that mote counts cycles of. */
  readonly core?: string
  readonly source: string
}

const uA = 1e-6
const MHz = 1e6

const POWER: Readonly<Record<string, Power>> = {
  STM32F412: {
    ...{ clock: 100 * MHz, active: (112 * uA) / MHz, sleep: 18 * uA, volts: 3.3 },
    source: 'ST DS11139, first page: Run, peripherals off; Stop, flash in deep power-down',
  },
  STM32F746: {
    ...{ clock: 216 * MHz, active: (472 * uA) / MHz, sleep: 100 * uA, volts: 3.3 },
    source: 'ST DS10916: Run from ITCM RAM at 216 MHz, peripherals off; Stop, under-drive',
  },
  STM32H743: {
    ...{ clock: 400 * MHz, active: (178 * uA) / MHz, sleep: 270 * uA, volts: 3.3 },
    source: 'ST DS12110: Run from ITCM at 400 MHz, VOS1, peripherals off; Stop, SVOS5',
  },
  nRF52840: {
    ...{ clock: 64 * MHz, active: (52 * uA) / MHz, sleep: 3.16 * uA, volts: 3 },
    source: 'Nordic nRF52840 product specification: CoreMark from flash, DC/DC; System ON, 256 KB kept, RTC',
  },
  RP2040: {
    ...{ clock: 125 * MHz, active: (227 * uA) / MHz, sleep: 180 * uA, volts: 3.3, core: 'Cortex-M0+' },
    source: 'RP2040 data sheet, power consumption: Popcorn at 48 MHz, both cores; dormant',
  },
  'ESP32-S3': {
    ...{ clock: 240 * MHz, active: (213 * uA) / MHz, sleep: 240 * uA, volts: 3.3, core: 'Xtensa LX7' },
    source: 'ESP32-S3 data sheet: modem-sleep at 240 MHz, one core at work; light sleep',
  },
  'Ensemble-E7': {
    ...{ clock: 160 * MHz, active: (22 * uA) / MHz, sleep: 1.7 * uA, volts: 3.3 },
    source: 'Alif Ensemble E7 data sheet: high-efficiency core; STOP',
  },
}

/** The board of that name, whatever its case, and what it draws. Throws InputError where either is not known. */
export function poweredBoard(name: string): { readonly board: Board; readonly power: Power } {
  const board = boardOf(name)
  const power = POWER[board.name]
  if (!power)
    throw new InputError(
      '--board',
      `what ${board.name} draws is not known`,
      `known are ${Object.keys(POWER).join(', ')}`,
    )
  return { board, power }
}

/** The boards whose current is known and that `target` is built for. */
export function poweredBoardsOf(target: string): { readonly board: Board; readonly power: Power }[] {
  return Object.keys(POWER)
    .map(poweredBoard)
    .filter(({ board }) => board.target === target)
}

/** How a device spends its time: something `perHour` times an hour, seconds each, at a current. */
export interface Duty {
  readonly name: string
  readonly perHour: number
  readonly seconds: number
  readonly amperes: number
}

export interface Drain {
  readonly name: string
  /** Of all time. */
  readonly share: number
  /** Average amperes. */
  readonly amperes: number
}

/** Average currents: what is done, and sleep for the rest. The shares of `duties` must be at most 1 together. */
export function drains(duties: readonly Duty[], sleep: number): Drain[] {
  const awake = duties.map(({ name, perHour, seconds, amperes }) => {
    const share = (perHour * seconds) / 3600
    return { name, share, amperes: share * amperes }
  })
  const rest = 1 - awake.reduce((sum, d) => sum + d.share, 0)
  return [{ name: 'sleep', share: rest, amperes: rest * sleep }, ...awake]
}
