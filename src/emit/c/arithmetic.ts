// The operations of the loop language that are no operator of C, as inline functions, and the text that every generated
// file opens with: what is assumed of the compiler, checked while it compiles. Fixed-point rounding as in gemmlowp.

import type { Elem } from '../../loops/ir.ts'
import { FLOAT_INLINE, type Inline } from './float.ts'
import { C_TYPE } from './number.ts'

const two = (name: string, type: string, body: string): Inline => ({
  text: `static inline ${type} ${name}(${type} a, ${type} b) {\n  ${body}\n}`,
})

/** An instruction of Armv7E-M where there is one, `body` elsewhere. */
const dsp = (name: string, parameters: readonly string[], body: string): Inline => {
  const operands = parameters.map((p) => `"r"(${p})`).join(', ')
  const places = parameters.map((_, i) => `, %${i + 1}`).join('')
  return {
    text: `static inline int32_t ${name}(${parameters.map((p) => `int32_t ${p}`).join(', ')}) {
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
  int32_t r;
  __asm__("${name} %0${places}" : "=r"(r) : ${operands});
  return r;
#else
  ${body}
#endif
}`,
  }
}

const aliased = (elem: Elem): Inline => ({ text: `typedef ${C_TYPE[elem]} MOTE_MAY_ALIAS ${elem}_aliased;` })

/** Each after those it calls. */
const INLINE: Readonly<Record<string, Inline>> = {
  ...FLOAT_INLINE,
  i16_aliased: aliased('i16'),
  i32_aliased: aliased('i32'),
  i64_aliased: aliased('i64'),
  f16_aliased: aliased('f16'),
  f32_aliased: aliased('f32'),
  f64_aliased: aliased('f64'),
  wadd: two('wadd', 'int32_t', 'return (int32_t)((uint32_t)a + (uint32_t)b);'),
  wsub: two('wsub', 'int32_t', 'return (int32_t)((uint32_t)a - (uint32_t)b);'),
  wmul: two('wmul', 'int32_t', 'return (int32_t)((uint32_t)a * (uint32_t)b);'),
  wadd64: two('wadd64', 'int64_t', 'return (int64_t)((uint64_t)a + (uint64_t)b);'),
  wsub64: two('wsub64', 'int64_t', 'return (int64_t)((uint64_t)a - (uint64_t)b);'),
  wmul64: two('wmul64', 'int64_t', 'return (int64_t)((uint64_t)a * (uint64_t)b);'),
  abs32: {
    text: 'static inline int32_t abs32(int32_t x) {\n  return (int32_t)(x < 0 ? 0u - (uint32_t)x : (uint32_t)x);\n}',
  },
  abs64: {
    text: 'static inline int64_t abs64(int64_t x) {\n  return (int64_t)(x < 0 ? 0u - (uint64_t)x : (uint64_t)x);\n}',
  },
  min32: two('min32', 'int32_t', 'return b < a ? b : a;'),
  max32: two('max32', 'int32_t', 'return a < b ? b : a;'),
  min64: two('min64', 'int64_t', 'return b < a ? b : a;'),
  max64: two('max64', 'int64_t', 'return a < b ? b : a;'),
  min_f32: two('min_f32', 'float', 'return b < a ? b : a;'),
  max_f32: two('max_f32', 'float', 'return a < b ? b : a;'),
  min_f64: two('min_f64', 'double', 'return b < a ? b : a;'),
  max_f64: two('max_f64', 'double', 'return a < b ? b : a;'),
  shl32: two('shl32', 'int32_t', 'return (int32_t)((uint32_t)a << (b & 31));'),
  shl64: two('shl64', 'int64_t', 'return (int64_t)((uint64_t)a << (b & 63));'),
  ushr32: two('ushr32', 'int32_t', 'return (int32_t)((uint32_t)a >> (b & 31));'),
  ushr64: two('ushr64', 'int64_t', 'return (int64_t)((uint64_t)a >> (b & 63));'),
  clz32: {
    text: `static inline int32_t clz32(int32_t x) {
#if defined(__GNUC__)
  return x == 0 ? 32 : __builtin_clz((unsigned)x);
#else
  int32_t n = 0;
  for (uint32_t bit = 0x80000000u; bit != 0 && ((uint32_t)x & bit) == 0; bit >>= 1) n++;
  return n;
#endif
}`,
  },
  srdhm: {
    text: `/* a * b / 2^31, halves up; saturates for the square of -2^31. */
static inline int32_t srdhm(int32_t a, int32_t b) {
  if (a == b && a == -2147483647 - 1) return 2147483647;
  return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}`,
  },
  rdivpot: {
    text: `/* x / 2^n, halves away from zero; n in 0..31. */
static inline int32_t rdivpot(int32_t x, int32_t n) {
  const int32_t mask = (int32_t)((1u << n) - 1u);
  const int32_t threshold = (mask >> 1) + (x < 0);
  return (x >> n) + ((x & mask) > threshold);
}`,
  },
  sxtb16: dsp(
    'sxtb16',
    ['x'],
    'return (int32_t)(((uint32_t)(int8_t)x & 0xffffu) | (uint32_t)(int8_t)(x >> 16) << 16);',
  ),
  uxtb16: dsp('uxtb16', ['x'], 'return x & 0x00ff00ff;'),
  smlad: dsp(
    'smlad',
    ['a', 'b', 'c'],
    'return (int32_t)((uint32_t)((int16_t)a * (int16_t)b) + (uint32_t)((a >> 16) * (b >> 16)) + (uint32_t)c);',
  ),
  smmla: dsp('smmla', ['a', 'b', 'c'], 'return (int32_t)((uint32_t)(((int64_t)a * b) >> 32) + (uint32_t)c);'),
  requant: {
    needs: ['srdhm'],
    text: `/* x * multiplier / 2^31 * 2^shift, rounded twice as TensorFlow Lite does: halves up, then halves away from zero. */
static inline int32_t requant(int32_t x, int32_t multiplier, int32_t shift) {
  if (shift < 0) {
    const int32_t y = srdhm(x, multiplier); /* above -2^31 */
    const int32_t twice = (y - (y < 0)) >> (-shift - 1);
    return twice - (twice >> 1);
  }
  return srdhm((int32_t)((uint32_t)x << shift), multiplier);
}`,
  },
}

