/* demo: 8980 multiply-accumulates, 512 bytes of RAM, 1464 bytes of weights. */
#ifndef MOTE_DEMO_H
#define MOTE_DEMO_H

#include <stdint.h>

#define DEMO_ARENA_BYTES 512
#define DEMO_ARENA_ALIGN 8
#define DEMO_LAYERS 8
#define DEMO_WEIGHTS_BYTES 1464
/* Weights of equal layout are interchangeable; the hash (FNV-1a) tells two of them apart. */
#define DEMO_WEIGHTS_LAYOUT 0xd0b51ab6u
#define DEMO_WEIGHTS_HASH 0x196c7149u
/* picture: i8[1, 8, 8, 1] s=0.003921568859368563 z=-128 */
#define DEMO_INPUT_COUNT 64
#define DEMO_INPUT_DIMS 4
#define DEMO_INPUT_SHAPE {1, 8, 8, 1}
#define DEMO_INPUT_SCALE 0.003921569f
#define DEMO_INPUT_ZERO_POINT -128
/* probabilities: i8[1, 5] s=0.00390625 z=-128 */
#define DEMO_OUTPUT_COUNT 5
#define DEMO_OUTPUT_DIMS 2
#define DEMO_OUTPUT_SHAPE {1, 5}
#define DEMO_OUTPUT_SCALE 0.00390625f
#define DEMO_OUTPUT_ZERO_POINT -128

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  int8_t short_filters[36];
  uint8_t pad_1[4];
  int32_t short_m[4];
  int8_t short_s[4];
  uint8_t pad_4[4];
  int32_t short_q[4];
  int8_t long_filters[100];
  uint8_t pad_7[4];
  int32_t long_thresholds[4];
  int32_t long_m[4];
  int8_t long_s[4];
  uint8_t pad_11[4];
  int32_t long_q[4];
  int8_t rivals_filters[16];
  int32_t rivals_m[4];
  int8_t rivals_s[4];
  uint8_t pad_16[4];
  int32_t rivals_q[4];
  int32_t both_q[11];
  uint8_t pad_19[4];
  int8_t classes_expected[20];
  uint8_t pad_21[4];
  int32_t classes_offsets[5];
  uint8_t pad_23[4];
  int32_t classes_m[5];
  uint8_t pad_25[4];
  int8_t classes_s[5];
  uint8_t pad_27[3];
  int32_t classes_q[4];
  int32_t probabilities_e[256];
} demo_weights_t;

typedef struct {
  uint8_t *arena;
  const demo_weights_t *weights;
} demo_t;

extern const demo_weights_t demo_weights;

/*
 * Binds the arena (DEMO_ARENA_BYTES bytes) and the weights (NULL: the built-in ones). Returns 0, or
 * 1 where there is no arena, or it is not aligned to DEMO_ARENA_ALIGN bytes; 2 where the weights are not;
 * 3 where the compiler was told to fuse float operations, so that results would differ from the model's.
 * After another number than 0, as in a demo_t of zeros, the functions below do nothing, and there are no tensors.
 */
int demo_init(demo_t *m, void *arena, const demo_weights_t *weights);

/* Puts tensors that live between runs back to what they start from. */
void demo_reset(demo_t *m);

/*
 * Computes the outputs. Inputs must be written again before each run: their bytes are reused.
 * Returns 0, -1 before init.
 */
int demo_run(demo_t *m);

/* Runs layers first to end - 1, those of them that are among DEMO_LAYERS. */
int demo_run_layers(demo_t *m, int first, int end);

int8_t *demo_input(const demo_t *m);
const int8_t *demo_output(const demo_t *m);

#ifdef __cplusplus
}
#endif

#endif
