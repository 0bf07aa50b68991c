/*
 * A board's part of the serial protocol, for QEMU's MPS boards: a clock of SysTick ticks and a line. The line is semihosting,
 * requests from the file "requests" and answers to QEMU's output, or with -DUART=<address> the board's UART. First it says how
 * many ticks two million instructions take.
 */
#include "mote_serve.h"

#define SYSTICK_CONTROL (*(volatile uint32_t *)0xe000e010)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xe000e014)
#define SYSTICK_VALUE (*(volatile uint32_t *)0xe000e018)
#define TICKS 0x1000000u

#define CALIBRATION_LOOPS 1000000u

/* Of the start-up code. */
int semihost(int operation, const void *argument);

static volatile uint32_t wraps;

void SysTick_Handler(void) {
  wraps++;
}

uint32_t mote_clock_hz(void) {
  return CLOCK_HZ;
}

void mote_clock_start(void) {
  SYSTICK_CONTROL = 0;
  SYSTICK_RELOAD = TICKS - 1;
  SYSTICK_VALUE = 0;
  wraps = 0;
  SYSTICK_CONTROL = 7;
  while (SYSTICK_VALUE == 0) {
  }
}

uint64_t mote_clock_stop(void) {
  uint32_t before, value;
  do {
    before = wraps;
    value = SYSTICK_VALUE;
  } while (before != wraps);
  return (uint64_t)before * TICKS + (TICKS - 1 - value);
}

#ifdef UART
typedef struct {
  volatile uint32_t data, state, control, interrupt, divider; /* CMSDK APB UART */
} uart;

int mote_getchar(void) {
  while ((((uart *)UART)->state & 2) == 0) {
  }
  return (int)(((uart *)UART)->data & 0xff);
}

void mote_putchar(int c) {
  while (((uart *)UART)->state & 1) {
  }
  ((uart *)UART)->data = (uint8_t)c;
}

static void open_line(void) {
  ((uart *)UART)->divider = 16;
  ((uart *)UART)->control = 3;
}
#else
enum { SYS_OPEN = 1, SYS_WRITE0 = 4, SYS_READ = 6 };

static uintptr_t requests;
static char incoming[4096], outgoing[512];
static uint32_t next, have, waiting;

int mote_getchar(void) {
  if (next == have) {
    const uintptr_t arguments[] = {requests, (uintptr_t)incoming, sizeof incoming};
    have = sizeof incoming - (uint32_t)semihost(SYS_READ, arguments);
    next = 0;
    if (have == 0) return -1;
  }
  return (uint8_t)incoming[next++];
}

void mote_putchar(int c) {
  outgoing[waiting++] = (char)c;
  if (c != '\n' && waiting < sizeof outgoing - 1) return;
  outgoing[waiting] = 0;
  waiting = 0;
  semihost(SYS_WRITE0, outgoing);
}

static void open_line(void) {
  static const char name[] = "requests";
  const uintptr_t arguments[] = {(uintptr_t)name, 0, sizeof name - 1};
  requests = (uintptr_t)semihost(SYS_OPEN, arguments);
}
#endif

static void calibrate(void) {
  uint32_t loops = CALIBRATION_LOOPS;
  mote_clock_start();
  __asm volatile("1: subs %0, %0, #1\n bne 1b" : "+r"(loops) : : "cc");
  uint64_t ticks = mote_clock_stop();
  for (const char *p = "calibration "; *p; p++) mote_putchar(*p);
  for (uint64_t unit = 1000000; unit > 0; unit /= 10) mote_putchar((int)('0' + ticks / unit % 10));
  mote_putchar('\n');
}

int main(void) {
  open_line();
  calibrate();
  mote_serve();
  return 0;
}
