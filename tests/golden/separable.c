/* separable for c. Generated; see separable.h. */
#include "separable.h"

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

/* a * b / 2^31, halves up; saturates for the square of -2^31. */
static inline int32_t srdhm(int32_t a, int32_t b) {
  if (a == b && a == -2147483647 - 1) return 2147483647;
  return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
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
#define MOTE_WEIGHTS_SECTION __attribute__((section(".rodata.separable_weights")))
#else
#define MOTE_WEIGHTS_SECTION
#endif
#endif
#if defined(__GNUC__)
#define MOTE_ALIGNED(n) __attribute__((aligned(n)))
#else
#define MOTE_ALIGNED(n)
#endif

/* conv2d "stem": i8[1, 8, 8, 3], i8[8, 3, 3, 3], i32[8] -> i8[1, 4, 4, 8] */
static MOTE_KERNEL void separable_conv2d(const int8_t *x, const int8_t *w, const int32_t *b, const int32_t *m, const
    int8_t *s, const int32_t *q, int8_t *y) {
  const int32_t zx = q[0];
  const int32_t zy = q[1];
  const int32_t lo = q[2];
  const int32_t hi = q[3];
  for (int32_t oh = 0; oh < 4; oh++) {
    for (int32_t ow = 0; ow < 4; ow++) {
      int8_t *y_row = y + (oh * 32 + ow * 8);
      for (int32_t o_o = 0; o_o < 2; o_o++) {
        int32_t acc_0 = b[o_o * 4];
        int32_t acc_1 = b[o_o * 4 + 1];
        int32_t acc_2 = b[o_o * 4 + 2];
        int32_t acc_3 = b[o_o * 4 + 3];
        for (int32_t kh = 0; kh < 3; kh++) {
          if (oh * 2 + kh < 8) {
            for (int32_t kw = 0; kw < 3; kw++) {
              if (ow * 2 + kw < 8) {
                const int8_t *x_row = x + (oh * 48 + ow * 6 + kh * 24 + kw * 3);
                const int8_t *w_row = w + (o_o * 108 + kh * 9 + kw * 3);
                for (int32_t c = 0; c < 3; c++) {
                  const int32_t x_v = x_row[c] - zx;
                  acc_0 += x_v * w_row[c];
                  acc_1 += x_v * w_row[c + 27];
                  acc_2 += x_v * w_row[c + 54];
                  acc_3 += x_v * w_row[c + 81];
                }
              }
            }
          }
        }
        y_row[o_o * 4] = (int8_t)min32(max32(wadd(requant(acc_0, m[o_o * 4], s[o_o * 4]), zy), lo), hi);
        y_row[o_o * 4 + 1] = (int8_t)min32(max32(wadd(requant(acc_1, m[o_o * 4 + 1], s[o_o * 4 + 1]), zy), lo), hi);
        y_row[o_o * 4 + 2] = (int8_t)min32(max32(wadd(requant(acc_2, m[o_o * 4 + 2], s[o_o * 4 + 2]), zy), lo), hi);
        y_row[o_o * 4 + 3] = (int8_t)min32(max32(wadd(requant(acc_3, m[o_o * 4 + 3], s[o_o * 4 + 3]), zy), lo), hi);
      }
    }
  }
}

/* depthwise_conv2d "block_1/depthwise": i8[1, 4, 4, 8], i8[1, 3, 3, 8], i32[8] -> i8[1, 4, 4, 8] */
static MOTE_KERNEL void separable_depthwise_conv2d(const int8_t *x, const int8_t *w, const int32_t *b, const int32_t *m,
    const int8_t *s, const int32_t *q, int8_t *y) {
  const int32_t zx = q[0];
  const int32_t zy = q[1];
  const int32_t lo = q[2];
  const int32_t hi = q[3];
  for (int32_t oh = 0; oh < 4; oh++) {
    int8_t *y_row = y + oh * 32;
    for (int32_t c = 0; c < 8; c++) {
      const int32_t b_v = b[c];
      int32_t acc_0 = b_v;
      int32_t acc_1 = b_v;
      int32_t acc_2 = b_v;
      int32_t acc_3 = b_v;
      for (int32_t kh = 0; kh < 3; kh++) {
        if (oh + kh - 1 >= 0 && oh + kh - 1 < 4) {
          const int8_t *x_row = x + (oh * 32 + c + kh * 32 - 32);
          const int8_t *w_row = w + (c + kh * 24);
          for (int32_t kw = 0; kw < 3; kw++) {
            if (kw - 1 >= 0) {
              acc_0 += (x_row[kw * 8 - 8] - zx) * w_row[kw * 8];
            }
            acc_1 += (x_row[kw * 8] - zx) * w_row[kw * 8];
            acc_2 += (x_row[kw * 8 + 8] - zx) * w_row[kw * 8];
            if (kw + 2 < 4) {
              acc_3 += (x_row[kw * 8 + 16] - zx) * w_row[kw * 8];
            }
          }
        }
      }
      const int32_t m_v = m[c];
      const int32_t s_v = s[c];
      y_row[c] = (int8_t)min32(max32(wadd(requant(acc_0, m_v, s_v), zy), lo), hi);
      y_row[c + 8] = (int8_t)min32(max32(wadd(requant(acc_1, m_v, s_v), zy), lo), hi);
      y_row[c + 16] = (int8_t)min32(max32(wadd(requant(acc_2, m_v, s_v), zy), lo), hi);
      y_row[c + 24] = (int8_t)min32(max32(wadd(requant(acc_3, m_v, s_v), zy), lo), hi);
    }
  }
}

/* conv2d "block_1/pointwise": i8[1, 4, 4, 8], i8[8, 1, 1, 8], i32[8] -> i8[1, 4, 4, 8] */
static MOTE_KERNEL void separable_conv2d_2(const int8_t *x, const int8_t *w, const int32_t *b, const int32_t *m, const
    int8_t *s, const int32_t *q, int8_t *y) {
  const int32_t zx = q[0];
  const int32_t zy = q[1];
  const int32_t lo = q[2];
  const int32_t hi = q[3];
  for (int32_t oh = 0; oh < 4; oh++) {
    for (int32_t ow = 0; ow < 4; ow++) {
      int8_t *y_row = y + (oh * 32 + ow * 8);
      for (int32_t o_o = 0; o_o < 2; o_o++) {
        int32_t acc_0 = b[o_o * 4];
        int32_t acc_1 = b[o_o * 4 + 1];
        int32_t acc_2 = b[o_o * 4 + 2];
        int32_t acc_3 = b[o_o * 4 + 3];
        const int8_t *x_row = x + (oh * 32 + ow * 8);
        const int8_t *w_row = w + o_o * 32;
        for (int32_t c = 0; c < 8; c++) {
          const int32_t x_v = x_row[c] - zx;
          acc_0 += x_v * w_row[c];
          acc_1 += x_v * w_row[c + 8];
          acc_2 += x_v * w_row[c + 16];
          acc_3 += x_v * w_row[c + 24];
        }
        y_row[o_o * 4] = (int8_t)min32(max32(wadd(requant(acc_0, m[o_o * 4], s[o_o * 4]), zy), lo), hi);
        y_row[o_o * 4 + 1] = (int8_t)min32(max32(wadd(requant(acc_1, m[o_o * 4 + 1], s[o_o * 4 + 1]), zy), lo), hi);
        y_row[o_o * 4 + 2] = (int8_t)min32(max32(wadd(requant(acc_2, m[o_o * 4 + 2], s[o_o * 4 + 2]), zy), lo), hi);
        y_row[o_o * 4 + 3] = (int8_t)min32(max32(wadd(requant(acc_3, m[o_o * 4 + 3], s[o_o * 4 + 3]), zy), lo), hi);
      }
    }
  }
}

/* average_pool2d "pool": i8[1, 4, 4, 8] -> i8[1, 1, 1, 8] */
static MOTE_KERNEL void separable_average_pool2d(const int8_t *x, int8_t *y) {
  for (int32_t c = 0; c < 8; c++) {
    int32_t acc = 0;
    for (int32_t kh = 0; kh < 4; kh++) {
      const int8_t *x_row = x + (c + kh * 32);
      for (int32_t kw = 0; kw < 4; kw++) {
        acc += x_row[kw * 8];
      }
    }
    y[c] = (int8_t)((acc + (acc > 0 ? 8 : -8)) / 16);
  }
}

/* fully_connected "scores": i8[1, 1, 1, 8], i8[5, 8], i32[5] -> i8[1, 5] */
static MOTE_KERNEL void separable_fully_connected(const int8_t *x, const int8_t *w, const int32_t *b, const int32_t *m,
    const int8_t *s, const int32_t *q, int8_t *y) {
  const int32_t zx = q[0];
  const int32_t zy = q[1];
  const int32_t lo = q[2];
  const int32_t hi = q[3];
  int32_t acc_0 = b[0];
  int32_t acc_1 = b[1];
  int32_t acc_2 = b[2];
  int32_t acc_3 = b[3];
  for (int32_t k = 0; k < 8; k++) {
    const int32_t x_v = x[k] - zx;
    acc_0 += x_v * w[k];
    acc_1 += x_v * w[k + 8];
    acc_2 += x_v * w[k + 16];
    acc_3 += x_v * w[k + 24];
  }
  y[0] = (int8_t)min32(max32(wadd(requant(acc_0, m[0], s[0]), zy), lo), hi);
  y[1] = (int8_t)min32(max32(wadd(requant(acc_1, m[1], s[1]), zy), lo), hi);
  y[2] = (int8_t)min32(max32(wadd(requant(acc_2, m[2], s[2]), zy), lo), hi);
  y[3] = (int8_t)min32(max32(wadd(requant(acc_3, m[3], s[3]), zy), lo), hi);
  int32_t acc_r = b[4];
  for (int32_t k_r = 0; k_r < 8; k_r++) {
    acc_r += (x[k_r] - zx) * w[k_r + 32];
  }
  y[4] = (int8_t)min32(max32(wadd(requant(acc_r, m[4], s[4]), zy), lo), hi);
}

typedef char separable_weights_layout[offsetof(separable_weights_t, stem_weight) == 0 &&
    offsetof(separable_weights_t, stem_bias) == 216 &&
    offsetof(separable_weights_t, stem_m) == 248 &&
    offsetof(separable_weights_t, stem_s) == 280 &&
    offsetof(separable_weights_t, stem_q) == 288 &&
    offsetof(separable_weights_t, block_1_depthwise_weight) == 304 &&
    offsetof(separable_weights_t, block_1_depthwise_bias) == 376 &&
    offsetof(separable_weights_t, block_1_depthwise_m) == 408 &&
    offsetof(separable_weights_t, block_1_depthwise_s) == 440 &&
    offsetof(separable_weights_t, block_1_depthwise_q) == 448 &&
    offsetof(separable_weights_t, block_1_pointwise_weight) == 464 &&
    offsetof(separable_weights_t, block_1_pointwise_bias) == 528 &&
    offsetof(separable_weights_t, block_1_pointwise_m) == 560 &&
    offsetof(separable_weights_t, block_1_pointwise_s) == 592 &&
    offsetof(separable_weights_t, block_1_pointwise_q) == 600 &&
    offsetof(separable_weights_t, block_2_depthwise_weight) == 616 &&
    offsetof(separable_weights_t, block_2_depthwise_bias) == 688 &&
    offsetof(separable_weights_t, block_2_depthwise_m) == 720 &&
    offsetof(separable_weights_t, block_2_depthwise_s) == 752 &&
    offsetof(separable_weights_t, block_2_depthwise_q) == 760 &&
    offsetof(separable_weights_t, block_2_pointwise_weight) == 776 &&
    offsetof(separable_weights_t, block_2_pointwise_bias) == 840 &&
    offsetof(separable_weights_t, block_2_pointwise_m) == 872 &&
    offsetof(separable_weights_t, block_2_pointwise_s) == 904 &&
    offsetof(separable_weights_t, block_2_pointwise_q) == 912 &&
    offsetof(separable_weights_t, scores_weight) == 928 &&
    offsetof(separable_weights_t, scores_bias) == 968 &&
    offsetof(separable_weights_t, pad_27) == 988 &&
    offsetof(separable_weights_t, scores_m) == 992 &&
    offsetof(separable_weights_t, pad_29) == 1012 &&
    offsetof(separable_weights_t, scores_s) == 1016 &&
    offsetof(separable_weights_t, pad_31) == 1021 &&
    offsetof(separable_weights_t, scores_q) == 1024 &&
    sizeof(separable_weights_t) == 1040 ? 1 : -1];

int separable_init(separable_t *m, void *arena, const separable_weights_t *weights) {
  m->arena = NULL;
  m->weights = weights ? weights : &separable_weights;
  if (!arena || ((uintptr_t)arena & (SEPARABLE_ARENA_ALIGN - 1)) != 0) return 1;
  if (((uintptr_t)m->weights & (SEPARABLE_ARENA_ALIGN - 1)) != 0) return 2;
  m->arena = (uint8_t *)arena;
  separable_reset(m);
  return 0;
}

void separable_reset(separable_t *m) {
  (void)m;
}

int separable_run(separable_t *m) {
  return separable_run_layers(m, 0, SEPARABLE_LAYERS);
}

int separable_run_layers(separable_t *m, int first, int end) {
  uint8_t *const a = m->arena;
  const separable_weights_t *const w = m->weights;
  if (!m->arena) return -1;
  if (first < 0) first = 0;
  for (int i = first; i < end && i < SEPARABLE_LAYERS; i++) {
    switch (i) {
      case 0: /* conv2d "stem": i8[1, 8, 8, 3], i8[8, 3, 3, 3], i32[8] -> i8[1, 4, 4, 8] */
        separable_conv2d((int8_t *)a, w->stem_weight, w->stem_bias, w->stem_m, w->stem_s, w->stem_q, (int8_t *)(a +
            192));
        break;
      case 1: /* depthwise_conv2d "block_1/depthwise": i8[1, 4, 4, 8], i8[1, 3, 3, 8], i32[8] -> i8[1, 4, 4, 8] */
        separable_depthwise_conv2d((int8_t *)(a + 192), w->block_1_depthwise_weight, w->block_1_depthwise_bias,
            w->block_1_depthwise_m, w->block_1_depthwise_s, w->block_1_depthwise_q, (int8_t *)a);
        break;
      case 2: /* conv2d "block_1/pointwise": i8[1, 4, 4, 8], i8[8, 1, 1, 8], i32[8] -> i8[1, 4, 4, 8] */
        separable_conv2d_2((int8_t *)a, w->block_1_pointwise_weight, w->block_1_pointwise_bias, w->block_1_pointwise_m,
            w->block_1_pointwise_s, w->block_1_pointwise_q, (int8_t *)(a + 128));
        break;
      case 3: /* depthwise_conv2d "block_2/depthwise": i8[1, 4, 4, 8], i8[1, 3, 3, 8], i32[8] -> i8[1, 4, 4, 8] */
        separable_depthwise_conv2d((int8_t *)(a + 128), w->block_2_depthwise_weight, w->block_2_depthwise_bias,
            w->block_2_depthwise_m, w->block_2_depthwise_s, w->block_2_depthwise_q, (int8_t *)a);
        break;
      case 4: /* conv2d "block_2/pointwise": i8[1, 4, 4, 8], i8[8, 1, 1, 8], i32[8] -> i8[1, 4, 4, 8] */
        separable_conv2d_2((int8_t *)a, w->block_2_pointwise_weight, w->block_2_pointwise_bias, w->block_2_pointwise_m,
            w->block_2_pointwise_s, w->block_2_pointwise_q, (int8_t *)(a + 128));
        break;
      case 5: /* average_pool2d "pool": i8[1, 4, 4, 8] -> i8[1, 1, 1, 8] */
        separable_average_pool2d((int8_t *)(a + 128), (int8_t *)a);
        break;
      case 6: /* fully_connected "scores": i8[1, 1, 1, 8], i8[5, 8], i32[5] -> i8[1, 5] */
        separable_fully_connected((int8_t *)a, w->scores_weight, w->scores_bias, w->scores_m, w->scores_s, w->scores_q,
            (int8_t *)(a + 8));
        break;
      default:
        break;
    }
  }
  return 0;
}

int8_t *separable_input(const separable_t *m) {
  return (int8_t *)m->arena;
}

const int8_t *separable_output(const separable_t *m) {
  return (int8_t *)(m->arena + 8);
}

MOTE_WEIGHTS_SECTION MOTE_ALIGNED(SEPARABLE_ARENA_ALIGN) const separable_weights_t separable_weights = {
/* stem_weight */ {
-17,51,86,0,63,125,14,-78,36,75,-88,-84,-126,-62,-120,75,-110,-103,81,-77,81,-34,45,-55,99,-105,-37,-2,-44,-67,110,
-26,-126,-88,35,78,92,115,-25,-63,-110,-67,-20,29,104,-123,-126,-23,-78,-60,-108,-52,87,106,124,113,99,126,-79,-26,
-14,46,70,36,-126,-110,-14,-70,-94,-93,12,-26,73,-13,-54,63,88,-17,-15,38,-53,105,-113,-40,-72,-77,-76,-103,-32,37,
106,82,55,-84,-60,120,1,61,67,-94,7,-87,47,60,-42,67,88,54,-109,49,-1,66,4,12,-85,87,69,-26,17,5,-94,78,-19,-14,-120,
-26,125,-50,28,-20,-57,125,-79,-8,-86,49,47,49,-28,-71,-98,118,1,70,120,-12,42,-107,-16,30,85,-8,-65,-54,28,43,119,40,
89,120,-73,2,-9,37,-93,26,-55,88,36,-103,124,-34,-76,-65,-89,-52,122,-49,8,-21,-4,16,-92,-21,51,-94,3,16,64,-75,-20,
-81,64,-88,-49,70,-19,-112,33,56,-105,-120,52,82,-94,103,-32,-37,29,61,-91,-76,90,111,-116,0
},
/* stem_bias */ {
1746,-315,1487,-1902,165,-239,-8,-1002
},
/* stem_m */ {
1876724291,1135505821,2134393689,1116304968,1507154309,2055480269,2013010866,1459073244
},
/* stem_s */ {
-8,-6,-8,-6,-7,-7,-8,-7
},
/* stem_q */ {
-3,-128,-128,127
},
/* block_1_depthwise_weight */ {
-67,-62,55,16,-10,-17,-36,116,18,-63,65,3,-6,42,-108,-28,20,-27,57,-31,-68,55,-7,-121,-97,-7,31,80,57,57,116,-46,-1,
107,123,96,-75,12,-124,51,-60,27,-55,-127,-126,-38,-87,-2,51,-117,-47,38,-73,-3,-66,-45,111,85,-75,2,-116,73,60,120,7,
-65,80,-25,39,-104,-124,15
},
/* block_1_depthwise_bias */ {
668,-1871,1416,-1225,437,-658,-1563,-1897
},
/* block_1_depthwise_m */ {
1746841464,1803443027,1311776327,1977718398,1543572326,1112656924,1567798657,1242550572
},
/* block_1_depthwise_s */ {
-4,-4,-4,-5,-4,-4,-4,-4
},
/* block_1_depthwise_q */ {
-128,-128,-128,127
},
/* block_1_pointwise_weight */ {
-41,-86,109,-71,125,-2,17,21,103,-66,-78,90,-103,60,84,-55,112,-124,-102,-24,92,-3,52,126,-108,17,-77,43,-118,-16,-8,
127,97,-118,68,80,-90,-15,79,55,12,68,-89,25,-105,54,-94,110,0,14,-43,20,-99,-51,-12,89,88,-40,-52,32,89,-125,23,7
},
/* block_1_pointwise_bias */ {
325,-1679,1864,-1691,436,-1160,1117,-800
},
/* block_1_pointwise_m */ {
1629338128,1784251689,1802330693,1593134894,1405575503,1529091091,1720898802,2007660608
},
/* block_1_pointwise_s */ {
-7,-7,-7,-7,-7,-8,-7,-7
},
/* block_1_pointwise_q */ {
-128,-128,-128,127
},
/* block_2_depthwise_weight */ {
-65,44,-51,12,-59,-63,53,95,-95,-34,96,30,15,53,-27,-43,-3,-120,111,33,73,79,-101,92,-12,3,97,-71,38,21,4,53,-72,22,
39,-44,32,63,-49,1,28,96,-26,-11,113,56,6,85,111,0,-93,31,104,77,-9,110,-119,-37,-91,-117,-91,56,-107,-55,-80,-8,-24,
109,-39,65,97,91
},
/* block_2_depthwise_bias */ {
-918,1003,1912,-399,1209,-360,1472,-1107
},
/* block_2_depthwise_m */ {
1344199368,1703279044,1820368788,2081382042,1455487870,1976107211,1268412396,1445431716
},
/* block_2_depthwise_s */ {
-5,-5,-4,-5,-4,-5,-4,-4
},
/* block_2_depthwise_q */ {
-128,-128,-128,127
},
/* block_2_pointwise_weight */ {
-34,-47,31,-75,-72,-2,121,-42,-22,98,114,-20,-107,17,-54,55,-9,-101,49,115,29,52,55,-83,-101,13,53,-114,10,102,-117,
39,67,54,12,-72,-51,21,88,-48,-115,81,-58,-25,-104,89,50,-66,-40,81,-107,-67,25,97,-50,119,-102,4,25,-107,-24,-89,-12,
-8
},
/* block_2_pointwise_bias */ {
-499,-429,-216,356,1925,1722,-1743,1455
},
/* block_2_pointwise_m */ {
1138534372,1777279387,1701412936,1992900786,2042660927,1240629018,1075210640,1417054969
},
/* block_2_pointwise_s */ {
-7,-8,-7,-7,-7,-7,-6,-7
},
/* block_2_pointwise_q */ {
-128,-128,-128,127
},
/* scores_weight */ {
-91,-110,-68,97,-89,-108,103,-116,-23,52,-92,-64,26,53,-51,-91,50,45,22,47,-65,-48,-2,77,-18,58,-12,48,-50,-118,-92,
121,-100,-52,-88,102,-81,86,20,-67
},
/* scores_bias */ {
370,-1,422,319,-334
},
{0},
/* scores_m */ {
1959365731,1959365731,1959365731,1959365731,1959365731
},
{0},
/* scores_s */ {
-7,-7,-7,-7,-7
},
{0},
/* scores_q */ {
-128,4,-128,127
}
};
