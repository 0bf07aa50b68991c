// The boards that QEMU emulates, as what a program needs to start on them: gcc's flags for the core, the memory map as a
// linker script, and the code that runs before main. Benchmarks and projects build on the same text. Addresses: Arm's
// application notes AN385, AN386, AN500 and AN547.

import { InputError } from '../../errors.ts'

export interface EmulatedBoard {
  /** The target that is built for it. */
  readonly name: string
  /** QEMU's name of the machine. */
  readonly machine: string
  readonly core: string
  /** gcc's flags for the core. */
  readonly flags: readonly string[]
  /** SysTick's clock. */
  readonly hertz: number
  readonly memory: readonly Region[]
}

type Region = readonly [name: 'CODE' | 'RAM' | 'LARGE', origin: string, length: string, what: string]

const mps2 = (large: string): readonly Region[] => [
  ['CODE', '0x00000000', '4M', 'where flash is on a part'],
  ['RAM', '0x20000000', '4M', 'data and stack'],
  ['LARGE', large, '16M', 'PSRAM: weights and arena'],
]

const core = (name: string, ...fpu: readonly string[]) => ({
  core: name,
  flags: [`-mcpu=${name}`, ...fpu, '-mthumb'],
})

export const EMULATED: readonly EmulatedBoard[] = [
  {
    name: 'portable',
    machine: 'mps2-an385',
    ...core('cortex-m3'),
    hertz: 25e6,
    memory: mps2('0x21000000'),
  },
  {
    name: 'cortex-m4',
    machine: 'mps2-an386',
    ...core('cortex-m4', '-mfloat-abi=hard', '-mfpu=fpv4-sp-d16'),
    hertz: 25e6,
    memory: mps2('0x21000000'),
  },
  {
    name: 'cortex-m7',
    machine: 'mps2-an500',
    ...core('cortex-m7', '-mfloat-abi=hard', '-mfpu=fpv5-sp-d16'),
    hertz: 25e6,
    memory: mps2('0x60000000'),
  },
  {
    name: 'cortex-m55',
    machine: 'mps3-an547',
    ...core('cortex-m55', '-mfloat-abi=hard'),
    hertz: 32e6,
    memory: [
      ['CODE', '0x10000000', '512K', 'ITCM'],
      ['RAM', '0x30000000', '512K', 'DTCM: data and stack'],
      ['LARGE', '0x70000000', '64M', 'DDR: weights and arena'],
    ],
  },
]

/** The board that emulates a target, or InputError that lists those there are. */
export function emulatedBoard(name: string): EmulatedBoard {
  const board = EMULATED.find((b) => b.name === name)
  if (!board)
    throw new InputError('board', `"${name}" is not known`, `boards are ${EMULATED.map((b) => b.name).join(', ')}`)
  return board
}

/**
 * GNU ld's script. Weights and arena lie in LARGE. The code and constants of the object files `apart` are not
 * in `.text`, so that its size is that of the rest.
 */
export function linkerScript({ machine, memory }: EmulatedBoard, apart: readonly string[] = []): string {
  const regions = memory.map(
    ([name, origin, length, what]) =>
      `  ${name} (${name === 'CODE' ? 'rx' : 'rwx'}) : ORIGIN = ${origin}, LENGTH = ${length} /* ${what} */`,
  )
  const but = apart.length ? `EXCLUDE_FILE(${apart.join(' ')}) ` : ''
  const others = `  .text.apart : { *(.text .text.*) } > CODE
  .rodata.apart : { *(.rodata .rodata.*) } > LARGE
`
  return `/* QEMU's ${machine}. */
MEMORY {
${regions.join('\n')}
}
ENTRY(start)
SECTIONS {
  .vectors : { KEEP(*(.vectors)) } > CODE
  .weights : { *(.rodata.*_weights .rodata.*_image) } > LARGE
  .text : {
    *(${but}.text .text.*)
    *(${but}.rodata .rodata.*)
  } > CODE
  .ARM.exidx : { *(.ARM.exidx* .ARM.extab*) } > CODE
${apart.length ? others : ''}  .data : {
    link_data_start = .;
    *(.data .data.*)
    . = ALIGN(4);
    link_data_end = .;
  } > RAM AT > CODE
  link_data_from = LOADADDR(.data);
  .arena (NOLOAD) : { *(.arena .bss.arena) } > LARGE
  .bss (NOLOAD) : {
    link_bss_start = .;
    *(.bss .bss.* COMMON)
    . = ALIGN(4);
    link_bss_end = .;
  } > RAM
  .stack (NOLOAD) : {
    . = ALIGN(8);
    link_stack_bottom = .;
    end = .; /* newlib's heap grows towards the stack */
    . += 64K;
    link_stack_top = .;
  } > RAM
}
`
}

/** C: \`start\`, the vectors, and semihosting, by which the program prints and ends. */
export const STARTUP = `/* Start of a Cortex-M under QEMU: vectors, floating-point unit, memory, main. A part's own start-up code takes its place. */
#include <stdint.h>

extern uint32_t link_stack_top[], link_bss_start[], link_bss_end[];
extern uint32_t link_data_start[], link_data_end[], link_data_from[];
int main(void);

/* Asks QEMU or a debugger: 4 prints a string, 0x18 ends the program. */
int semihost(int operation, const void *argument);
int semihost(int operation, const void *argument) {
  register int r0 __asm("r0") = operation;
  register const void *r1 __asm("r1") = argument;
  __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

__attribute__((noreturn)) void leave(int ok);
__attribute__((noreturn)) void leave(int ok) {
  if (!ok) semihost(0x04, "failed\\n");
  for (;;) semihost(0x18, (const void *)(ok ? 0x20026 : 0x20023));
}

/* Opens stdout, where newlib's semihosting is linked in. */
__attribute__((weak)) void initialise_monitor_handles(void);

__attribute__((weak)) void SysTick_Handler(void);
__attribute__((weak)) void SysTick_Handler(void) {
}

__attribute__((noreturn)) static void fault(void) {
  leave(0);
}

__attribute__((noreturn)) void start(void);
__attribute__((noreturn)) void start(void) {
  volatile uint32_t *coprocessor_access = (volatile uint32_t *)0xe000ed88;
  *coprocessor_access |= 0xfu << 20;
  __asm volatile("dsb\\n isb" ::: "memory");
  const uint32_t *from = link_data_from;
  for (volatile uint32_t *p = link_data_start; p < link_data_end; p++) *p = *from++;
  for (volatile uint32_t *p = link_bss_start; p < link_bss_end; p++) *p = 0;
  if (initialise_monitor_handles) initialise_monitor_handles();
  leave(main() == 0);
}

typedef void (*handler)(void);
__attribute__((section(".vectors"), used)) static const struct {
  uint32_t *stack;
  handler handlers[15];
} vectors = {
    link_stack_top,
    {start, fault, fault, fault, fault, fault, fault, 0, 0, 0, fault, fault, 0, fault, SysTick_Handler},
};
`
