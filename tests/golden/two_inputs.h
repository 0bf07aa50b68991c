/* two-inputs: 1956 multiply-accumulates, 736 bytes of RAM, 288 bytes of weights. */
#ifndef MOTE_TWO_INPUTS_H
#define MOTE_TWO_INPUTS_H

#include <stdint.h>

#define TWO_INPUTS_ARENA_BYTES 736
#define TWO_INPUTS_ARENA_ALIGN 8
#define TWO_INPUTS_LAYERS 3
#define TWO_INPUTS_WEIGHTS_BYTES 288
/* Weights of equal layout are interchangeable; the hash (FNV-1a) tells two of them apart. */
#define TWO_INPUTS_WEIGHTS_LAYOUT 0xecec52cdu
#define TWO_INPUTS_WEIGHTS_HASH 0x605861fau
/* image: f32[1, 6, 6, 2] */
#define TWO_INPUTS_INPUT0_COUNT 72
#define TWO_INPUTS_INPUT0_DIMS 4
#define TWO_INPUTS_INPUT0_SHAPE {1, 6, 6, 2}
/* features: f32[1, 4] */
#define TWO_INPUTS_INPUT1_COUNT 4
#define TWO_INPUTS_INPUT1_DIMS 2
#define TWO_INPUTS_INPUT1_SHAPE {1, 4}
/* pool: f32[1, 3, 3, 3] */
#define TWO_INPUTS_OUTPUT0_COUNT 27
#define TWO_INPUTS_OUTPUT0_DIMS 4
#define TWO_INPUTS_OUTPUT0_SHAPE {1, 3, 3, 3}
/* dense: f32[1, 3] */
#define TWO_INPUTS_OUTPUT1_COUNT 3
#define TWO_INPUTS_OUTPUT1_DIMS 2
#define TWO_INPUTS_OUTPUT1_SHAPE {1, 3}

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  float dense_weight[12];
  float conv_weight[54];
  float conv_bias[3];
  uint8_t pad_3[4];
  float conv_limit[2];
} two_inputs_weights_t;

typedef struct {
  uint8_t *arena;
  const two_inputs_weights_t *weights;
} two_inputs_t;

extern const two_inputs_weights_t two_inputs_weights;

/*
 * Binds the arena (TWO_INPUTS_ARENA_BYTES bytes) and the weights (NULL: the built-in ones). Returns 0, or
 * 1 where there is no arena, or it is not aligned to TWO_INPUTS_ARENA_ALIGN bytes; 2 where the weights are not;
 * 3 where the compiler was told to fuse float operations, so that results would differ from the model's.
 * After another number than 0, as in a two_inputs_t of zeros, the functions below do nothing, and there are no tensors.
 */
int two_inputs_init(two_inputs_t *m, void *arena, const two_inputs_weights_t *weights);

/* Puts tensors that live between runs back to what they start from. */
void two_inputs_reset(two_inputs_t *m);

/*
 * Computes the outputs. Inputs must be written again before each run: their bytes are reused.
 * Returns 0, -1 before init.
 */
int two_inputs_run(two_inputs_t *m);

/* Runs layers first to end - 1, those of them that are among TWO_INPUTS_LAYERS. */
int two_inputs_run_layers(two_inputs_t *m, int first, int end);

float *two_inputs_input0(const two_inputs_t *m);
float *two_inputs_input1(const two_inputs_t *m);
const float *two_inputs_output0(const two_inputs_t *m);
const float *two_inputs_output1(const two_inputs_t *m);

#ifdef __cplusplus
}
#endif

#endif
