/* residual for c. Generated; see residual.h. */
#include "residual.h"

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
#define MOTE_WEIGHTS_SECTION __attribute__((section(".rodata.residual_weights")))
#else
#define MOTE_WEIGHTS_SECTION
#endif
#endif
#if defined(__GNUC__)
#define MOTE_ALIGNED(n) __attribute__((aligned(n)))
#else
#define MOTE_ALIGNED(n)
#endif

/* conv2d "expand": i8[1, 6, 6, 4], i8[12, 1, 1, 4], i32[12] -> i8[1, 6, 6, 12] */
static MOTE_KERNEL void residual_conv2d(const int8_t *x, const int8_t *w, const int32_t *b, const int32_t *m, const
    int8_t *s, const int32_t *q, int8_t *y) {
  const int32_t zx = q[0];
  const int32_t zy = q[1];
  const int32_t lo = q[2];
  const int32_t hi = q[3];
  for (int32_t oh = 0; oh < 6; oh++) {
    for (int32_t ow = 0; ow < 6; ow++) {
      int8_t *y_row = y + (oh * 72 + ow * 12);
      for (int32_t o_o = 0; o_o < 3; o_o++) {
        int32_t acc_0 = b[o_o * 4];
        int32_t acc_1 = b[o_o * 4 + 1];
        int32_t acc_2 = b[o_o * 4 + 2];
        int32_t acc_3 = b[o_o * 4 + 3];
        const int8_t *x_row = x + (oh * 24 + ow * 4);
        const int8_t *w_row = w + o_o * 16;
        for (int32_t c = 0; c < 4; c++) {
          const int32_t x_v = x_row[c] - zx;
          acc_0 += x_v * w_row[c];
          acc_1 += x_v * w_row[c + 4];
          acc_2 += x_v * w_row[c + 8];
          acc_3 += x_v * w_row[c + 12];
        }
        y_row[o_o * 4] = (int8_t)min32(max32(wadd(requant(acc_0, m[o_o * 4], s[o_o * 4]), zy), lo), hi);
        y_row[o_o * 4 + 1] = (int8_t)min32(max32(wadd(requant(acc_1, m[o_o * 4 + 1], s[o_o * 4 + 1]), zy), lo), hi);
        y_row[o_o * 4 + 2] = (int8_t)min32(max32(wadd(requant(acc_2, m[o_o * 4 + 2], s[o_o * 4 + 2]), zy), lo), hi);
        y_row[o_o * 4 + 3] = (int8_t)min32(max32(wadd(requant(acc_3, m[o_o * 4 + 3], s[o_o * 4 + 3]), zy), lo), hi);
      }
    }
  }
}

/* depthwise_conv2d "depthwise": i8[1, 6, 6, 12], i8[1, 3, 3, 12], i32[12] -> i8[1, 6, 6, 12] */
static MOTE_KERNEL void residual_depthwise_conv2d(const int8_t *x, const int8_t *w, const int32_t *b, const int32_t *m,
    const int8_t *s, const int32_t *q, int8_t *y) {
  const int32_t zx = q[0];
  const int32_t zy = q[1];
  const int32_t lo = q[2];
  const int32_t hi = q[3];
  for (int32_t oh = 0; oh < 6; oh++) {
    int8_t *y_row = y + oh * 72;
    for (int32_t c = 0; c < 12; c++) {
      const int32_t b_v = b[c];
      int32_t acc_0 = b_v;
      int32_t acc_1 = b_v;
      int32_t acc_2 = b_v;
      int32_t acc_3 = b_v;
      for (int32_t kh = 0; kh < 3; kh++) {
        if (oh + kh - 1 >= 0 && oh + kh - 1 < 6) {
          const int8_t *x_row = x + (oh * 72 + c + kh * 72 - 72);
          const int8_t *w_row = w + (c + kh * 36);
          for (int32_t kw = 0; kw < 3; kw++) {
            if (kw - 1 >= 0) {
              acc_0 += (x_row[kw * 12 - 12] - zx) * w_row[kw * 12];
            }
            acc_1 += (x_row[kw * 12] - zx) * w_row[kw * 12];
            acc_2 += (x_row[kw * 12 + 12] - zx) * w_row[kw * 12];
            acc_3 += (x_row[kw * 12 + 24] - zx) * w_row[kw * 12];
          }
        }
      }
      const int32_t m_v = m[c];
      const int32_t s_v = s[c];
      y_row[c] = (int8_t)min32(max32(wadd(requant(acc_0, m_v, s_v), zy), lo), hi);
      y_row[c + 12] = (int8_t)min32(max32(wadd(requant(acc_1, m_v, s_v), zy), lo), hi);
      y_row[c + 24] = (int8_t)min32(max32(wadd(requant(acc_2, m_v, s_v), zy), lo), hi);
      y_row[c + 36] = (int8_t)min32(max32(wadd(requant(acc_3, m_v, s_v), zy), lo), hi);
    }
    for (int32_t ow_r = 0; ow_r < 2; ow_r++) {
      int8_t *y_row_2 = y + (oh * 72 + ow_r * 12 + 48);
      for (int32_t c_r = 0; c_r < 12; c_r++) {
        int32_t acc_r = b[c_r];
        for (int32_t kh_r = 0; kh_r < 3; kh_r++) {
          if (oh + kh_r - 1 >= 0 && oh + kh_r - 1 < 6) {
            const int32_t x_at = oh * 72 + ow_r * 12 + c_r + kh_r * 72 - 36;
            const int32_t w_at = c_r + kh_r * 36;
            for (int32_t kw_r = 0; kw_r < 3; kw_r++) {
              if (ow_r + 4 + kw_r - 1 < 6) {
                acc_r += (x[x_at + kw_r * 12] - zx) * w[w_at + kw_r * 12];
              }
            }
          }
        }
        y_row_2[c_r] = (int8_t)min32(max32(wadd(requant(acc_r, m[c_r], s[c_r]), zy), lo), hi);
      }
    }
  }
}

