// Boards by name: which target builds for them, how much RAM one block of tensors may have, and how much flash the weights.
// RAM is the largest contiguous block of the part; what the rest of a program needs comes off it. Parts come in variants: the
// comment names the document to compare yours with. RAM of STM32F746, STM32H743 and Ensemble-E7 was compared with published
// pages; the other figures are those in general use.

import { InputError } from '../errors.ts'

export interface Board {
  readonly name: string
  readonly target: string
  /** Bytes. */
  readonly sram: number
  readonly flash: number
}

const KB = 1024
const MB = 1024 * KB

export const BOARDS: readonly Board[] = [
  { name: 'STM32F412', target: 'cortex-m4', sram: 256 * KB, flash: 1 * MB }, // ST DS11139, STM32F412xG
  { name: 'STM32F746', target: 'cortex-m7', sram: 320 * KB, flash: 1 * MB }, // ST DS10916: DTCM 64, SRAM1 240, SRAM2 16, adjacent
  { name: 'STM32H743', target: 'cortex-m7', sram: 512 * KB, flash: 2 * MB }, // ST DS12110: AXI SRAM, of 1 MB in five blocks
  { name: 'nRF52840', target: 'cortex-m4', sram: 256 * KB, flash: 1 * MB }, // Nordic nRF52840 product specification
  { name: 'RP2040', target: 'portable', sram: 264 * KB, flash: 2 * MB }, // RP2040 data sheet; flash of a Raspberry Pi Pico
  { name: 'ESP32-S3', target: 'portable', sram: 480 * KB, flash: 8 * MB }, // its TRM: SRAM1 416, SRAM2 64 on the data bus; module "N8"
  { name: 'Ensemble-E7', target: 'cortex-m55', sram: 4 * MB, flash: 5.5 * MB }, // Alif Ensemble E7 data sheet: SRAM0, MRAM
]

/** The board of that name, whatever its case, or InputError that lists the boards there are. */
export function boardOf(name: string): Board {
  const board = BOARDS.find((b) => b.name.toLowerCase() === name.toLowerCase())
  if (!board)
    throw new InputError('--board', `"${name}" is not known`, `boards are ${BOARDS.map((b) => b.name).join(', ')}`)
  return board
}
