/*
 * Uses a model as it must not be used, then as it must: every function before init, init without an arena and on odd
 * addresses, layers and rows that there are not; then runs it in an arena between guard bytes, twice on bytes of another
 * kind, and beside a second instance, layer by layer in turn. Prints "output0" and "output1" with the FNV-1a hash of each
 * output for two inputs, "used" with the arena's painted bytes up to the last that was written, and "fault" with the line
 * of each check that failed. With the argument "exact" it only runs the model once, in a block of just the arena's size that
 * nobody wrote to, for tools that watch memory.
 */
#include <limits.h>
#include <string.h>

#include "trial_model.h"

#define GUARD 64
#define ALIGNED(n) (((n) + 63u) / 64u * 64u)

static void say(const char *label, uint32_t value);

#ifdef __arm__
int semihost(int operation, const void *argument); /* of the start-up code */

static void say(const char *label, uint32_t value) {
  char text[] = " 00000000\n";
  for (int i = 8; i > 0; i--, value >>= 4) text[i] = "0123456789abcdef"[value & 15];
  semihost(0x04, label);
  semihost(0x04, text);
}
#else
#include <stdio.h>
#include <stdlib.h>

static void say(const char *label, uint32_t value) {
  printf("%s %08x\n", label, (unsigned)value);
}
#endif

#define CHECK(holds) \
  do { \
    if (!(holds)) say("fault", __LINE__); \
  } while (0)

__attribute__((section(".arena"), aligned(64))) static uint8_t memory[2][ALIGNED(MODEL_ARENA_BYTES + 2 * GUARD)];

static uint32_t fnv1a(const void *data, size_t bytes) {
  uint32_t h = 0x811c9dc5u;
  for (size_t i = 0; i < bytes; i++) h = (h ^ ((const uint8_t *)data)[i]) * 0x01000193u;
  return h;
}

static void paint(int which, uint8_t with) {
  memset(memory[which], with, sizeof memory[which]);
}

static int guarded(int which, uint8_t with) {
  for (size_t i = 0; i < sizeof memory[which]; i++)
    if ((i < GUARD || i >= GUARD + MODEL_ARENA_BYTES) && memory[which][i] != with) return 0;
  return 1;
}

static uint32_t used(int which, uint8_t with) {
  uint32_t n = MODEL_ARENA_BYTES;
  while (n > 0 && memory[which][GUARD + n - 1] == with) n--;
  return n;
}

static uint32_t state_of(int which) {
  return fnv1a(memory[which], sizeof memory[which]);
}

static void load(model_t *m, int set) {
  for (int i = 0; i < TRIAL_INPUTS; i++) memcpy(trial_input(m, i), trial_given(set, i), trial_input_bytes[i]);
}

#ifdef MODEL_ROWS
#define PARTS MODEL_ROWS
static void run_part(model_t *m, int set, int r) {
  CHECK(model_push_row(m, trial_image(set) + (size_t)r * MODEL_ROW_BYTES, MODEL_ROW_BYTES) == (r == MODEL_ROWS - 1));
}
static void run(model_t *m, int set) {
  for (int r = 0; r < MODEL_ROWS; r++) run_part(m, set, r);
#ifdef MODEL_PREDICTED
  CHECK(model_run_layers(m, MODEL_PREDICTED, MODEL_LAYERS) == 0);
#endif
}
#else
#define PARTS MODEL_LAYERS
static void run_part(model_t *m, int set, int layer) {
  (void)set;
  CHECK(model_run_layers(m, layer, layer + 1) == 0);
}
static void run(model_t *m, int set) {
  (void)set;
  CHECK(model_run(m) == 0);
}
#endif

static void say_outputs(const model_t *m, const char *label) {
  for (int i = 0; i < TRIAL_OUTPUTS; i++) say(label, fnv1a(trial_output(m, i), trial_output_bytes[i]));
}

/* Everything but init and the tensors, on a model that is not ready. */
static void use_unready(model_t *m) {
  const uint32_t before = state_of(0);
  model_reset(m);
  CHECK(model_run_layers(m, 0, MODEL_LAYERS) == -1);
#ifdef MODEL_ROWS
  CHECK(model_push_row(m, trial_image(0), MODEL_ROW_BYTES) == -1);
#else
  CHECK(model_run(m) == -1);
#endif
  CHECK(state_of(0) == before);
}

