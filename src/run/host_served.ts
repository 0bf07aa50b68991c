// Generated C on the machine at hand as a device that speaks the serial protocol over its standard input and output, with a
// clock that counts nanoseconds.

import { emitC } from '../emit/c/program.ts'
import { serveC } from '../emit/c/serve.ts'
import type { Plan } from '../plan/plan.ts'
import { build, execute, type HostOptions } from './host_c.ts'
import { answersIn, type Exchange, framed } from './serial_protocol.ts'

export const HOST_CLOCK_HZ = 1e9

const BOARD = `#define _POSIX_C_SOURCE 199309L
#include "mote_serve.h"
#include <stdio.h>
#include <time.h>

static struct timespec start;

int mote_getchar(void) {
  return getchar();
}

void mote_putchar(int c) {
  putchar(c);
}

uint32_t mote_clock_hz(void) {
  return ${HOST_CLOCK_HZ};
}

void mote_clock_start(void) {
  clock_gettime(CLOCK_MONOTONIC, &start);
}

uint64_t mote_clock_stop(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)((now.tv_sec - start.tv_sec) * ${HOST_CLOCK_HZ} + now.tv_nsec - start.tv_nsec);
}

int main(void) {
  mote_serve();
  return 0;
}
`

/** Compiles the plan's C once; what comes back asks it, in a process of its own each time. Throws ToolError without a compiler. */
export function servedHostC(plan: Plan, options: HostOptions = {}): <T>(exchange: Exchange<T>) => T {
  const program = build(
    [...emitC(plan, 'model').files, ...serveC(plan, 'model'), { name: 'main.c', text: BOARD }],
    options,
  )
  return ({ requests, read }) => {
    const printed = execute(program, Buffer.from(requests.map(framed).join('')))
    return read(answersIn('host-c', requests, `${Buffer.from(printed)}`))
  }
}
