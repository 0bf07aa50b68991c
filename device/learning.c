/*
 * A program that learns, put to the test: misuse, an input that is no number, and a power cut at every byte of a save. The first
 * line that does not hold is printed, or "done" and the state after two steps. model.h is the program; LEARN_INPUTS holds one input
 * of the model for two steps, LEARN_LABELS their labels, LEARN_NAN whether an input of float32 can be no number.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learning_model.h"
#include "model.h"

#define CHECK(what)                         \
  do {                                      \
    if (!(what)) {                          \
      printf("fault %d\n", (int)__LINE__);  \
      exit(0);                              \
    }                                       \
  } while (0)

static uint64_t arena[(MODEL_ARENA_BYTES + 7) / 8], other[(MODEL_ARENA_BYTES + 7) / 8];

/* Memory that fails for good once `left` bytes are written. */
typedef struct {
  uint8_t bytes[2 * MODEL_CHECKPOINT_BYTES];
  long left;
  int reads_fail;
} flash_t;

static int flash_read(void *context, uint32_t offset, void *to, uint32_t bytes) {
  flash_t *f = (flash_t *)context;
  CHECK(offset + bytes <= sizeof f->bytes);
  if (f->reads_fail && bytes > 64) return 1;
  memcpy(to, f->bytes + offset, bytes);
  return 0;
}

static int flash_write(void *context, uint32_t offset, const void *from, uint32_t bytes) {
  flash_t *f = (flash_t *)context;
  const uint32_t n = f->left < (long)bytes ? (uint32_t)f->left : bytes;
  CHECK(offset + bytes <= sizeof f->bytes);
  CHECK(bytes % 4 == 0);
  memcpy(f->bytes + offset, from, n);
  f->left -= (long)n;
  return n < bytes ? 7 : 0;
}

static void predict(model_t *m, int which) {
#ifdef MODEL_ROWS
  int r;
  for (r = 0; r < MODEL_ROWS; r++)
    CHECK(model_push_row(m, learn_inputs + which * LEARN_BYTES + r * MODEL_ROW_BYTES, MODEL_ROW_BYTES) == (r == MODEL_ROWS - 1));
#else
  memcpy(model_input0(m), learn_inputs + which * LEARN_BYTES, LEARN_BYTES);
  CHECK(model_predict(m) == 0);
#endif
}

int main(void) {
  static const learn_label_t none[] = {LEARN_NONE};
  static flash_t flash, before;
  static uint8_t old[MODEL_STATE_BYTES], young[MODEL_STATE_BYTES];
  const model_memory_t memory = {&flash, flash_read, flash_write};
  model_t m = {0}, n;
  long cut;
  uint32_t i;
  flash.left = 1L << 30;

  CHECK(model_train(&m, learn_labels[0], 0.1f) == -1);
  CHECK(model_save(&m, &memory) == -1);
  CHECK(model_restore(&m, &memory) == -1);
  CHECK(model_init(&m, arena, NULL) == 0);
  CHECK(model_train(&m, learn_labels[0], 0.1f) == -1);
  CHECK(model_restore(&m, &memory) == 1);

  memcpy(old, arena, sizeof old);
  predict(&m, 0);
  CHECK(model_train(&m, NULL, 0.1f) == -2);
  for (i = 0; i < sizeof none / sizeof none[0] && MODEL_LABELS == 1; i++) CHECK(model_train(&m, none + i, 0.1f) == -2);
  CHECK(model_train(&m, learn_labels[0], -0.1f) == -2);
  CHECK(model_train(&m, learn_labels[0], NAN) == -2);
  CHECK(model_train(&m, learn_labels[0], INFINITY) == -2);
  CHECK(memcmp(old, arena, sizeof old) == 0);
  CHECK(model_train(&m, learn_labels[0], LEARN_RATE) == 0);
  CHECK(memcmp(old, arena, sizeof old) != 0);
  CHECK(model_train(&m, learn_labels[0], LEARN_RATE) == -1);
  CHECK(model_save(&m, &memory) == 0);

#if LEARN_NAN
  memcpy(old, arena, sizeof old);
  for (i = 0; i < MODEL_INPUT0_COUNT; i++) model_input0(&m)[i] = NAN;
  CHECK(model_predict(&m) == 0);
  CHECK(model_train(&m, learn_labels[0], LEARN_RATE) == -3);
  CHECK(memcmp(old, arena, sizeof old) == 0);
#endif

  memcpy(old, arena, sizeof old);
  predict(&m, 1);
  CHECK(model_train(&m, learn_labels[1], LEARN_RATE) == 0);
  memcpy(young, arena, sizeof young);
  before = flash;
  for (cut = 0; cut <= MODEL_CHECKPOINT_BYTES; cut++) {
    flash = before;
    flash.left = cut;
    CHECK(model_save(&m, &memory) == (cut < MODEL_CHECKPOINT_BYTES ? 7 : 0));
    flash.left = 1L << 30;
    CHECK(model_init(&n, other, NULL) == 0);
    CHECK(model_restore(&n, &memory) == 0);
    CHECK(memcmp(other, cut < MODEL_CHECKPOINT_BYTES ? old : young, sizeof old) == 0);
  }
  /* damage of the newest leads back to the older */
  for (i = 0; i < MODEL_CHECKPOINT_BYTES; i += 5) {
    flash.bytes[MODEL_CHECKPOINT_BYTES + i] ^= 4;
    CHECK(model_restore(&n, &memory) == 0);
    CHECK(memcmp(other, old, sizeof old) == 0);
    flash.bytes[MODEL_CHECKPOINT_BYTES + i] ^= 4;
  }
  CHECK(model_restore(&n, &memory) == 0);
  CHECK(memcmp(other, young, sizeof old) == 0);
  /* a read that fails halfway leaves what a reset does */
  flash.reads_fail = MODEL_STATE_BYTES > 64;
  if (flash.reads_fail) {
    CHECK(model_restore(&n, &memory) == 2);
    CHECK(model_train(&n, learn_labels[0], LEARN_RATE) == -1);
    flash.reads_fail = 0;
  }
  /* the slots take turns */
  for (i = 0; i < 5; i++) {
    CHECK(model_save(&m, &memory) == 0);
    CHECK(model_restore(&n, &memory) == 0);
    CHECK(memcmp(other, young, sizeof old) == 0);
  }
  printf("done ");
  for (i = 0; i < sizeof young; i++) printf("%02x", (unsigned)young[i]);
  printf("\n");
  return 0;
}
