/* recurrent for c. Generated; see recurrent.h. */
#include "recurrent.h"

#include <stddef.h>
#include <string.h>

/*
 * C99, and what every compiler for the machines in question does: int has 32 bits or more, two's complement, >> of a
 * negative number shifts in ones, and a conversion to a narrower signed type keeps the low bits.
 */
typedef char mote_int_has_32_bits[sizeof(int) >= 4 ? 1 : -1];
typedef char mote_shift_is_arithmetic[((-1) >> 1) == -1 ? 1 : -1];
typedef char mote_narrowing_keeps_low_bits[(int8_t)0x1ff == -1 && (int32_t)0xffffffffu == -1 ? 1 : -1];

/* Kernels stay functions: layers of one shape share one, and the arena's bytes change type between calls. */
#if defined(__clang__)
#define MOTE_KERNEL __attribute__((noinline))
#elif defined(__GNUC__)
#define MOTE_KERNEL __attribute__((noinline, noclone))
#else
#define MOTE_KERNEL
#endif
#if defined(__GNUC__)
#define MOTE_MAY_ALIAS __attribute__((may_alias))
#else
#define MOTE_MAY_ALIAS
#endif

/* Every product and every sum is rounded to its type: no fused multiply-add, no wider intermediate results. */
#if defined(__FAST_MATH__) || (defined(__FLT_EVAL_METHOD__) && (__FLT_EVAL_METHOD__ == 1 || __FLT_EVAL_METHOD__ == 2))
#error "float operations must round to float: compile without -ffast-math, and for SSE on x86"
#endif
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("fp-contract=off")
#else
#pragma STDC FP_CONTRACT OFF
#endif

#if defined(__GNUC__)
#define MOTE_INFINITY __builtin_inff()
#define MOTE_NAN __builtin_nanf("")
#else
#define MOTE_INFINITY (1.0f / 0.0f)
#define MOTE_NAN (0.0f / 0.0f)
#endif

/* 1 where a product is rounded before it is added: 0 where flags override the pragma above. */
static int rounds_products(void) {
  volatile float above_one = 0x1.001p+0f, square = -0x1.002p+0f;
  float a = above_one, b = square;
  return a * a + b == 0.0f;
}

