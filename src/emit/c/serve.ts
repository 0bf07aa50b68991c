// Plan -> the C of a program that runs the model as it is asked to over a serial line, and says what it cost: the device's
// part of docs/serial-protocol.md. The board supplies two functions for the line and three for a clock.

import { InputError } from '../../errors.ts'
import { bytesOf } from '../../ir/graph.ts'
import { fingerprint } from '../../ir/hash.ts'
import { pushedInput } from '../../plan/external.ts'
import type { Plan } from '../../plan/plan.ts'
import type { OutputFile, Program } from '../program.ts'
import { mappedHooks } from './external.ts'
import { type CFile, emitC } from './program.ts'

/** Bytes of tensors that one line carries at most; a multiple of 3. */
export const PIECE_BYTES = 360

/** What tells programs apart: eight hex digits over all that the compiler wrote, whatever its files and the model are called. */
export function programId(plan: Plan): string {
  return fingerprint(
    emitC({ ...plan, graph: { ...plan.graph, name: 'model' } }, 'model')
      .files.map((f) => f.text)
      .join(''),
  )
}

const HEADER = `/* A model on a serial line: see docs/serial-protocol.md of mote. */
#ifndef MOTE_SERVE_H
#define MOTE_SERVE_H

#include <stdint.h>

/* The board's part: the line. */
int mote_getchar(void); /* waits for the next byte; below 0 where the line is closed */
void mote_putchar(int c);

/* The board's part: a clock. With -DMOTE_CLOCK_DWT=<core clock in Hz> it is the cycle counter of a Cortex-M3 or larger. */
uint32_t mote_clock_hz(void); /* counts a second */
void mote_clock_start(void);
uint64_t mote_clock_stop(void); /* counts since the start */

/* Answers requests until the line is closed. */
void mote_serve(void);

#endif
`

