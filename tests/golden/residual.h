/* residual: 7344 multiply-accumulates, 1008 bytes of RAM, 1592 bytes of weights. */
#ifndef MOTE_RESIDUAL_H
#define MOTE_RESIDUAL_H

#include <stdint.h>

#define RESIDUAL_ARENA_BYTES 1008
#define RESIDUAL_ARENA_ALIGN 8
#define RESIDUAL_LAYERS 6
#define RESIDUAL_WEIGHTS_BYTES 1592
/* Weights of equal layout are interchangeable; the hash (FNV-1a) tells two of them apart. */
#define RESIDUAL_WEIGHTS_LAYOUT 0x60ccb7bdu
#define RESIDUAL_WEIGHTS_HASH 0x2631f364u
/* picture: i8[1, 6, 6, 4] s=0.03999999910593033 z=2 */
#define RESIDUAL_INPUT_COUNT 144
#define RESIDUAL_INPUT_DIMS 4
#define RESIDUAL_INPUT_SHAPE {1, 6, 6, 4}
#define RESIDUAL_INPUT_SCALE 0.04f
#define RESIDUAL_INPUT_ZERO_POINT 2
/* softmax: i8[1, 4] s=0.00390625 z=-128 */
#define RESIDUAL_OUTPUT_COUNT 4
#define RESIDUAL_OUTPUT_DIMS 2
#define RESIDUAL_OUTPUT_SHAPE {1, 4}
#define RESIDUAL_OUTPUT_SCALE 0.00390625f
#define RESIDUAL_OUTPUT_ZERO_POINT -128

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  int8_t expand_weight[48];
  int32_t expand_bias[12];
  int32_t expand_m[12];
  int8_t expand_s[12];
  uint8_t pad_4[4];
  int32_t expand_q[4];
  int8_t depthwise_weight[108];
  uint8_t pad_7[4];
  int32_t depthwise_bias[12];
  int32_t depthwise_m[12];
  int8_t depthwise_s[12];
  uint8_t pad_11[4];
  int32_t depthwise_q[4];
  int8_t project_weight[48];
  int32_t project_bias[4];
  int32_t project_m[4];
  int8_t project_s[4];
  uint8_t pad_17[4];
  int32_t project_q[4];
  int32_t sum_q[11];
  uint8_t pad_20[4];
  int32_t softmax_e[256];
} residual_weights_t;

typedef struct {
  uint8_t *arena;
  const residual_weights_t *weights;
} residual_t;

extern const residual_weights_t residual_weights;

/*
 * Binds the arena (RESIDUAL_ARENA_BYTES bytes) and the weights (NULL: the built-in ones). Returns 0, or
 * 1 where there is no arena, or it is not aligned to RESIDUAL_ARENA_ALIGN bytes; 2 where the weights are not;
 * 3 where the compiler was told to fuse float operations, so that results would differ from the model's.
 * After another number than 0, as in a residual_t of zeros, the functions below do nothing, and there are no tensors.
 */
int residual_init(residual_t *m, void *arena, const residual_weights_t *weights);

/* Puts tensors that live between runs back to what they start from. */
void residual_reset(residual_t *m);

/*
 * Computes the outputs. Inputs must be written again before each run: their bytes are reused.
 * Returns 0, -1 before init.
 */
int residual_run(residual_t *m);

/* Runs layers first to end - 1, those of them that are among RESIDUAL_LAYERS. */
int residual_run_layers(residual_t *m, int first, int end);

int8_t *residual_input(const residual_t *m);
const int8_t *residual_output(const residual_t *m);

#ifdef __cplusplus
}
#endif

#endif