static inline int32_t bits_f32(float x) {
  int32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline float from_bits_f32(int32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static inline float abs_f32(float x) {
  return from_bits_f32(bits_f32(x) & ~(-2147483647 - 1));
}

static inline int32_t wadd(int32_t a, int32_t b) {
  return (int32_t)((uint32_t)a + (uint32_t)b);
}

static inline int32_t wsub(int32_t a, int32_t b) {
  return (int32_t)((uint32_t)a - (uint32_t)b);
}

static inline float min_f32(float a, float b) {
  return b < a ? b : a;
}

static inline float max_f32(float a, float b) {
  return a < b ? b : a;
}

static inline int32_t shl32(int32_t a, int32_t b) {
  return (int32_t)((uint32_t)a << (b & 31));
}

#ifndef MOTE_WEIGHTS_SECTION
#if defined(__GNUC__) && defined(__ELF__)
#define MOTE_WEIGHTS_SECTION __attribute__((section(".rodata.recurrent_weights")))
#else
#define MOTE_WEIGHTS_SECTION
#endif
#endif
#if defined(__GNUC__)
#define MOTE_ALIGNED(n) __attribute__((aligned(n)))
#else
#define MOTE_ALIGNED(n)
#endif

/* fully_connected "from_input": f32[1, 3], f32[4, 3] -> f32[1, 4] */
static MOTE_KERNEL void recurrent_fully_connected(const float *x, const float *w, float *y) {
  float acc_0 = 0.0f;
  float acc_1 = 0.0f;
  float acc_2 = 0.0f;
  float acc_3 = 0.0f;
  for (int32_t k = 0; k < 3; k++) {
    const float x_v = x[k];
    acc_0 += x_v * w[k];
    acc_1 += x_v * w[k + 3];
    acc_2 += x_v * w[k + 6];
    acc_3 += x_v * w[k + 9];
  }
  y[0] = acc_0;
  y[1] = acc_1;
  y[2] = acc_2;
  y[3] = acc_3;
}

/* fully_connected "from_hidden": f32[1, 4], f32[4, 4] -> f32[1, 4] */
static MOTE_KERNEL void recurrent_fully_connected_2(const float *x, const float *w, float *y) {
  float acc_0 = 0.0f;
  float acc_1 = 0.0f;
  float acc_2 = 0.0f;
  float acc_3 = 0.0f;
  for (int32_t k = 0; k < 4; k++) {
    const float x_v = x[k];
    acc_0 += x_v * w[k];
    acc_1 += x_v * w[k + 4];
    acc_2 += x_v * w[k + 8];
    acc_3 += x_v * w[k + 12];
  }
  y[0] = acc_0;
  y[1] = acc_1;
  y[2] = acc_2;
  y[3] = acc_3;
}

/* add "sum": f32[1, 4], f32[1, 4] -> f32[1, 4] */
static MOTE_KERNEL void recurrent_add(const float *a, const float *b, float *y) {
  for (int32_t i0 = 0; i0 < 4; i0++) {
    y[i0] = a[i0] + b[i0];
  }
}

/* tanh "next": f32[1, 4] -> f32[1, 4] */
static MOTE_KERNEL void recurrent_tanh(const float *x, float *y) {
  for (int32_t i = 0; i < 4; i++) {
    const float f_x = x[i];
    const float f_a = abs_f32(f_x);
    const float f_y = min_f32(max_f32(f_a + f_a, -104.0f), 89.0f);
    const float f_t = f_y * 0x1.715476p+0f + 12582912.0f;
    const float f_n = f_t - 12582912.0f;
    const float f_u = f_y - f_n * 0x1.63p-1f;
    const float f_v = f_n * -0x1.bd0106p-13f;
    const float f_r = f_u - f_v;
    const float f_one = f_r + 1.0f;
    const int32_t f_k = wsub(bits_f32(f_t), 1262485504);
    const int32_t f_h = f_k >> 1;
    const float f_e = (f_one + (1.0f - f_one + f_r + (f_u - f_r - f_v) + f_r * f_r * ((((0x1.6a23dp-10f * f_r +
        0x1.123a2p-7f) * f_r + 0x1.5558f2p-5f) * f_r + 0x1.555492p-3f) * f_r + 0x1.fffffcp-2f))) *
        from_bits_f32(shl32(wadd(f_h, 127), 23)) * from_bits_f32(shl32(wadd(wsub(f_k, f_h), 127), 23));
    const float f_b = 1.0f - 2.0f / (f_e + 1.0f);
    const float f_z = f_x * f_x;
    y[i] = f_a < 0x1.19999ap-1f ? f_x + f_x * (f_z * ((((-0x1.9b3046p-8f * f_z + 0x1.593d08p-6f) * f_z +
        -0x1.b9287ap-5f) * f_z + 0x1.110d26p-3f) * f_z + -0x1.55554ap-2f)) : (f_x < 0.0f ? -f_b : f_b);
  }
}

/* assign "keep": f32[1, 4], f32[1, 4] ->  */
static MOTE_KERNEL void recurrent_assign(const float *x, float *s) {
  for (int32_t i = 0; i < 4; i++) {
    s[i] = x[i];
  }
}

typedef char recurrent_weights_layout[offsetof(recurrent_weights_t, from_input_weight) == 0 &&
    offsetof(recurrent_weights_t, from_hidden_weight) == 48 &&
    offsetof(recurrent_weights_t, hidden) == 112 &&
    sizeof(recurrent_weights_t) == 116 ? 1 : -1];

static void fill(uint8_t *to, const uint8_t *from, uint32_t size, uint32_t bytes) {
  uint8_t pattern[4];
  uint32_t word;
  uint32_t i;
  for (i = 0; i < 4; i++) pattern[i] = from[i & (size - 1)];
  memcpy(&word, pattern, 4);
#if defined(__GNUC__) && defined(__thumb2__)
  if (bytes >= 64) {
    const uint8_t *const end = to + (bytes & ~63u);
    __asm__ volatile(
      "mov r2, %2\n mov r3, %2\n mov r4, %2\n mov r5, %2\n mov r6, %2\n mov r8, %2\n mov r10, %2\n mov r12, %2\n"
      "1: stmia %0!, {r2, r3, r4, r5, r6, r8, r10, r12}\n stmia %0!, {r2, r3, r4, r5, r6, r8, r10, r12}\n"
      "cmp %0, %1\n bne 1b"
      : "+r"(to)
      : "r"(end), "r"(word)
      : "r2", "r3", "r4", "r5", "r6", "r8", "r10", "r12", "cc", "memory");
    bytes &= 63u;
  }
#endif
  for (; bytes >= 4; bytes -= 4, to += 4) memcpy(to, &word, 4);
  memcpy(to, &word, bytes);
}

int recurrent_init(recurrent_t *m, void *arena, const recurrent_weights_t *weights) {
  m->arena = NULL;
  m->weights = weights ? weights : &recurrent_weights;
  if (!arena || ((uintptr_t)arena & (RECURRENT_ARENA_ALIGN - 1)) != 0) return 1;
  if (((uintptr_t)m->weights & (RECURRENT_ARENA_ALIGN - 1)) != 0) return 2;
  if (!rounds_products()) return 3;
  m->arena = (uint8_t *)arena;
  recurrent_reset(m);
  return 0;
}

void recurrent_reset(recurrent_t *m) {
  if (!m->arena) return;
  fill(m->arena + 0, (const uint8_t *)m->weights + 112, 4, 16); /* hidden */
}

int recurrent_run(recurrent_t *m) {
  return recurrent_run_layers(m, 0, RECURRENT_LAYERS);
}

int recurrent_run_layers(recurrent_t *m, int first, int end) {
  uint8_t *const a = m->arena;
  const recurrent_weights_t *const w = m->weights;
  if (!m->arena) return -1;
  if (first < 0) first = 0;
  for (int i = first; i < end && i < RECURRENT_LAYERS; i++) {
    switch (i) {
      case 0: /* fully_connected "from_input": f32[1, 3], f32[4, 3] -> f32[1, 4] */
        recurrent_fully_connected((float *)(a + 16), w->from_input_weight, (float *)(a + 32));
        break;
      case 1: /* fully_connected "from_hidden": f32[1, 4], f32[4, 4] -> f32[1, 4] */
        recurrent_fully_connected_2((float *)a, w->from_hidden_weight, (float *)(a + 16));
        break;
      case 2: /* add "sum": f32[1, 4], f32[1, 4] -> f32[1, 4] */
        recurrent_add((float *)(a + 32), (float *)(a + 16), (float *)(a + 32));
        break;
      case 3: /* tanh "next": f32[1, 4] -> f32[1, 4] */
        recurrent_tanh((float *)(a + 32), (float *)(a + 32));
        break;
      case 4: /* assign "keep": f32[1, 4], f32[1, 4] ->  */
        recurrent_assign((float *)(a + 32), (float *)a);
        break;
      default:
        break;
    }
  }
  return 0;
}

float *recurrent_input(const recurrent_t *m) {
  return (float *)(m->arena + 16);
}

const float *recurrent_output(const recurrent_t *m) {
  return (float *)(m->arena + 32);
}

MOTE_WEIGHTS_SECTION MOTE_ALIGNED(RECURRENT_ARENA_ALIGN) const recurrent_weights_t recurrent_weights = {
/* from_input_weight */ {
-0x1.3cbee8p-2f,0x1.6b7b42p-1f,-0x1.9bbc4ep-1f,0x1.719eb6p-3f,0x1.938dd2p-1f,0x1.1d1d78p-1f,0x1.9c57c6p-2f,
-0x1.bf9fd2p-8f,-0x1.14461ep-2f,0x1.940f18p-1f,-0x1.68882p-1f,0x1.fff64cp-1f
},
/* from_hidden_weight */ {
0x1.f82836p-1f,-0x1.a079fep-2f,-0x1.4b234p-1f,0x1.6f633ap-2f,-0x1.fe9e7ap-1f,0x1.aad768p-7f,0x1.9c2a12p-2f,
-0x1.d83842p-3f,-0x1.97f2f6p-2f,-0x1.134ea2p-2f,0x1.3937fp-5f,0x1.f23a66p-1f,0x1.617b12p-1f,-0x1.94ef64p-1f,
-0x1.2def96p-2f,-0x1.8f0a44p-3f
},
/* hidden */ {
0.0f
}
};
