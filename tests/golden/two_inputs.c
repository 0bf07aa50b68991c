/* two-inputs for c. Generated; see two_inputs.h. */
#include "two_inputs.h"

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

static inline float min_f32(float a, float b) {
  return b < a ? b : a;
}

static inline float max_f32(float a, float b) {
  return a < b ? b : a;
}

#ifndef MOTE_WEIGHTS_SECTION
#if defined(__GNUC__) && defined(__ELF__)
#define MOTE_WEIGHTS_SECTION __attribute__((section(".rodata.two_inputs_weights")))
#else
#define MOTE_WEIGHTS_SECTION
#endif
#endif
#if defined(__GNUC__)
#define MOTE_ALIGNED(n) __attribute__((aligned(n)))
#else
#define MOTE_ALIGNED(n)
#endif

/* fully_connected "dense": f32[1, 4], f32[3, 4] -> f32[1, 3] */
static MOTE_KERNEL void two_inputs_fully_connected(const float *x, const float *w, float *y) {
  float acc_0 = 0.0f;
  float acc_1 = 0.0f;
  for (int32_t k = 0; k < 4; k++) {
    const float x_v = x[k];
    acc_0 += x_v * w[k];
    acc_1 += x_v * w[k + 4];
  }
  y[0] = acc_0;
  y[1] = acc_1;
  float acc_r = 0.0f;
  for (int32_t k_r = 0; k_r < 4; k_r++) {
    acc_r += x[k_r] * w[k_r + 8];
  }
  y[2] = acc_r;
}

/* conv2d "conv": f32[1, 6, 6, 2], f32[3, 3, 3, 2], f32[3] -> f32[1, 6, 6, 3] */
static MOTE_KERNEL void two_inputs_conv2d(const float *x, const float *w, const float *b, const float *limit, float *y)
    {
  const float lo = limit[0];
  const float hi = limit[1];
  for (int32_t oh = 0; oh < 6; oh++) {
    float *y_row = y + oh * 18;
    for (int32_t o = 0; o < 3; o++) {
      float acc_0 = 0.0f;
      float acc_1 = 0.0f;
      float acc_2 = 0.0f;
      float acc_3 = 0.0f;
      for (int32_t kh = 0; kh < 3; kh++) {
        if (oh + kh - 1 >= 0 && oh + kh - 1 < 6) {
          for (int32_t kw = 0; kw < 3; kw++) {
            if (kw - 1 >= 0) {
              const float *x_row = x + (oh * 12 + kh * 12 + kw * 2 - 14);
              const float *w_row = w + (o * 18 + kh * 6 + kw * 2);
              for (int32_t c_0 = 0; c_0 < 2; c_0++) {
                acc_0 += x_row[c_0] * w_row[c_0];
              }
            }
            const float *x_row_2 = x + (oh * 12 + kh * 12 + kw * 2 - 12);
            const float *w_row_2 = w + (o * 18 + kh * 6 + kw * 2);
            for (int32_t c_1 = 0; c_1 < 2; c_1++) {
              acc_1 += x_row_2[c_1] * w_row_2[c_1];
            }
            const float *x_row_3 = x + (oh * 12 + kh * 12 + kw * 2 - 10);
            const float *w_row_3 = w + (o * 18 + kh * 6 + kw * 2);
            for (int32_t c_2 = 0; c_2 < 2; c_2++) {
              acc_2 += x_row_3[c_2] * w_row_3[c_2];
            }
            const float *x_row_4 = x + (oh * 12 + kh * 12 + kw * 2 - 8);
            const float *w_row_4 = w + (o * 18 + kh * 6 + kw * 2);
            for (int32_t c_3 = 0; c_3 < 2; c_3++) {
              acc_3 += x_row_4[c_3] * w_row_4[c_3];
            }
          }
        }
      }
      const float b_v = b[o];
      y_row[o] = min_f32(max_f32(acc_0 + b_v, lo), hi);
      y_row[o + 3] = min_f32(max_f32(acc_1 + b_v, lo), hi);
      y_row[o + 6] = min_f32(max_f32(acc_2 + b_v, lo), hi);
      y_row[o + 9] = min_f32(max_f32(acc_3 + b_v, lo), hi);
    }
    for (int32_t ow_r = 0; ow_r < 2; ow_r++) {
      float *y_row_2 = y + (oh * 18 + ow_r * 3 + 12);
      for (int32_t o_r = 0; o_r < 3; o_r++) {
        float acc_r = 0.0f;
        for (int32_t kh_r = 0; kh_r < 3; kh_r++) {
          if (oh + kh_r - 1 >= 0 && oh + kh_r - 1 < 6) {
            for (int32_t kw_r = 0; kw_r < 3; kw_r++) {
              if (ow_r + 4 + kw_r - 1 < 6) {
                const float *x_row_5 = x + (oh * 12 + ow_r * 2 + kh_r * 12 + kw_r * 2 - 6);
                const float *w_row_5 = w + (o_r * 18 + kh_r * 6 + kw_r * 2);
                for (int32_t c_r = 0; c_r < 2; c_r++) {
                  acc_r += x_row_5[c_r] * w_row_5[c_r];
                }
              }
            }
          }
        }
        y_row_2[o_r] = min_f32(max_f32(acc_r + b[o_r], lo), hi);
      }
    }
  }
}