/** Names that generated functions and variables may not take. */
export const INLINE_NAMES: readonly string[] = [...Object.keys(INLINE), 'rounds_products', 'fill']

const ASSUMED = `/*
 * C99, and what every compiler for the machines in question does: int has 32 bits or more, two's complement, >> of a
 * negative number shifts in ones, and a conversion to a narrower signed type keeps the low bits.
 */
typedef char mote_int_has_32_bits[sizeof(int) >= 4 ? 1 : -1];
typedef char mote_shift_is_arithmetic[((-1) >> 1) == -1 ? 1 : -1];
typedef char mote_narrowing_keeps_low_bits[(int8_t)0x1ff == -1 && (int32_t)0xffffffffu == -1 ? 1 : -1];
`

const NOINLINE = `/* Kernels stay functions: layers of one shape share one, and the arena's bytes change type between calls. */
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
`

const FLOATS = `/* Every product and every sum is rounded to its type: no fused multiply-add, no wider intermediate results. */
#if defined(__FAST_MATH__) || (defined(__FLT_EVAL_METHOD__) && (__FLT_EVAL_METHOD__ == 1 || __FLT_EVAL_METHOD__ == 2))
#error "float operations must round to float: compile without -ffast-math, and for SSE on x86"
#endif
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("fp-contract=off")
#else
#pragma STDC FP_CONTRACT OFF
#endif
`

const ROUNDS_PRODUCTS = `/* 1 where a product is rounded before it is added: 0 where flags override the pragma above. */
static int rounds_products(void) {
  volatile float above_one = 0x1.001p+0f, square = -0x1.002p+0f;
  float a = above_one, b = square;
  return a * a + b == 0.0f;
}
`

const CONSTANTS = `#if defined(__GNUC__)
#define MOTE_INFINITY __builtin_inff()
#define MOTE_NAN __builtin_nanf("")
#else
#define MOTE_INFINITY (1.0f / 0.0f)
#define MOTE_NAN (0.0f / 0.0f)
#endif
`

/** A use of an inline function or type, for `preamble`: of its name, under a condition of the preprocessor if not always. */
export function useUnder(name: string, condition: string): string {
  return condition ? `${name} ${condition}` : name
}

/** The text before the first kernel: assumptions, the inline functions in `used`, and `rounds_products` where floats are. */
export function preamble(used: ReadonlySet<string>, floats: boolean): string {
  const wanted = new Map<string, Set<string>>()
  const want = (name: string, condition: string): void => {
    const conditions = wanted.get(name) ?? new Set()
    wanted.set(name, conditions.add(condition))
    for (const needed of INLINE[name].needs ?? []) want(needed, condition)
  }
  for (const use of used) {
    const [name, ...condition] = use.split(' ')
    want(name, condition.join(' '))
  }
  const functions: string[] = []
  let open = ''
  const under = (test: string) => {
    if (test !== open) functions.push(...(open ? ['#endif\n'] : []), ...(test ? [`#if ${test}`] : []))
    open = test
  }
  for (const [name, { text }] of Object.entries(INLINE)) {
    const conditions = wanted.get(name)
    if (!conditions) continue
    const always = conditions.has('') || [...conditions].some((c) => conditions.has(`!(${c})`))
    under(always ? '' : [...conditions].join(' || '))
    functions.push(`${text}\n`)
  }
  under('')
  return [ASSUMED, NOINLINE, ...(floats ? [FLOATS, CONSTANTS, ROUNDS_PRODUCTS] : []), ...functions].join('\n')
}