/* conv2d "project": i8[1, 6, 6, 12], i8[4, 1, 1, 12], i32[4] -> i8[1, 6, 6, 4] */
static MOTE_KERNEL void residual_conv2d_2(const int8_t *x, const int8_t *w, const int32_t *b, const int32_t *m, const
    int8_t *s, const int32_t *q, int8_t *y) {
  const int32_t zx = q[0];
  const int32_t zy = q[1];
  const int32_t lo = q[2];
  const int32_t hi = q[3];
  for (int32_t oh = 0; oh < 6; oh++) {
    int8_t *y_row = y + oh * 24;
    for (int32_t ow = 0; ow < 6; ow++) {
      int32_t acc_0 = b[0];
      int32_t acc_1 = b[1];
      int32_t acc_2 = b[2];
      int32_t acc_3 = b[3];
      const int8_t *x_row = x + (oh * 72 + ow * 12);
      for (int32_t c = 0; c < 12; c++) {
        const int32_t x_v = x_row[c] - zx;
        acc_0 += x_v * w[c];
        acc_1 += x_v * w[c + 12];
        acc_2 += x_v * w[c + 24];
        acc_3 += x_v * w[c + 36];
      }
      y_row[ow * 4] = (int8_t)min32(max32(wadd(requant(acc_0, m[0], s[0]), zy), lo), hi);
      y_row[ow * 4 + 1] = (int8_t)min32(max32(wadd(requant(acc_1, m[1], s[1]), zy), lo), hi);
      y_row[ow * 4 + 2] = (int8_t)min32(max32(wadd(requant(acc_2, m[2], s[2]), zy), lo), hi);
      y_row[ow * 4 + 3] = (int8_t)min32(max32(wadd(requant(acc_3, m[3], s[3]), zy), lo), hi);
    }
  }
}

/* add "sum": i8[1, 6, 6, 4], i8[1, 6, 6, 4] -> i8[1, 6, 6, 4] */
static MOTE_KERNEL void residual_add(const int8_t *a, const int8_t *b, const int32_t *q, int8_t *y) {
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
  for (int32_t i0 = 0; i0 < 144; i0++) {
    y[i0] = (int8_t)min32(max32(requant(requant((a[i0] - za) * 1048576, ma, sa) + requant((b[i0] - zb) * 1048576, mb,
        sb), my, sy) + zy, lo), hi);
  }
}

/* average_pool2d "pool": i8[1, 6, 6, 4] -> i8[1, 1, 1, 4] */
static MOTE_KERNEL void residual_average_pool2d(const int8_t *x, int8_t *y) {
  for (int32_t c = 0; c < 4; c++) {
    int32_t acc = 0;
    for (int32_t kh = 0; kh < 6; kh++) {
      const int8_t *x_row = x + (c + kh * 24);
      for (int32_t kw = 0; kw < 6; kw++) {
        acc += x_row[kw * 4];
      }
    }
    y[c] = (int8_t)((acc + (acc > 0 ? 18 : -18)) / 36);
  }
}