/** `mote_serve.h` and `<name>_serve.c`, beside the files of `emitC(plan, name)`. */
export function serveC(plan: Plan, name: string): readonly CFile[] {
  const UP = name.toUpperCase()
  const pushed = pushedInput(plan)
  const pulled = plan.external?.input ? plan.streamed?.input : undefined
  const hooks = mappedHooks(plan.external, name, 'input')
  const how = `${plan.target.name} ${pushed ? 'streamed' : pulled ? 'external' : 'held'}`
  const hello = `hello 1 ${programId(plan)} ${plan.weights.layoutId} ${plan.weights.hash} ${how} ${name}`
  const segments = [
    `  if (words(p, "arena")) return (segment){arena, ${UP}_ARENA_BYTES};`,
    `  if (words(p, "weights")) return (segment){(uint8_t *)(uintptr_t)&${name}_weights, ${UP}_WEIGHTS_BYTES};`,
    ...(pushed ? [`  if (words(p, "row")) return (segment){row, ${UP}_ROW_BYTES};`] : []),
    ...(pulled ? ['  if (words(p, "input")) return (segment){input, sizeof input};'] : []),
  ]
  const push = `  else if (words(&p, "push")) {
    measure_begin();
    ${plan.learning ? `if (${name}_push_row(&model, row, ${UP}_ROW_BYTES) == 1)\n      ${name}_run_layers(&model, ${UP}_PREDICTED, ${UP}_LAYERS);` : `${name}_push_row(&model, row, ${UP}_ROW_BYTES);`}
    measure_end();
  }`
  const text = `/* The device's part of mote's serial protocol, for ${name}. Generated. */
#include "mote_serve.h"
#include "${name}.h"

#include <stddef.h>

#ifndef MOTE_ARENA_SECTION
#define MOTE_ARENA_SECTION
#endif

enum { GUARD = 64, PIECE = ${PIECE_BYTES}, LINE = PIECE / 3 * 4 + 64 };

static ${name}_t model;
MOTE_ARENA_SECTION __attribute__((aligned(64))) static uint8_t memory[GUARD + ${UP}_ARENA_BYTES + GUARD];
static uint8_t *const arena = memory + GUARD;
${pushed ? `static uint8_t row[${UP}_ROW_BYTES];\n` : ''}static uint8_t paint;
${pulled ? `static __attribute__((aligned(4))) uint8_t input[${bytesOf(pulled.type)}];\n` : ''}${hooks.text}static char line[LINE];
static uint32_t check; /* FNV-1a of the line so far */

typedef struct {
  uint8_t *at;
  uint32_t bytes;
} segment;

static void put(char c) {
  check = (check ^ (uint8_t)c) * 0x01000193u;
  mote_putchar(c);
}

static void put_text(const char *text) {
  while (*text) put(*text++);
}

static void put_hex(uint32_t n) {
  for (int shift = 28; shift >= 0; shift -= 4) put("0123456789abcdef"[n >> shift & 15]);
}

static void put_number(uint64_t n) {
  char text[21];
  char *p = text + sizeof text;
  *--p = 0;
  do {
    *--p = (char)('0' + n % 10);
    n /= 10;
  } while (n != 0);
  put(' ');
  put_text(p);
}

/* A line is '@', the text, " #" and the check of the text as eight hex digits. */
static void answer(const char *word) {
  mote_putchar('@');
  check = 0x811c9dc5u;
  put_text(word);
}

static void end(void) {
  const uint32_t h = check;
  put_text(" #");
  put_hex(h);
  mote_putchar('\\n');
}

static void say(const char *text) {
  answer(text);
  end();
}

/* Takes a word off the front of a request. */
static int words(const char **p, const char *word) {
  const char *q = *p;
  while (*word)
    if (*q++ != *word++) return 0;
  if (*q != 0 && *q != ' ') return 0;
  *p = *q ? q + 1 : q;
  return 1;
}

static uint32_t number(const char **p) {
  uint32_t n = 0;
  while (**p >= '0' && **p <= '9') n = n * 10 + (uint32_t)(*(*p)++ - '0');
  if (**p == ' ') ++*p;
  return n;
}

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Base64 to bytes. Returns how many there were, or -1 where they are more than there is room for, or no base64. */
static int32_t decode(const char *p, uint8_t *to, uint32_t room) {
  uint32_t bits = 0, have = 0, n = 0;
  for (; *p && *p != '='; p++) {
    uint32_t digit = 0;
    while (digit < 64 && DIGITS[digit] != *p) digit++;
    if (digit == 64) return -1;
    bits = bits << 6 | digit;
    have += 6;
    if (have < 8) continue;
    if (n == room) return -1;
    have -= 8;
    to[n++] = (uint8_t)(bits >> have);
  }
  return (int32_t)n;
}

static void put_bytes(const uint8_t *from, uint32_t bytes) {
  for (uint32_t i = 0; i < bytes; i += 3) {
    uint32_t three = 0;
    for (uint32_t k = 0; k < 3; k++) three = three << 8 | (i + k < bytes ? from[i + k] : 0u);
    for (uint32_t k = 0; k < 4; k++) put(i + k > bytes ? '=' : DIGITS[three >> (18 - 6 * k) & 63]);
  }
}

/* The stack below this function is painted before a run and looked through after it. */
#if defined(MOTE_STACK_BOTTOM) && defined(__arm__)
extern uint32_t MOTE_STACK_BOTTOM[];
static volatile uint32_t *stack_top;
#define STACK_PAINT 0xa5a5a5a5u
#define measure_begin() \\
  do { \\
    uint32_t *here; \\
    __asm volatile("mov %0, sp" : "=r"(here)); \\
    stack_top = here; \\
    for (volatile uint32_t *q = MOTE_STACK_BOTTOM; q < stack_top; q++) *q = STACK_PAINT; \\
    mote_clock_start(); \\
  } while (0)
static uint32_t stack_bytes(void) {
  const volatile uint32_t *deepest = MOTE_STACK_BOTTOM;
  while (deepest < stack_top && *deepest == STACK_PAINT) deepest++;
  return (uint32_t)((uintptr_t)stack_top - (uintptr_t)deepest);
}
#else
#define measure_begin() mote_clock_start()
static uint32_t stack_bytes(void) {
  return 0;
}
#endif

static void measure_end(void) {
  const uint64_t counts = mote_clock_stop();
  answer("ran");
  put_number(counts);
  put_number(stack_bytes());
  end();
}

static void put_used(void) {
  uint32_t n = ${UP}_ARENA_BYTES, guard = 0;
  while (guard < GUARD && memory[guard] == paint && arena[${UP}_ARENA_BYTES + guard] == paint) guard++;
  while (n > 0 && arena[n - 1] == paint) n--;
  answer("used");
  put_number(n);
  put_number(guard == GUARD);
  end();
}

static segment segment_of(const char **p) {
${segments.join('\n')}
  return (segment){NULL, 0};
}

static void obey(const char *p) {
  if (words(&p, "hello")) {
    answer("${hello}");
    put_number(${UP}_ARENA_BYTES);
    put_number(${UP}_LAYERS);
    put_number(mote_clock_hz());
    end();
  } else if (words(&p, "init")) {
    paint = (uint8_t)number(&p);
    for (uint32_t i = 0; i < sizeof memory; i++) memory[i] = paint;
    measure_begin();
    const int fault = ${name}_init(&model, arena, NULL${hooks.arguments});
    if (fault == 0) measure_end();
    else {
      answer("error init returned");
      put_number((uint64_t)fault);
      end();
    }
  } else if (words(&p, "write")) {
    const segment s = segment_of(&p);
    const uint32_t at = number(&p);
    say(s.at && at <= s.bytes && decode(p, s.at + at, s.bytes - at) >= 0 ? "ok" : "error no such place");
  } else if (words(&p, "read")) {
    const segment s = segment_of(&p);
    const uint32_t at = number(&p), bytes = number(&p);
    if (!s.at || at > s.bytes || bytes > s.bytes - at || bytes > PIECE) say("error no such place");
    else {
      answer("bytes ");
      put_bytes(s.at + at, bytes);
      end();
    }
  } else if (words(&p, "run")) {
    const uint32_t first = number(&p), last = number(&p);
    measure_begin();
    (void)${name}_run_layers(&model, (int)first, (int)last);
    measure_end();
  } else if (words(&p, "used")) put_used();
${pushed ? `${push}\n` : ''}  else say("error unknown request");
}

/* A request of the same form as answers, in place of its check a 0; or what is wrong with it. */
static const char *damage(uint32_t length) {
  uint32_t h = 0x811c9dc5u;
  if (length >= LINE) return "error too long";
  if (length < 10 || line[length - 10] != ' ' || line[length - 9] != '#') return "error damaged";
  for (uint32_t i = 0; i < length - 10; i++) h = (h ^ (uint8_t)line[i]) * 0x01000193u;
  for (uint32_t i = 0; i < 8; i++)
    if (line[length - 8 + i] != "0123456789abcdef"[h >> (28 - 4 * i) & 15]) return "error damaged";
  line[length - 10] = 0;
  return NULL;
}

void mote_serve(void) {
  int32_t length = -1; /* outside a line */
  for (;;) {
    const int c = mote_getchar();
    if (c < 0) return;
    if (c == '@') length = 0;
    else if (c == '\\n' && length >= 0) {
      const char *fault = damage((uint32_t)length);
      if (fault) say(fault);
      else obey(line);
      length = -1;
    } else if (c != '\\r' && length >= 0) {
      if (length < LINE) line[length++] = (char)c;
    }
  }
}

#if defined(MOTE_CLOCK_DWT)
static volatile uint32_t *const DEMCR = (volatile uint32_t *)0xe000edfcu;
static volatile uint32_t *const DWT_CTRL = (volatile uint32_t *)0xe0001000u;
static volatile uint32_t *const DWT_CYCCNT = (volatile uint32_t *)0xe0001004u;
static volatile uint32_t *const DWT_LAR = (volatile uint32_t *)0xe0001fb0u; /* locked after reset on some Cortex-M7 */

uint32_t mote_clock_hz(void) {
  return MOTE_CLOCK_DWT;
}

void mote_clock_start(void) {
  *DEMCR |= 1u << 24;
  *DWT_LAR = 0xc5acce55u;
  *DWT_CYCCNT = 0;
  *DWT_CTRL |= 1u;
}

uint64_t mote_clock_stop(void) {
  return *DWT_CYCCNT;
}
#endif
`
  return [
    { name: 'mote_serve.h', text: HEADER },
    { name: `${name}_serve.c`, text },
  ]
}

/** `serveC` beside the files of a program. Throws InputError where that is no C. */
export function serveFiles({ name, plan, target }: Program): OutputFile[] {
  if (plan.target.emits !== 'c')
    throw new InputError('--serve', `is for C, not for ${target}`, 'choose --target c or a Cortex-M')
  return serveC(plan, name).map((f) => ({ name: f.name, data: f.text }))
}