/* max_pool2d "pool": f32[1, 6, 6, 3] -> f32[1, 3, 3, 3] */
static MOTE_KERNEL void two_inputs_max_pool2d(const float *x, float *y) {
  for (int32_t oh = 0; oh < 3; oh++) {
    for (int32_t ow = 0; ow < 3; ow++) {
      float *y_row = y + (oh * 9 + ow * 3);
      for (int32_t c = 0; c < 3; c++) {
        float acc = -0x1.fffffep+127f;
        for (int32_t kh = 0; kh < 2; kh++) {
          const float *x_row = x + (oh * 36 + ow * 6 + c + kh * 18);
          for (int32_t kw = 0; kw < 2; kw++) {
            acc = max_f32(acc, x_row[kw * 3]);
          }
        }
        y_row[c] = acc;
      }
    }
  }
}

typedef char two_inputs_weights_layout[offsetof(two_inputs_weights_t, dense_weight) == 0 &&
    offsetof(two_inputs_weights_t, conv_weight) == 48 &&
    offsetof(two_inputs_weights_t, conv_bias) == 264 &&
    offsetof(two_inputs_weights_t, pad_3) == 276 &&
    offsetof(two_inputs_weights_t, conv_limit) == 280 &&
    sizeof(two_inputs_weights_t) == 288 ? 1 : -1];

int two_inputs_init(two_inputs_t *m, void *arena, const two_inputs_weights_t *weights) {
  m->arena = NULL;
  m->weights = weights ? weights : &two_inputs_weights;
  if (!arena || ((uintptr_t)arena & (TWO_INPUTS_ARENA_ALIGN - 1)) != 0) return 1;
  if (((uintptr_t)m->weights & (TWO_INPUTS_ARENA_ALIGN - 1)) != 0) return 2;
  if (!rounds_products()) return 3;
  m->arena = (uint8_t *)arena;
  two_inputs_reset(m);
  return 0;
}

void two_inputs_reset(two_inputs_t *m) {
  (void)m;
}

int two_inputs_run(two_inputs_t *m) {
  return two_inputs_run_layers(m, 0, TWO_INPUTS_LAYERS);
}

