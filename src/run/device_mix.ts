// Which instructions an emulated board ran: how often each block did, from a plugin of QEMU (device/mix.c, compiled here),
// and what stands in it, from the disassembly of the program.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Block, Instruction } from '../targets/cycles.ts'
import { hostCompiler } from './host_c.ts'
import { runTool } from './host_tool.ts'

const OBJDUMP = 'arm-none-eabi-objdump'

/** The program's instructions by address, from objdump's listing. */
export function readListing(text: string): Map<number, Instruction> {
  const all = new Map<number, Instruction>()
  for (const line of text.split('\n')) {
    const [, at, bytes, mnemonic, operands] = /^\s*([0-9a-f]+):\t([0-9a-f ]+)\t(\S+)\t?(.*)$/.exec(line) ?? []
    if (at === undefined) continue
    const size = bytes.replaceAll(' ', '').length / 2
    all.set(Number.parseInt(at, 16), { mnemonic, operands: operands.replace(/\s*[;@<].*$/, ''), size })
  }
  return all
}

/** What ran between each start and stop, from the plugin's file. */
export function readCounts(text: string, listing: ReadonlyMap<number, Instruction>): Block[][] {
  const segments: Block[][] = []
  let blocks: Block[] = []
  for (const line of text.split('\n')) {
    if (line === '-') {
      segments.push(blocks)
      blocks = []
      continue
    }
    const [first, bytes, runs, taken] = line.split(' ')
    if (taken === undefined) continue
    const instructions: Instruction[] = []
    const from = Number.parseInt(first, 16)
    for (let at = from; at < from + Number(bytes); ) {
      const instruction = listing.get(at)
      if (!instruction) break
      instructions.push(instruction)
      at += instruction.size
    }
    blocks.push({ instructions, runs: Number(runs), taken: Number(taken) })
  }
  return segments
}

/** The plugin's interface: QEMU 9 no longer takes the first version. */
function interfaceVersion(): number {
  const said = `${Buffer.from(runTool('qemu-system-arm', ['--version']))}`
  return Number(/version (\d+)/.exec(said)?.[1]) < 9 ? 1 : 2
}

/**
 * Compiles the plugin beside `program.elf` in `directory`: what goes to QEMU, and the counts of blocks between `mote_clock_start`
 * and `mote_clock_stop` once it ran. Undefined where this machine has no compiler, or QEMU was built without plugins.
 */
export function mixIn(
  directory: string,
  source: string,
  core: string,
): { readonly arguments: string[]; read(): Block[][] } | undefined {
  const compiler = hostCompiler()
  const help = `${Buffer.from(runTool('qemu-system-arm', ['--help']))}`
  if (!compiler || !/^-plugin /m.test(help)) return undefined
  const here = { directory }
  const shared = process.platform === 'darwin' ? ['-shared', '-undefined', 'dynamic_lookup'] : ['-shared', '-fPIC']
  runTool(compiler, ['-O2', ...shared, `-DVERSION=${interfaceVersion()}`, '-o', 'mix.so', source], here)
  const symbols = `${Buffer.from(runTool('arm-none-eabi-nm', ['program.elf'], here))}`
  const address = (name: string) => new RegExp(`^([0-9a-f]+) . ${name}$`, 'm').exec(symbols)?.[1]
  const [start, stop] = [address('mote_clock_start'), address('mote_clock_stop')]
  return {
    arguments: ['-plugin', `./mix.so,start=${start},stop=${stop},out=mix.txt`],
    read() {
      const helium = core === 'cortex-m55' ? ['-m', 'armv8.1-m.main'] : []
      const listing = `${Buffer.from(runTool(OBJDUMP, [...helium, '-d', 'program.elf'], here))}`
      return readCounts(readFileSync(join(directory, 'mix.txt'), 'utf8'), readListing(listing))
    },
  }
}
