/* demo for c. Generated; see demo.h. */
#include "demo.h"

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

static inline int32_t wadd(int32_t a, int32_t b) {
  return (int32_t)((uint32_t)a + (uint32_t)b);
}

static inline int32_t min32(int32_t a, int32_t b) {
  return b < a ? b : a;
}

static inline int32_t max32(int32_t a, int32_t b) {
  return a < b ? b : a;
}

static inline int32_t shl32(int32_t a, int32_t b) {
  return (int32_t)((uint32_t)a << (b & 31));
}

static inline int32_t clz32(int32_t x) {
#if defined(__GNUC__)
  return x == 0 ? 32 : __builtin_clz((unsigned)x);
#else
  int32_t n = 0;
  for (uint32_t bit = 0x80000000u; bit != 0 && ((uint32_t)x & bit) == 0; bit >>= 1) n++;
  return n;
#endif
}

/* a * b / 2^31, halves up; saturates for the square of -2^31. */
static inline int32_t srdhm(int32_t a, int32_t b) {
  if (a == b && a == -2147483647 - 1) return 2147483647;
  return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* x / 2^n, halves away from zero; n in 0..31. */
static inline int32_t rdivpot(int32_t x, int32_t n) {
  const int32_t mask = (int32_t)((1u << n) - 1u);
  const int32_t threshold = (mask >> 1) + (x < 0);
  return (x >> n) + ((x & mask) > threshold);
}

/* x * multiplier / 2^31 * 2^shift, rounded twice as TensorFlow Lite does: halves up, then halves away from zero. */
static inline int32_t requant(int32_t x, int32_t multiplier, int32_t shift) {
  if (shift < 0) {
    const int32_t y = srdhm(x, multiplier); /* above -2^31 */
    const int32_t twice = (y - (y < 0)) >> (-shift - 1);
    return twice - (twice >> 1);
  }
  return srdhm((int32_t)((uint32_t)x << shift), multiplier);
}

#ifndef MOTE_WEIGHTS_SECTION
#if defined(__GNUC__) && defined(__ELF__)
#define MOTE_WEIGHTS_SECTION __attribute__((section(".rodata.demo_weights")))
#else
#define MOTE_WEIGHTS_SECTION
#endif
#endif
#if defined(__GNUC__)
#define MOTE_ALIGNED(n) __attribute__((aligned(n)))
#else
#define MOTE_ALIGNED(n)
#endif

/* conv2d "short": i8[1, 8, 8, 1], i8[4, 3, 3, 1] -> i8[1, 8, 8, 4] */
static MOTE_KERNEL void demo_conv2d(const int8_t *x, const int8_t *w, const int32_t *m, const int8_t *s, const int32_t
    *q, int8_t *y) {
  const int32_t zx = q[0];
  const int32_t zy = q[1];
  const int32_t lo = q[2];
  const int32_t hi = q[3];
  for (int32_t oh = 0; oh < 8; oh++) {
    int8_t *y_row = y + oh * 32;
    for (int32_t ow = 0; ow < 8; ow++) {
      int32_t acc_0 = 0;
      int32_t acc_1 = 0;
      int32_t acc_2 = 0;
      int32_t acc_3 = 0;
      for (int32_t kh = 0; kh < 3; kh++) {
        if (oh + kh - 1 >= 0 && oh + kh - 1 < 8) {
          const int32_t x_at = oh * 8 + ow + kh * 8 - 9;
          const int32_t w_at = kh * 3;
          for (int32_t kw = 0; kw < 3; kw++) {
            if (ow + kw - 1 >= 0 && ow + kw - 1 < 8) {
              const int32_t x_v = x[x_at + kw] - zx;
              acc_0 += x_v * w[w_at + kw];
              acc_1 += x_v * w[w_at + kw + 9];
              acc_2 += x_v * w[w_at + kw + 18];
              acc_3 += x_v * w[w_at + kw + 27];
            }
          }
        }
      }
      y_row[ow * 4] = (int8_t)min32(max32(wadd(requant(acc_0, m[0], s[0]), zy), lo), hi);
      y_row[ow * 4 + 1] = (int8_t)min32(max32(wadd(requant(acc_1, m[1], s[1]), zy), lo), hi);
      y_row[ow * 4 + 2] = (int8_t)min32(max32(wadd(requant(acc_2, m[2], s[2]), zy), lo), hi);
      y_row[ow * 4 + 3] = (int8_t)min32(max32(wadd(requant(acc_3, m[3], s[3]), zy), lo), hi);
    }
  }
}

/* depthwise_conv2d "long": i8[1, 8, 8, 4], i8[1, 5, 5, 4], i32[4] -> i8[1, 8, 8, 4] */
static MOTE_KERNEL void demo_depthwise_conv2d(const int8_t *x, const int8_t *w, const int32_t *b, const int32_t *m,
    const int8_t *s, const int32_t *q, int8_t *y) {
  const int32_t zx = q[0];
  const int32_t zy = q[1];
  const int32_t lo = q[2];
  const int32_t hi = q[3];
  for (int32_t oh = 0; oh < 8; oh++) {
    for (int32_t ow_o = 0; ow_o < 2; ow_o++) {
      int8_t *y_row = y + (oh * 32 + ow_o * 16);
      for (int32_t c = 0; c < 4; c++) {
        const int32_t b_v = b[c];
        int32_t acc_0 = b_v;
        int32_t acc_1 = b_v;
        int32_t acc_2 = b_v;
        int32_t acc_3 = b_v;
        for (int32_t kh = 0; kh < 5; kh++) {
          if (oh + kh - 2 >= 0 && oh + kh - 2 < 8) {
            const int32_t x_at = oh * 32 + ow_o * 16 + c + kh * 32 - 72;
            const int32_t w_at = c + kh * 20;
            for (int32_t kw = 0; kw < 5; kw++) {
              if (ow_o * 4 + kw - 2 >= 0) {
                acc_0 += (x[x_at + kw * 4] - zx) * w[w_at + kw * 4];
              }
              if (ow_o * 4 + 1 + kw - 2 >= 0) {
                acc_1 += (x[x_at + kw * 4 + 4] - zx) * w[w_at + kw * 4];
              }
              if (ow_o * 4 + 2 + kw - 2 < 8) {
                acc_2 += (x[x_at + kw * 4 + 8] - zx) * w[w_at + kw * 4];
              }
              if (ow_o * 4 + 3 + kw - 2 < 8) {
                acc_3 += (x[x_at + kw * 4 + 12] - zx) * w[w_at + kw * 4];
              }
            }
          }
        }
        const int32_t m_v = m[c];
        const int32_t s_v = s[c];
        y_row[c] = (int8_t)min32(max32(wadd(requant(acc_0, m_v, s_v), zy), lo), hi);
        y_row[c + 4] = (int8_t)min32(max32(wadd(requant(acc_1, m_v, s_v), zy), lo), hi);
        y_row[c + 8] = (int8_t)min32(max32(wadd(requant(acc_2, m_v, s_v), zy), lo), hi);
        y_row[c + 12] = (int8_t)min32(max32(wadd(requant(acc_3, m_v, s_v), zy), lo), hi);
      }
    }
  }
}

/* max_pool2d "near": i8[1, 8, 8, 4] -> i8[1, 4, 4, 4] */
static MOTE_KERNEL void demo_max_pool2d(const int8_t *x, int8_t *y) {
  for (int32_t oh = 0; oh < 4; oh++) {
    for (int32_t ow = 0; ow < 4; ow++) {
      int8_t *y_row = y + (oh * 16 + ow * 4);
      for (int32_t c = 0; c < 4; c++) {
        int32_t acc = -128;
        for (int32_t kh = 0; kh < 2; kh++) {
          const int8_t *x_row = x + (oh * 64 + ow * 8 + c + kh * 32);
          for (int32_t kw = 0; kw < 2; kw++) {
            acc = max32(acc, x_row[kw * 4]);
          }
        }
        y_row[c] = (int8_t)acc;
      }
    }
  }
}

/* conv2d "rivals": i8[1, 4, 4, 4], i8[4, 1, 1, 4] -> i8[1, 4, 4, 4] */
static MOTE_KERNEL void demo_conv2d_2(const int8_t *x, const int8_t *w, const int32_t *m, const int8_t *s, const int32_t
    *q, int8_t *y) {
  const int32_t zx = q[0];
  const int32_t zy = q[1];
  const int32_t lo = q[2];
  const int32_t hi = q[3];
  for (int32_t oh = 0; oh < 4; oh++) {
    int8_t *y_row = y + oh * 16;
    for (int32_t ow = 0; ow < 4; ow++) {
      int32_t acc_0 = 0;
      int32_t acc_1 = 0;
      int32_t acc_2 = 0;
      int32_t acc_3 = 0;
      const int8_t *x_row = x + (oh * 16 + ow * 4);
      for (int32_t c = 0; c < 4; c++) {
        const int32_t x_v = x_row[c] - zx;
        acc_0 += x_v * w[c];
        acc_1 += x_v * w[c + 4];
        acc_2 += x_v * w[c + 8];
        acc_3 += x_v * w[c + 12];
      }
      y_row[ow * 4] = (int8_t)min32(max32(wadd(requant(acc_0, m[0], s[0]), zy), lo), hi);
      y_row[ow * 4 + 1] = (int8_t)min32(max32(wadd(requant(acc_1, m[1], s[1]), zy), lo), hi);
      y_row[ow * 4 + 2] = (int8_t)min32(max32(wadd(requant(acc_2, m[2], s[2]), zy), lo), hi);
      y_row[ow * 4 + 3] = (int8_t)min32(max32(wadd(requant(acc_3, m[3], s[3]), zy), lo), hi);
    }
  }
}

/* add "both": i8[1, 4, 4, 4], i8[1, 4, 4, 4] -> i8[1, 4, 4, 4] */
static MOTE_KERNEL void demo_add(const int8_t *a, const int8_t *b, const int32_t *q, int8_t *y) {
  const int32_t za = q[0];
  const int32_t zb = q[1];
  const int32_t zy = q[2];
  const int32_t lo = q[3];
  const int32_t hi = q[4];
  const int32_t ma = q[5];
  const int32_t sa = q[6];
  const int32_t mb = q[7];
  const int32_t sb = q[8];
  const int32_t my = q[9];
  const int32_t sy = q[10];
  for (int32_t i0 = 0; i0 < 64; i0++) {
    y[i0] = (int8_t)min32(max32(requant(requant((a[i0] - za) * 1048576, ma, sa) + requant((b[i0] - zb) * 1048576, mb,
        sb), my, sy) + zy, lo), hi);
  }
}

/* max_pool2d "anywhere": i8[1, 4, 4, 4] -> i8[1, 1, 1, 4] */
static MOTE_KERNEL void demo_max_pool2d_2(const int8_t *x, int8_t *y) {
  for (int32_t c = 0; c < 4; c++) {
    int32_t acc = -128;
    for (int32_t kh = 0; kh < 4; kh++) {
      const int8_t *x_row = x + (c + kh * 16);
      for (int32_t kw = 0; kw < 4; kw++) {
        acc = max32(acc, x_row[kw * 4]);
      }
    }
    y[c] = (int8_t)acc;
  }
}

/* fully_connected "classes": i8[1, 4], i8[5, 4], i32[5] -> i8[1, 5] */
static MOTE_KERNEL void demo_fully_connected(const int8_t *x, const int8_t *w, const int32_t *b, const int32_t *m, const
    int8_t *s, const int32_t *q, int8_t *y) {
  const int32_t zx = q[0];
  const int32_t zy = q[1];
  const int32_t lo = q[2];
  const int32_t hi = q[3];
  int32_t acc_0 = b[0];
  int32_t acc_1 = b[1];
  int32_t acc_2 = b[2];
  int32_t acc_3 = b[3];
  for (int32_t k = 0; k < 4; k++) {
    const int32_t x_v = x[k] - zx;
    acc_0 += x_v * w[k];
    acc_1 += x_v * w[k + 4];
    acc_2 += x_v * w[k + 8];
    acc_3 += x_v * w[k + 12];
  }
  y[0] = (int8_t)min32(max32(wadd(requant(acc_0, m[0], s[0]), zy), lo), hi);
  y[1] = (int8_t)min32(max32(wadd(requant(acc_1, m[1], s[1]), zy), lo), hi);
  y[2] = (int8_t)min32(max32(wadd(requant(acc_2, m[2], s[2]), zy), lo), hi);
  y[3] = (int8_t)min32(max32(wadd(requant(acc_3, m[3], s[3]), zy), lo), hi);
  int32_t acc_r = b[4];
  for (int32_t k_r = 0; k_r < 4; k_r++) {
    acc_r += (x[k_r] - zx) * w[k_r + 16];
  }
  y[4] = (int8_t)min32(max32(wadd(requant(acc_r, m[4], s[4]), zy), lo), hi);
}

/* softmax "probabilities": i8[1, 5] -> i8[1, 5] */
static MOTE_KERNEL void demo_softmax(const int8_t *x, const int32_t *e, int8_t *y) {
  int32_t max = x[0];
  for (int32_t m = 0; m < 5; m++) {
    max = max32(max, x[m]);
  }
  int32_t sum = 0;
  for (int32_t c = 0; c < 5; c++) {
    sum += rdivpot(e[max - x[c]], 12);
  }
  const int32_t lead = clz32(sum);
  const int32_t d = ((shl32(sum, lead) & 2147483647) >> 1) + 1073741824;
  int32_t r = srdhm(d, -1010580540) + 1515870810;
  for (int32_t k = 0; k < 3; k++) {
    r += shl32(srdhm(r, 536870912 - srdhm(d, r)), 2);
  }
  const int32_t scale = r >= 1073741824 ? 2147483647 : shl32(r, 1);
  const int32_t exponent = 35 - lead;
  for (int32_t o = 0; o < 5; o++) {
    y[o] = (int8_t)min32(rdivpot(srdhm(scale, e[max - x[o]]), exponent) - 128, 127);
  }
}

typedef char demo_weights_layout[offsetof(demo_weights_t, short_filters) == 0 &&
    offsetof(demo_weights_t, pad_1) == 36 &&
    offsetof(demo_weights_t, short_m) == 40 &&
    offsetof(demo_weights_t, short_s) == 56 &&
    offsetof(demo_weights_t, pad_4) == 60 &&
    offsetof(demo_weights_t, short_q) == 64 &&
    offsetof(demo_weights_t, long_filters) == 80 &&
    offsetof(demo_weights_t, pad_7) == 180 &&
    offsetof(demo_weights_t, long_thresholds) == 184 &&
    offsetof(demo_weights_t, long_m) == 200 &&
    offsetof(demo_weights_t, long_s) == 216 &&
    offsetof(demo_weights_t, pad_11) == 220 &&
    offsetof(demo_weights_t, long_q) == 224 &&
    offsetof(demo_weights_t, rivals_filters) == 240 &&
    offsetof(demo_weights_t, rivals_m) == 256 &&
    offsetof(demo_weights_t, rivals_s) == 272 &&
    offsetof(demo_weights_t, pad_16) == 276 &&
    offsetof(demo_weights_t, rivals_q) == 280 &&
    offsetof(demo_weights_t, both_q) == 296 &&
    offsetof(demo_weights_t, pad_19) == 340 &&
    offsetof(demo_weights_t, classes_expected) == 344 &&
    offsetof(demo_weights_t, pad_21) == 364 &&
    offsetof(demo_weights_t, classes_offsets) == 368 &&
    offsetof(demo_weights_t, pad_23) == 388 &&
    offsetof(demo_weights_t, classes_m) == 392 &&
    offsetof(demo_weights_t, pad_25) == 412 &&
    offsetof(demo_weights_t, classes_s) == 416 &&
    offsetof(demo_weights_t, pad_27) == 421 &&
    offsetof(demo_weights_t, classes_q) == 424 &&
    offsetof(demo_weights_t, probabilities_e) == 440 &&
    sizeof(demo_weights_t) == 1464 ? 1 : -1];

int demo_init(demo_t *m, void *arena, const demo_weights_t *weights) {
  m->arena = NULL;
  m->weights = weights ? weights : &demo_weights;
  if (!arena || ((uintptr_t)arena & (DEMO_ARENA_ALIGN - 1)) != 0) return 1;
  if (((uintptr_t)m->weights & (DEMO_ARENA_ALIGN - 1)) != 0) return 2;
  m->arena = (uint8_t *)arena;
  demo_reset(m);
  return 0;
}

void demo_reset(demo_t *m) {
  (void)m;
}

int demo_run(demo_t *m) {
  return demo_run_layers(m, 0, DEMO_LAYERS);
}

int demo_run_layers(demo_t *m, int first, int end) {
  uint8_t *const a = m->arena;
  const demo_weights_t *const w = m->weights;
  if (!m->arena) return -1;
  if (first < 0) first = 0;
  for (int i = first; i < end && i < DEMO_LAYERS; i++) {
    switch (i) {
      case 0: /* conv2d "short": i8[1, 8, 8, 1], i8[4, 3, 3, 1] -> i8[1, 8, 8, 4] */
        demo_conv2d((int8_t *)(a + 256), w->short_filters, w->short_m, w->short_s, w->short_q, (int8_t *)a);
        break;
      case 1: /* depthwise_conv2d "long": i8[1, 8, 8, 4], i8[1, 5, 5, 4], i32[4] -> i8[1, 8, 8, 4] */
        demo_depthwise_conv2d((int8_t *)a, w->long_filters, w->long_thresholds, w->long_m, w->long_s, w->long_q, (int8_t
            *)(a + 256));
        break;
      case 2: /* max_pool2d "near": i8[1, 8, 8, 4] -> i8[1, 4, 4, 4] */
        demo_max_pool2d((int8_t *)(a + 256), (int8_t *)a);
        break;
      case 3: /* conv2d "rivals": i8[1, 4, 4, 4], i8[4, 1, 1, 4] -> i8[1, 4, 4, 4] */
        demo_conv2d_2((int8_t *)a, w->rivals_filters, w->rivals_m, w->rivals_s, w->rivals_q, (int8_t *)(a + 64));
        break;
      case 4: /* add "both": i8[1, 4, 4, 4], i8[1, 4, 4, 4] -> i8[1, 4, 4, 4] */
        demo_add((int8_t *)a, (int8_t *)(a + 64), w->both_q, (int8_t *)a);
        break;
      case 5: /* max_pool2d "anywhere": i8[1, 4, 4, 4] -> i8[1, 1, 1, 4] */
        demo_max_pool2d_2((int8_t *)a, (int8_t *)(a + 64));
        break;
      case 6: /* fully_connected "classes": i8[1, 4], i8[5, 4], i32[5] -> i8[1, 5] */
        demo_fully_connected((int8_t *)(a + 64), w->classes_expected, w->classes_offsets, w->classes_m, w->classes_s,
            w->classes_q, (int8_t *)a);
        break;
      case 7: /* softmax "probabilities": i8[1, 5] -> i8[1, 5] */
        demo_softmax((int8_t *)a, w->probabilities_e, (int8_t *)a);
        break;
      default:
        break;
    }
  }
  return 0;
}

int8_t *demo_input(const demo_t *m) {
  return (int8_t *)(m->arena + 256);
}

const int8_t *demo_output(const demo_t *m) {
  return (int8_t *)m->arena;
}

MOTE_WEIGHTS_SECTION MOTE_ALIGNED(DEMO_ARENA_ALIGN) const demo_weights_t demo_weights = {
/* short_filters */ {
-64,-64,-64,127,127,127,-64,-64,-64,-64,127,-64,-64,127,-64,-64,127,-64,127,-64,-64,-64,127,-64,-64,-64,127,-64,-64,
127,-64,127,-64,127,-64,-64
},
{0},
/* short_m */ {
1442928640,1442928640,1442928640,1442928640
},
/* short_s */ {
-8,-8,-8,-8
},
{0},
/* short_q */ {
-128,-128,-128,127
},
/* long_filters */ {
0,0,127,0,0,0,0,0,0,127,0,0,0,0,0,0,0,0,0,127,0,0,0,0,0,0,127,0,0,127,0,0,0,0,0,127,0,0,0,0,127,0,0,0,127,0,0,0,127,
127,127,127,127,0,0,0,127,0,0,0,0,0,0,0,0,0,0,127,0,127,0,0,0,0,127,0,0,0,0,0,0,0,0,127,0,0,0,0,0,127,0,0,0,0,0,0,0,0,
127,0
},
{0},
/* long_thresholds */ {
-64770,-64770,-64770,-64770
},
/* long_m */ {
1442928640,1442928640,1442928640,1442928640
},
/* long_s */ {
-8,-8,-8,-8
},
{0},
/* long_q */ {
-128,-128,-128,127
},
/* rivals_filters */ {
127,-32,-32,-32,-32,127,-32,-32,-32,-32,127,-32,-32,-32,-32,127
},
/* rivals_m */ {
1082196480,1082196480,1082196480,1082196480
},
/* rivals_s */ {
-6,-6,-6,-6
},
{0},
/* rivals_q */ {
-128,-128,-128,127
},
/* both_q */ {
-128,-128,-128,-128,127,1073741824,0,1073741824,0,1073741824,-19
},
{0},
/* classes_expected */ {
127,0,0,0,0,127,0,0,0,0,127,127,127,127,0,0,0,0,0,0
},
{0},
/* classes_offsets */ {
-16192,-16192,-16192,-18796,0
},
{0},
/* classes_m */ {
1082196608,1082196608,1082196608,1256196843,1731514409
},
{0},
/* classes_s */ {
-7,-7,-8,-8,-11
},
{0},
/* classes_q */ {
-128,0,-128,127
},
/* probabilities_e */ {
2147483647,1835714925,1569208344,1341392940,1146651273,980181971,837880549,716238194,612255602,523369274,447387240,
382436213,326914619,279453594,238882918,204202221,174556396,149214562,127551796,109034015,93204595,79673278,68106425,
58218826,49766691,42541636,36365500,31086011,26572983,22715153,19417400,16598408,14188672,12128782,10367942,8862740,
7576058,6476176,5535974,4732269,4045244,3457962,2955939,2526801,2159963,1846382,1578327,1349188,1153314,985878,842750,
720401,615814,526411,449987,384659,328815,281078,240271,205389,175571,150082,128293,109668,93746,80136,68502,58557,
50056,42789,36577,31267,26727,22847,19530,16695,14271,12199,10428,8914,7620,6514,5568,4760,4069,3478,2973,2541,2173,
1857,1588,1357,1160,992,848,725,619,529,453,387,331,283,242,207,177,151,129,110,94,81,69,59,50,43,37,31,27,23,20,17,
14,12,11,9,8,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,
0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,
0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0
}
};
