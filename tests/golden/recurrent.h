/* recurrent: 28 multiply-accumulates, 48 bytes of RAM, 116 bytes of weights. */
#ifndef MOTE_RECURRENT_H
#define MOTE_RECURRENT_H

#include <stdint.h>

#define RECURRENT_ARENA_BYTES 48
#define RECURRENT_ARENA_ALIGN 8
#define RECURRENT_LAYERS 5
#define RECURRENT_WEIGHTS_BYTES 116
/* Weights of equal layout are interchangeable; the hash (FNV-1a) tells two of them apart. */
#define RECURRENT_WEIGHTS_LAYOUT 0xad1cccacu
#define RECURRENT_WEIGHTS_HASH 0x5c463808u
/* sample: f32[1, 3] */
#define RECURRENT_INPUT_COUNT 3
#define RECURRENT_INPUT_DIMS 2
#define RECURRENT_INPUT_SHAPE {1, 3}
/* next: f32[1, 4] */
#define RECURRENT_OUTPUT_COUNT 4
#define RECURRENT_OUTPUT_DIMS 2
#define RECURRENT_OUTPUT_SHAPE {1, 4}

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  float from_input_weight[12];
  float from_hidden_weight[16];
  float hidden[1];
} recurrent_weights_t;

typedef struct {
  uint8_t *arena;
  const recurrent_weights_t *weights;
} recurrent_t;

extern const recurrent_weights_t recurrent_weights;

/*
 * Binds the arena (RECURRENT_ARENA_BYTES bytes) and the weights (NULL: the built-in ones). Returns 0, or
 * 1 where there is no arena, or it is not aligned to RECURRENT_ARENA_ALIGN bytes; 2 where the weights are not;
 * 3 where the compiler was told to fuse float operations, so that results would differ from the model's.
 * After another number than 0, as in a recurrent_t of zeros, the functions below do nothing, and there are no tensors.
 */
int recurrent_init(recurrent_t *m, void *arena, const recurrent_weights_t *weights);

/* Puts tensors that live between runs back to what they start from. */
void recurrent_reset(recurrent_t *m);

/*
 * Computes the outputs. Inputs must be written again before each run: their bytes are reused.
 * Returns 0, -1 before init.
 */
int recurrent_run(recurrent_t *m);

/* Runs layers first to end - 1, those of them that are among RECURRENT_LAYERS. */
int recurrent_run_layers(recurrent_t *m, int first, int end);

float *recurrent_input(const recurrent_t *m);
const float *recurrent_output(const recurrent_t *m);

#ifdef __cplusplus
}
#endif

#endif
