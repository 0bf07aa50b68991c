/* separable: 7848 multiply-accumulates, 320 bytes of RAM, 1040 bytes of weights. */
#ifndef MOTE_SEPARABLE_H
#define MOTE_SEPARABLE_H

#include <stdint.h>

#define SEPARABLE_ARENA_BYTES 320
#define SEPARABLE_ARENA_ALIGN 8
#define SEPARABLE_LAYERS 7
#define SEPARABLE_WEIGHTS_BYTES 1040
/* Weights of equal layout are interchangeable; the hash (FNV-1a) tells two of them apart. */
#define SEPARABLE_WEIGHTS_LAYOUT 0xbbbc63abu
#define SEPARABLE_WEIGHTS_HASH 0x14c65c11u
/* picture: i8[1, 8, 8, 3] s=0.05000000074505806 z=-3 */
#define SEPARABLE_INPUT_COUNT 192
#define SEPARABLE_INPUT_DIMS 4
#define SEPARABLE_INPUT_SHAPE {1, 8, 8, 3}
#define SEPARABLE_INPUT_SCALE 0.05f
#define SEPARABLE_INPUT_ZERO_POINT -3
/* scores: i8[1, 5] s=0.10000000149011612 z=4 */
#define SEPARABLE_OUTPUT_COUNT 5
#define SEPARABLE_OUTPUT_DIMS 2
#define SEPARABLE_OUTPUT_SHAPE {1, 5}
#define SEPARABLE_OUTPUT_SCALE 0.1f
#define SEPARABLE_OUTPUT_ZERO_POINT 4

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  int8_t stem_weight[216];
  int32_t stem_bias[8];
  int32_t stem_m[8];
  int8_t stem_s[8];
  int32_t stem_q[4];
  int8_t block_1_depthwise_weight[72];
  int32_t block_1_depthwise_bias[8];
  int32_t block_1_depthwise_m[8];
  int8_t block_1_depthwise_s[8];
  int32_t block_1_depthwise_q[4];
  int8_t block_1_pointwise_weight[64];
  int32_t block_1_pointwise_bias[8];
  int32_t block_1_pointwise_m[8];
  int8_t block_1_pointwise_s[8];
  int32_t block_1_pointwise_q[4];
  int8_t block_2_depthwise_weight[72];
  int32_t block_2_depthwise_bias[8];
  int32_t block_2_depthwise_m[8];
  int8_t block_2_depthwise_s[8];
  int32_t block_2_depthwise_q[4];
  int8_t block_2_pointwise_weight[64];
  int32_t block_2_pointwise_bias[8];
  int32_t block_2_pointwise_m[8];
  int8_t block_2_pointwise_s[8];
  int32_t block_2_pointwise_q[4];
  int8_t scores_weight[40];
  int32_t scores_bias[5];
  uint8_t pad_27[4];
  int32_t scores_m[5];
  uint8_t pad_29[4];
  int8_t scores_s[5];
  uint8_t pad_31[3];
  int32_t scores_q[4];
} separable_weights_t;

typedef struct {
  uint8_t *arena;
  const separable_weights_t *weights;
} separable_t;

extern const separable_weights_t separable_weights;

/*
 * Binds the arena (SEPARABLE_ARENA_BYTES bytes) and the weights (NULL: the built-in ones). Returns 0, or
 * 1 where there is no arena, or it is not aligned to SEPARABLE_ARENA_ALIGN bytes; 2 where the weights are not;
 * 3 where the compiler was told to fuse float operations, so that results would differ from the model's.
 * After another number than 0, as in a separable_t of zeros, the functions below do nothing, and there are no tensors.
 */
int separable_init(separable_t *m, void *arena, const separable_weights_t *weights);

/* Puts tensors that live between runs back to what they start from. */
void separable_reset(separable_t *m);

/*
 * Computes the outputs. Inputs must be written again before each run: their bytes are reused.
 * Returns 0, -1 before init.
 */
int separable_run(separable_t *m);

/* Runs layers first to end - 1, those of them that are among SEPARABLE_LAYERS. */
int separable_run_layers(separable_t *m, int first, int end);

int8_t *separable_input(const separable_t *m);
const int8_t *separable_output(const separable_t *m);

#ifdef __cplusplus
}
#endif

#endif
