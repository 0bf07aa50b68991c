/* What device/main.c knows of the model that it runs: written for each model by the benchmark. */
#ifndef MOTE_BENCH_H
#define MOTE_BENCH_H

#include <stdint.h>

typedef struct {
  uint8_t *at;
  const uint8_t *from; /* an input's bytes */
  uint32_t bytes;
} bench_tensor;

/* Bytes behind the arena that nothing may write. */
#define BENCH_GUARD 64

extern uint8_t bench_arena[]; /* bench_arena_bytes + BENCH_GUARD */
extern const uint32_t bench_arena_bytes;
extern const int bench_layers;
extern const int bench_input_count, bench_output_count;
extern const bench_tensor bench_inputs[], bench_outputs[];

int bench_init(void);
void bench_run(void);
void bench_run_layer(int layer);

#endif
