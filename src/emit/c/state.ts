// What a model remembers between runs starts from the weight segment: from bytes as many, or from one element that is repeated.

import type { Plan } from '../../plan/plan.ts'
import { comment } from './names.ts'

/** An element of 1, 2 or 4 bytes becomes many, at an aligned place: 64 bytes in four instructions where the core has STM. */
const FILL = `static void fill(uint8_t *to, const uint8_t *from, uint32_t size, uint32_t bytes) {
  uint8_t pattern[4];
  uint32_t word;
  uint32_t i;
  for (i = 0; i < 4; i++) pattern[i] = from[i & (size - 1)];
  memcpy(&word, pattern, 4);
#if defined(__GNUC__) && defined(__thumb2__)
  if (bytes >= 64) {
    const uint8_t *const end = to + (bytes & ~63u);
    __asm__ volatile(
      "mov r2, %2\\n mov r3, %2\\n mov r4, %2\\n mov r5, %2\\n mov r6, %2\\n mov r8, %2\\n mov r10, %2\\n mov r12, %2\\n"
      "1: stmia %0!, {r2, r3, r4, r5, r6, r8, r10, r12}\\n stmia %0!, {r2, r3, r4, r5, r6, r8, r10, r12}\\n"
      "cmp %0, %1\\n bne 1b"
      : "+r"(to)
      : "r"(end), "r"(word)
      : "r2", "r3", "r4", "r5", "r6", "r8", "r10", "r12", "cc", "memory");
    bytes &= 63u;
  }
#endif
  for (; bytes >= 4; bytes -= 4, to += 4) memcpy(to, &word, 4);
  memcpy(to, &word, bytes);
}
`

/** The lines that put every state of `plan` back to where it starts, and the functions that they call. */
export function stateText({ state }: Plan): { readonly lines: string[]; readonly functions: string } {
  const lines = state.map(({ value, place, initial }) => {
    const [to, from] = [`m->arena + ${place.offset}`, `(const uint8_t *)m->weights + ${initial.offset}`]
    const copy =
      initial.bytes < place.bytes
        ? `fill(${to}, ${from}, ${initial.bytes}, ${place.bytes})`
        : `memcpy(${to}, ${from}, ${place.bytes})`
    return `  ${copy}; /* ${comment(value.name)} */`
  })
  return { lines, functions: lines.some((line) => line.startsWith('  fill')) ? `${FILL}\n` : '' }
}
