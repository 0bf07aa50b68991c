// Boards by name: which target builds for them, how much RAM one block of tensors may have, and how much flash weights and
// code. RAM is the largest contiguous block of the part; what the rest of a program needs comes off it. Parts come in
// variants: the comment names the document that yours is to be compared with.

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
  // ST DS11139 and RM0402, STM32F412xG: one SRAM at 0x20000000, no CCM.
  { name: 'STM32F412', target: 'cortex-m4', sram: 256 * KB, flash: 1 * MB },
  // ST RM0385, STM32F746xG: DTCM 64 KB, SRAM1 240 KB and SRAM2 16 KB, adjacent from 0x20000000.
  { name: 'STM32F746', target: 'cortex-m7', sram: 320 * KB, flash: 1 * MB },
  // ST RM0433, STM32H743xI: the AXI SRAM at 0x24000000, of 1 MB in blocks; DTCM 128 KB.
  { name: 'STM32H743', target: 'cortex-m7', sram: 512 * KB, flash: 2 * MB },
  // Nordic's product specification of the nRF52840.
  { name: 'nRF52840', target: 'cortex-m4', sram: 256 * KB, flash: 1 * MB },
  // RP2040 data sheet: six banks, adjacent; the flash is that of a Raspberry Pi Pico.
  { name: 'RP2040', target: 'portable', sram: 264 * KB, flash: 2 * MB },
  // Of 512 KB, what ESP-IDF links data into: the region DIRAM of `idf.py size`; flash of a module "N8".
  { name: 'ESP32-S3', target: 'portable', sram: 345_856, flash: 8 * MB },
  // Alif AWPR0003 (RAM regions): SRAM0 at 0x02000000; MRAM at 0x80000000.
  { name: 'Ensemble-E7', target: 'cortex-m55', sram: 4 * MB, flash: 5.5 * MB },
]

/** The board of that name, whatever its case, or InputError that lists the boards there are. */
export function boardOf(name: string): Board {
  const board = BOARDS.find((b) => b.name.toLowerCase() === name.toLowerCase())
  if (!board)
    throw new InputError('--board', `"${name}" is not known`, `boards are ${BOARDS.map((b) => b.name).join(', ')}`)
  return board
}
