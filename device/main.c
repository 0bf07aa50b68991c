/*
 * Runs the model twice and prints, by semihosting, what it cost: SysTick ticks of the whole run and of each layer, the
 * painted bytes of arena and stack that were overwritten, FNV-1a hashes of the outputs, and once the outputs themselves.
 */
#include "bench.h"

#define SYSTICK_CONTROL (*(volatile uint32_t *)0xe000e010)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xe000e014)
#define SYSTICK_VALUE (*(volatile uint32_t *)0xe000e018)
#define TICKS 0x1000000u

#define CALIBRATION_LOOPS 1000000u
#define STACK_PAINT 0xa5a5a5a5u

extern uint32_t link_stack_bottom[];

static volatile uint32_t wraps;

void tick_wrapped(void) {
  wraps++;
}

static int semihost(int operation, const void *argument) {
  register int r0 __asm("r0") = operation;
  register const void *r1 __asm("r1") = argument;
  __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

__attribute__((noreturn)) void leave(int ok) {
  if (!ok) semihost(0x04, "failed\n");
  for (;;) semihost(0x18, (const void *)0x20026);
}

static void print(const char *label, uint64_t value, unsigned base) {
  char text[32];
  char *p = text + sizeof text;
  *--p = 0;
  *--p = '\n';
  int digits = base == 16 ? 8 : 1;
  do {
    *--p = "0123456789abcdef"[value % base];
    value /= base;
  } while (--digits > 0 || value != 0);
  semihost(0x04, label);
  semihost(0x04, " ");
  semihost(0x04, p);
}

static void start_ticks(int interrupt) {
  SYSTICK_CONTROL = 0;
  SYSTICK_RELOAD = TICKS - 1;
  SYSTICK_VALUE = 0;
  wraps = 0;
  SYSTICK_CONTROL = interrupt ? 7 : 5;
  while (SYSTICK_VALUE == 0) {
  }
}

static uint64_t ticks(void) {
  uint32_t before, value;
  do {
    before = wraps;
    value = SYSTICK_VALUE;
  } while (before != wraps);
  return (uint64_t)before * TICKS + (TICKS - 1 - value);
}

static void prepare(uint8_t paint) {
  for (uint32_t i = 0; i < bench_arena_bytes + BENCH_GUARD; i++) bench_arena[i] = paint;
  if (bench_init() != 0) leave(0);
  for (int i = 0; i < bench_input_count; i++)
    for (uint32_t k = 0; k < bench_inputs[i].bytes; k++) bench_inputs[i].at[k] = bench_inputs[i].from[k];
}

static uint32_t used(uint8_t paint) {
  for (uint32_t i = 0; i < BENCH_GUARD; i++)
    if (bench_arena[bench_arena_bytes + i] != paint) leave(0);
  uint32_t n = bench_arena_bytes;
  while (n > 0 && bench_arena[n - 1] == paint) n--;
  return n;
}

static uint32_t hash(const bench_tensor *t) {
  uint32_t h = 0x811c9dc5u;
  for (uint32_t i = 0; i < t->bytes; i++) h = (h ^ t->at[i]) * 0x01000193u;
  return h;
}

static void print_outputs(void) {
  for (int i = 0; i < bench_output_count; i++) print("output", hash(&bench_outputs[i]), 16);
}

static void print_bytes(const bench_tensor *t) {
  char text[65];
  for (uint32_t i = 0; i < t->bytes; i += 32) {
    char *p = text;
    for (uint32_t k = i; k < i + 32 && k < t->bytes; k++) {
      *p++ = "0123456789abcdef"[t->at[k] >> 4];
      *p++ = "0123456789abcdef"[t->at[k] & 15];
    }
    *p = 0;
    semihost(0x04, "bytes ");
    semihost(0x04, text);
    semihost(0x04, "\n");
  }
}

int main(void) {
  start_ticks(1);
  uint64_t begin = ticks();
  uint32_t loops = CALIBRATION_LOOPS;
  __asm volatile("1: subs %0, %0, #1\n bne 1b" : "+r"(loops) : : "cc");
  print("calibration", ticks() - begin, 10);

  prepare(0xa5);
  start_ticks(1);
  begin = ticks();
  bench_run();
  print("ticks", ticks() - begin, 10);
  uint32_t high = used(0xa5);
  print_outputs();
  for (int i = 0; i < bench_output_count; i++) print_bytes(&bench_outputs[i]);

  prepare(0x5a);
  uint32_t *here;
  __asm volatile("mov %0, sp" : "=r"(here));
  start_ticks(0);
  for (int i = 0; i < bench_layers; i++) {
    for (volatile uint32_t *p = link_stack_bottom; p < here; p++) *p = STACK_PAINT;
    uint32_t first = SYSTICK_VALUE;
    bench_run_layer(i);
    uint32_t last = SYSTICK_VALUE;
    volatile uint32_t *deepest = link_stack_bottom;
    while (deepest < here && *deepest == STACK_PAINT) deepest++;
    print("stack", (uint32_t)((uintptr_t)here - (uintptr_t)deepest), 10);
    print("layer", (first - last) & (TICKS - 1), 10);
  }
  uint32_t high2 = used(0x5a);
  print("used", high2 > high ? high2 : high, 10);
  print_outputs();
  semihost(0x04, "done\n");
  return 0;
}