/* softmax "softmax": i8[1, 4] -> i8[1, 4] */
static MOTE_KERNEL void residual_softmax(const int8_t *x, const int32_t *e, int8_t *y) {
  int32_t max = x[0];
  for (int32_t m = 0; m < 4; m++) {
    max = max32(max, x[m]);
  }
  int32_t sum = 0;
  for (int32_t c = 0; c < 4; c++) {
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
  for (int32_t o = 0; o < 4; o++) {
    y[o] = (int8_t)min32(rdivpot(srdhm(scale, e[max - x[o]]), exponent) - 128, 127);
  }
}

typedef char residual_weights_layout[offsetof(residual_weights_t, expand_weight) == 0 &&
    offsetof(residual_weights_t, expand_bias) == 48 &&
    offsetof(residual_weights_t, expand_m) == 96 &&
    offsetof(residual_weights_t, expand_s) == 144 &&
    offsetof(residual_weights_t, pad_4) == 156 &&
    offsetof(residual_weights_t, expand_q) == 160 &&
    offsetof(residual_weights_t, depthwise_weight) == 176 &&
    offsetof(residual_weights_t, pad_7) == 284 &&
    offsetof(residual_weights_t, depthwise_bias) == 288 &&
    offsetof(residual_weights_t, depthwise_m) == 336 &&
    offsetof(residual_weights_t, depthwise_s) == 384 &&
    offsetof(residual_weights_t, pad_11) == 396 &&
    offsetof(residual_weights_t, depthwise_q) == 400 &&
    offsetof(residual_weights_t, project_weight) == 416 &&
    offsetof(residual_weights_t, project_bias) == 464 &&
    offsetof(residual_weights_t, project_m) == 480 &&
    offsetof(residual_weights_t, project_s) == 496 &&
    offsetof(residual_weights_t, pad_17) == 500 &&
    offsetof(residual_weights_t, project_q) == 504 &&
    offsetof(residual_weights_t, sum_q) == 520 &&
    offsetof(residual_weights_t, pad_20) == 564 &&
    offsetof(residual_weights_t, softmax_e) == 568 &&
    sizeof(residual_weights_t) == 1592 ? 1 : -1];

int residual_init(residual_t *m, void *arena, const residual_weights_t *weights) {
  m->arena = NULL;
  m->weights = weights ? weights : &residual_weights;
  if (!arena || ((uintptr_t)arena & (RESIDUAL_ARENA_ALIGN - 1)) != 0) return 1;
  if (((uintptr_t)m->weights & (RESIDUAL_ARENA_ALIGN - 1)) != 0) return 2;
  m->arena = (uint8_t *)arena;
  residual_reset(m);
  return 0;
}

void residual_reset(residual_t *m) {
  (void)m;
}

int residual_run(residual_t *m) {
  return residual_run_layers(m, 0, RESIDUAL_LAYERS);
}

int residual_run_layers(residual_t *m, int first, int end) {
  uint8_t *const a = m->arena;
  const residual_weights_t *const w = m->weights;
  if (!m->arena) return -1;
  if (first < 0) first = 0;
  for (int i = first; i < end && i < RESIDUAL_LAYERS; i++) {
    switch (i) {
      case 0: /* conv2d "expand": i8[1, 6, 6, 4], i8[12, 1, 1, 4], i32[12] -> i8[1, 6, 6, 12] */
        residual_conv2d((int8_t *)(a + 864), w->expand_weight, w->expand_bias, w->expand_m, w->expand_s, w->expand_q,
            (int8_t *)a);
        break;
      case 1: /* depthwise_conv2d "depthwise": i8[1, 6, 6, 12], i8[1, 3, 3, 12], i32[12] -> i8[1, 6, 6, 12] */
        residual_depthwise_conv2d((int8_t *)a, w->depthwise_weight, w->depthwise_bias, w->depthwise_m, w->depthwise_s,
            w->depthwise_q, (int8_t *)(a + 432));
        break;
      case 2: /* conv2d "project": i8[1, 6, 6, 12], i8[4, 1, 1, 12], i32[4] -> i8[1, 6, 6, 4] */
        residual_conv2d_2((int8_t *)(a + 432), w->project_weight, w->project_bias, w->project_m, w->project_s,
            w->project_q, (int8_t *)a);
        break;
      case 3: /* add "sum": i8[1, 6, 6, 4], i8[1, 6, 6, 4] -> i8[1, 6, 6, 4] */
        residual_add((int8_t *)(a + 864), (int8_t *)a, w->sum_q, (int8_t *)(a + 864));
        break;
      case 4: /* average_pool2d "pool": i8[1, 6, 6, 4] -> i8[1, 1, 1, 4] */
        residual_average_pool2d((int8_t *)(a + 864), (int8_t *)a);
        break;
      case 5: /* softmax "softmax": i8[1, 4] -> i8[1, 4] */
        residual_softmax((int8_t *)a, w->softmax_e, (int8_t *)a);
        break;
      default:
        break;
    }
  }
  return 0;
}

int8_t *residual_input(const residual_t *m) {
  return (int8_t *)(m->arena + 864);
}

const int8_t *residual_output(const residual_t *m) {
  return (int8_t *)m->arena;
}

MOTE_WEIGHTS_SECTION MOTE_ALIGNED(RESIDUAL_ARENA_ALIGN) const residual_weights_t residual_weights = {
/* expand_weight */ {
-28,54,-40,-18,-58,31,19,73,53,20,48,-57,39,-9,74,-84,-73,-54,-56,74,2,21,101,46,-95,52,-86,-124,105,64,56,112,-1,9,
-13,107,-121,-47,-111,113,94,-74,-78,118,51,-28,100,-33
},
/* expand_bias */ {
-829,-401,-931,-150,-849,45,-25,-36,599,796,-862,225
},
/* expand_m */ {
1233208991,1186894701,1461674134,1692447067,1833936213,1552573382,1686268968,1600920926,1536371757,1347594497,
1978047210,1648939459
},
/* expand_s */ {
-5,-5,-5,-6,-6,-6,-6,-5,-5,-6,-6,-5
},
{0},
/* expand_q */ {
2,-10,-10,110
},
/* depthwise_weight */ {
-16,-81,-35,10,-21,-8,-26,-86,-91,113,-38,22,-114,-14,-110,57,30,4,17,-108,-124,15,-46,-27,51,-108,-51,1,89,81,48,40,
-64,92,-89,-105,100,-55,125,-40,-87,116,50,56,28,-78,-107,23,124,40,-110,-94,91,66,-56,80,-113,48,3,110,-74,-61,57,63,
-50,119,37,45,56,-121,-4,28,-26,37,-126,-94,7,91,-70,28,-26,-69,-97,77,-52,-125,79,-24,-69,9,-39,40,57,-125,-30,-73,
33,-17,-64,-41,127,-103,107,23,119,-50,96,1
},
{0},
/* depthwise_bias */ {
-297,-198,-316,-197,879,851,960,-204,-13,-202,394,611
},
/* depthwise_m */ {
1100404608,1676249472,1651981312,1783278208,1865882496,2036957696,1346166656,1406291968,2007384320,1489788672,
1915538560,2027526272
},
/* depthwise_s */ {
-5,-5,-5,-6,-5,-5,-5,-6,-6,-6,-5,-5
},
{0},
/* depthwise_q */ {
-10,-10,-128,127
},
/* project_weight */ {
0,33,-76,82,46,-64,-81,-45,85,-126,-3,46,26,97,126,80,-5,-108,-119,-21,106,126,126,-112,91,-97,67,-76,-44,65,-58,-26,
-11,-76,-124,-113,114,75,-123,-28,16,97,-47,6,106,89,49,-26
},
/* project_bias */ {
-671,-900,997,385
},
/* project_m */ {
1386146932,1327410716,1629089661,1785550147
},
/* project_s */ {
-5,-5,-5,-6
},
{0},
/* project_q */ {
-10,1,-128,127
},
/* sum_q */ {
2,1,0,-128,127,1431655765,-1,1073741824,0,1610612736,-19
},
{0},
/* softmax_e */ {
2147483647,1982377261,1829964861,1689270790,1559393189,1439501351,1328827385,1226662129,1132351875,1045292601,
964926603,890739538,822256262,759038141,700680541,646809676,597080538,551174838,508798509,469680171,433569486,
400235083,369463491,341057840,314836068,290630403,268285600,247658824,228617951,211040928,194815332,179837239,
166010674,153247169,141464977,130588621,120548493,111280289,102724646,94826804,87536175,80806067,74593406,68858393,
63564302,58677252,54165931,50001448,46157161,42608430,39332550,36308509,33516979,30940077,28561285,26365389,24338325,
22467103,20739750,19145204,17673249,16314465,15060150,13902270,12833413,11846734,10935912,10095120,9318971,8602493,
7941103,7330562,6766960,6246693,5766424,5323082,4913823,4536030,4187284,3865350,3568168,3293834,3040592,2806820,
2591022,2391814,2207923,2038170,1881468,1736814,1603281,1480015,1366226,1261186,1164221,1074711,992084,915809,845398,
780401,720401,665014,613885,566688,523119,482899,445772,411500,379862,350657,323697,298810,275836,254629,235052,
216981,200298,184899,170683,157560,145446,134264,123941,114412,105616,97496,90000,83080,76693,70796,65353,60329,55690,
51409,47456,43808,40440,37330,34460,31811,29365,27107,25023,23099,21323,19684,18171,16774,15484,14294,13195,12180,
11244,10379,9581,8845,8165,7537,6957,6423,5929,5473,5052,4664,4305,3974,3669,3387,3126,2886,2664,2459,2270,2096,1934,
1786,1648,1522,1405,1297,1197,1105,1020,942,869,802,741,684,631,583,538,496,458,423,391,361,333,307,284,262,242,223,
206,190,176,162,150,138,128,118,109,100,93,86,79,73,67,62,57,53,49,45,42,38,35,33,30,28,26,24,22,20,19,17,16,15,14,13,
12,11,10,9,8,8,7,7,6,6,5,0,0,0,0,0,0,0
}
};