static void use_badly(void) {
  static model_t zeros;
  model_t m;
  uint8_t *const arena = memory[0] + GUARD;
  const void *const odd = (const char *)&model_weights + 1;
  paint(0, 0xa5);
  use_unready(&zeros);
  memset(&m, 0xff, sizeof m);
  CHECK(model_init(&m, NULL, NULL) == 1);
  use_unready(&m);
  memset(&m, 0xff, sizeof m);
  if (MODEL_ARENA_ALIGN > 1) {
    CHECK(model_init(&m, arena + 1, NULL) == 1);
    use_unready(&m);
    memset(&m, 0xff, sizeof m);
    CHECK(model_init(&m, arena, odd) == 2);
    use_unready(&m);
  }
  CHECK(used(0, 0xa5) == 0 && guarded(0, 0xa5));

  CHECK(model_init(&m, arena, NULL) == 0);
  const uint32_t before = state_of(0);
  static const int none[][2] = {{INT_MIN, 0}, {-3, -1}, {0, INT_MIN}, {MODEL_LAYERS, INT_MAX}, {INT_MAX, INT_MIN}};
  for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
    CHECK(model_run_layers(&m, none[i][0], none[i][1]) == 0);
#ifdef MODEL_ROWS
  const model_t kept = m;
  CHECK(model_push_row(&m, trial_image(0), MODEL_ROW_BYTES + 1) == -2);
  CHECK(model_push_row(&m, trial_image(0), MODEL_ROW_BYTES - 1) == -2);
  CHECK(model_push_row(&m, trial_image(0), 0) == -2);
  CHECK(model_push_row(&m, trial_image(0), (size_t)-1) == -2);
  CHECK(model_push_row(&m, NULL, MODEL_ROW_BYTES) == -2);
  CHECK(memcmp(&kept, &m, sizeof m) == 0);
#endif
  CHECK(state_of(0) == before);
  load(&m, 0);
  CHECK(model_run_layers(&m, INT_MIN, INT_MAX) == 0);
  CHECK(guarded(0, 0xa5));
}

static void use_well(void) {
  model_t m[2];
  uint32_t high = 0;
  for (int k = 0; k < 2; k++) {
    const uint8_t with = k ? 0x5a : 0xa5;
    paint(0, with);
    CHECK(model_init(&m[0], memory[0] + GUARD, k ? &model_weights : NULL) == 0);
    load(&m[0], 0);
    run(&m[0], 0);
    CHECK(guarded(0, with));
    if (used(0, with) > high) high = used(0, with);
    say_outputs(&m[0], "output0");
  }
  say("used", high);
  for (int k = 0; k < 2; k++) {
    paint(k, 0x33);
    CHECK(model_init(&m[k], memory[k] + GUARD, NULL) == 0);
    load(&m[k], k);
  }
  for (int part = 0; part < PARTS; part++)
    for (int k = 0; k < 2; k++) run_part(&m[k], k, part);
  say_outputs(&m[0], "output0");
  say_outputs(&m[1], "output1");
  CHECK(guarded(0, 0x33) && guarded(1, 0x33));
}

#ifndef __arm__
static void use_exactly(void) {
  void *arena = NULL;
  model_t *const m = malloc(sizeof *m);
  if (posix_memalign(&arena, 64, MODEL_ARENA_BYTES ? MODEL_ARENA_BYTES : 1) != 0) exit(9);
  CHECK(model_init(m, arena, NULL) == 0);
  load(m, 0);
  run(m, 0);
  say_outputs(m, "output0");
  free(arena);
  free(m);
}

int main(int argc, char **argv) {
  (void)argv;
  if (argc > 1) {
    use_exactly();
  } else {
    use_badly();
    use_well();
  }
  say("done", 0);
  return 0;
}
#else
int main(void) {
  use_badly();
  use_well();
  say("done", 0);
  return 0;
}
#endif