int two_inputs_run_layers(two_inputs_t *m, int first, int end) {
  uint8_t *const a = m->arena;
  const two_inputs_weights_t *const w = m->weights;
  if (!m->arena) return -1;
  if (first < 0) first = 0;
  for (int i = first; i < end && i < TWO_INPUTS_LAYERS; i++) {
    switch (i) {
      case 0: /* fully_connected "dense": f32[1, 4], f32[3, 4] -> f32[1, 3] */
        two_inputs_fully_connected((float *)a, w->dense_weight, (float *)(a + 720));
        break;
      case 1: /* conv2d "conv": f32[1, 6, 6, 2], f32[3, 3, 3, 2], f32[3] -> f32[1, 6, 6, 3] */
        two_inputs_conv2d((float *)(a + 432), w->conv_weight, w->conv_bias, w->conv_limit, (float *)a);
        break;
      case 2: /* max_pool2d "pool": f32[1, 6, 6, 3] -> f32[1, 3, 3, 3] */
        two_inputs_max_pool2d((float *)a, (float *)(a + 432));
        break;
      default:
        break;
    }
  }
  return 0;
}

float *two_inputs_input0(const two_inputs_t *m) {
  return (float *)(m->arena + 432);
}

float *two_inputs_input1(const two_inputs_t *m) {
  return (float *)m->arena;
}

const float *two_inputs_output0(const two_inputs_t *m) {
  return (float *)(m->arena + 432);
}

const float *two_inputs_output1(const two_inputs_t *m) {
  return (float *)(m->arena + 720);
}

MOTE_WEIGHTS_SECTION MOTE_ALIGNED(TWO_INPUTS_ARENA_ALIGN) const two_inputs_weights_t two_inputs_weights = {
/* dense_weight */ {
-0x1.60af88p-1f,-0x1.5b86a4p-1f,0x1.b2b824p-3f,0x1.ce0a2ep-5f,0x1.1f097p-1f,-0x1.ef0d02p-1f,0x1.abbffep-1f,
0x1.ae8066p-2f,-0x1.0c5162p-1f,-0x1.a1eb44p-2f,-0x1.0c4a68p-1f,0x1.abef2cp-3f
},
/* conv_weight */ {
-0x1.0f656ap-4f,-0x1.85abd6p-2f,0x1.89524cp-1f,-0x1.2df6cep-4f,0x1.7e8fdcp-4f,0x1.3b02dp-7f,0x1.350d7ap-1f,
-0x1.03265p-4f,-0x1.b62f0cp-3f,-0x1.4128cap-3f,-0x1.50c796p-4f,0x1.bdff78p-1f,0x1.db7c02p-6f,0x1.29a0f6p-1f,
-0x1.4bf26cp-4f,-0x1.aadf8p-7f,0x1.2e4b9ep-3f,0x1.f67ed6p-2f,0x1.dd65e2p-1f,0x1.47cd94p-1f,-0x1.bdcebcp-1f,
0x1.2135bap-1f,0x1.5775aep-1f,-0x1.117cc4p-3f,-0x1.5eea64p-5f,0x1.e5e11cp-1f,0x1.08fb8ep-1f,0x1.525e06p-1f,
0x1.87036p-2f,-0x1.bbb8e2p-1f,-0x1.a6277ap-1f,0x1.ac51fp-3f,-0x1.9612cap-1f,-0x1.d4b694p-1f,-0x1.0cbb8cp-4f,
-0x1.8e957ap-2f,-0x1.d3444ep-3f,0x1.036178p-2f,0x1.3dcf8p-3f,0x1.74f538p-3f,0x1.6b9dbcp-1f,0x1.5e8e9cp-1f,
0x1.311c6ap-1f,0x1.350ca8p-1f,0x1.380316p-2f,0x1.06c754p-1f,0x1.9eeep-3f,-0x1.ff477ep-1f,-0x1.e67f44p-2f,
-0x1.652e2p-5f,-0x1.f02944p-2f,-0x1.83e676p-5f,0x1.4ebd2cp-1f,-0x1.c25a2ap-3f
},
/* conv_bias */ {
-0x1.66bf6ap-1f,-0x1.46841p-6f,-0x1.6ad2d6p-2f
},
{0},
/* conv_limit */ {
0.0f,MOTE_INFINITY
}
};
