// The page that stands in a project: how to build it, what the model needs, and where its files go in the projects of the
// usual vendors. Facts: reference manuals of the STM32 lines, documentation of Zephyr, the Pico SDK and ESP-IDF.

import type { Program } from '../program.ts'
import type { EmulatedBoard } from './board.ts'

const bytes = (n: number) => n.toLocaleString('en-US')

/** Markdown. */
export function projectNotes({ name, plan, target }: Program, board: EmulatedBoard): string {
  const UP = name.toUpperCase()
  return `# ${name}

A model as C, and an example that runs it once on generated inputs and prints the outputs.

    make run      build with arm-none-eabi-gcc and run in QEMU (${board.machine}, ${board.core})
    make host     build with cc and run here: the same outputs
    make size     bytes of code, weights and data

    cmake -B build -DCMAKE_TOOLCHAIN_FILE=arm-none-eabi.cmake
    cmake --build build --target run

On Debian and Ubuntu: \`apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm\`.

| | |
|---|---|
| \`${name}.c\`, \`${name}.h\` | the model, made for ${target}; the header says how to use it. These two go into your firmware |
| \`main.c\` | the example: put your sensor where the inputs are generated |
| \`startup.c\`, \`${board.machine}.ld\` | for QEMU's board only: your part has its own |
| \`Makefile\`, \`CMakeLists.txt\`, \`arm-none-eabi.cmake\` | the two ways to build |

\`mote compile\` without \`--project\` writes \`${name}.c\` and \`${name}.h\` anew and leaves the other files, which are yours to edit.

## What it needs

- **RAM**: an arena of ${bytes(plan.arenaBytes)} bytes (\`${UP}_ARENA_BYTES\`), aligned to \`${UP}_ARENA_ALIGN\`; \`${name}_t\`, and some
  hundred bytes of stack. Nothing is allocated.
- **Flash**: ${bytes(plan.weightBytes)} bytes of weights and the code; \`make size\` prints both.
- **Flags**: \`-O2\`, and \`-std=c99\` or \`-ffp-contract=off\`: with float layers, fused multiply-adds would change results, and
  \`${name}_init\` returns 3. For this target: \`${board.flags.join(' ')}\`.
- **Order**: the unit for floats and vectors must be on (CPACR) before \`${name}_init\`, as the start-up code of every vendor has it.

## Where things go

The weights are one constant, \`${name}_weights\`, in a section of their own, \`.rodata.${name}_weights\`, which every linker script puts
into flash. \`-DMOTE_WEIGHTS_SECTION='__attribute__((section(".name")))'\` puts them elsewhere. The arena is any memory that you hand to
\`${name}_init\`; in \`main.c\`, \`-DMOTE_ARENA_SECTION=...\` says where. Take the fastest RAM that has room.

### STM32 (STM32CubeIDE, CubeMX)

- Add \`${name}.c\` to \`Core/Src\` and \`${name}.h\` to \`Core/Inc\`. In the project's properties, C/C++ Build, Settings, MCU GCC Compiler:
  Optimization \`-O2\`; Miscellaneous \`-ffp-contract=off\` (the default standard there is gnu11).
- Memory is in the linker script, \`STM32..._FLASH.ld\`. A section for the arena, before \`.bss\`, that start-up code leaves alone:

      .arena (NOLOAD) : { *(.bss.arena) } >RAM

- Which RAM: STM32F4 parts with CCM (F405, F407, F42x, F43x): \`>CCMRAM\`, 64 KB at 0x10000000, where no DMA reaches. STM32F7: the
  DTCM is the start of RAM at 0x20000000 (64 KB on F74x, 128 KB on F76x). STM32H7: \`>DTCMRAM\`, 128 KB, or \`>RAM_D1\`, 512 KB.
- On Cortex-M7, enable both caches before the first run. Where DMA writes an input, invalidate its lines
  (\`SCB_InvalidateDCache_by_Addr\`) before \`${name}_run\`; DMA1 and DMA2 of the STM32H7 do not reach the DTCM at all.
- Weights in external flash: memory-mapped QSPI begins at 0x90000000. Add a region and a section for them, and flash it separately.

### nRF52, nRF53 (nRF Connect SDK, Zephyr)

- \`CMakeLists.txt\`: \`target_sources(app PRIVATE src/${name}.c)\` and
  \`set_source_files_properties(src/${name}.c PROPERTIES COMPILE_OPTIONS "-O2;-ffp-contract=off")\`, since Zephyr builds for size.
- \`prj.conf\`: \`CONFIG_FPU=y\` for float layers. The main stack (\`CONFIG_MAIN_STACK_SIZE\`) needs no room for tensors.
- The arena as \`static __noinit uint64_t arena[...]\` costs no time at start.

### RP2040 (Pico SDK)

- Compile for \`--target portable\`: a Cortex-M0+ has neither the instructions of larger cores nor a unit for floats.
- \`CMakeLists.txt\`: \`add_executable(app main.c ${name}.c)\`, \`target_link_libraries(app pico_stdlib)\`,
  \`set_source_files_properties(${name}.c PROPERTIES COMPILE_OPTIONS "-O2;-ffp-contract=off")\`.
- Weights stay in the external flash and are read through its cache (XIP, 16 KB). If RAM has room for them:
  \`-DMOTE_WEIGHTS_SECTION='__attribute__((section(".time_critical.weights")))'\` has them copied at start.

### ESP32-S3 (ESP-IDF)

- Compile for \`--target portable\`, and make a component of the two files: \`components/${name}/CMakeLists.txt\` with
  \`idf_component_register(SRCS "${name}.c" INCLUDE_DIRS ".")\` and
  \`target_compile_options(\${COMPONENT_LIB} PRIVATE -O2 -ffp-contract=off)\`.
- A static arena lies in internal RAM. In PSRAM: \`EXT_RAM_BSS_ATTR static uint64_t arena[...]\` with
  \`CONFIG_SPIRAM_ALLOW_BSS_SEG_EXTERNAL_MEMORY=y\`; it is slower.
- Weights stay in flash behind the cache. In internal RAM: \`-DMOTE_WEIGHTS_SECTION='__attribute__((section(".dram1.weights")))'\`.
`
}
