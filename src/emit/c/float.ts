// Float operations that C has only in its mathematical library, as inline functions without it: rounding to whole numbers,
// square roots digit by digit (correctly rounded), binary16 elements, saturating conversions to integers.

/** A function or type, and those that it needs. */
export interface Inline {
  readonly needs?: readonly string[]
  readonly text: string
}

interface Width {
  /** The types, and the end of a constant. */
  readonly float: string
  readonly int: string
  readonly uint: string
  readonly f: string
  readonly n: number
  readonly least: string
  /** Bits of the fraction, the mask for it, the exponent of infinity, and its bias. */
  readonly digits: number
  readonly fraction: string
  readonly exponents: number
  readonly bias: number
}

const F32: Width = {
  float: 'float',
  int: 'int32_t',
  uint: 'uint32_t',
  f: 'f',
  n: 32,
  least: '(-2147483647 - 1)',
  digits: 23,
  fraction: '0x7fffffu',
  exponents: 255,
  bias: 127,
}

const F64: Width = {
  float: 'double',
  int: 'int64_t',
  uint: 'uint64_t',
  f: '',
  n: 64,
  least: '(-9223372036854775807LL - 1)',
  digits: 52,
  fraction: '0xfffffffffffffULL',
  exponents: 2047,
  bias: 1023,
}

/** Each after those it calls. */
function functionsOf({ float, int, uint, f, n, least, digits, fraction, exponents, bias }: Width) {
  const whole = `${2 ** digits}.0${f}`
  const bits = [`bits_f${n}`, `from_bits_f${n}`]
  const head = (name: string) => `static inline ${float} ${name}_f${n}(${float} x)`
  // what VCVT does
  const converted = `#if defined(__GNUC__) && defined(__arm__) && defined(__ARM_FP) && (__ARM_FP & 4)
  int32_t i;
  __asm__("vcvt.s32.f32 %0, %1" : "=t"(i) : "t"(x));
  return i;
#else
`
  const toInteger = (to: number, max: string): Inline => ({
    text: `/* Toward zero, saturating; 0 for NaN. */
static inline int${to}_t i${to}_of_f${n}(${float} x) {
${to === 32 && n === 32 ? converted : ''}  if (x >= ${2n ** BigInt(to - 1)}.0${f}) return ${max};
  if (x <= -${2n ** BigInt(to - 1)}.0${f}) return -${max} - 1;
  return x == x ? (int${to}_t)x : 0;
${to === 32 && n === 32 ? '#endif\n' : ''}}`,
  })
  return {
    [`bits_f${n}`]: {
      text: `static inline ${int} bits_f${n}(${float} x) {
  ${int} bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}`,
    },
    [`from_bits_f${n}`]: {
      text: `static inline ${float} from_bits_f${n}(${int} bits) {
  ${float} x;
  memcpy(&x, &bits, sizeof x);
  return x;
}`,
    },
    [`abs_f${n}`]: {
      needs: bits,
      text: `${head('abs')} {
  return from_bits_f${n}(bits_f${n}(x) & ~${least});
}`,
    },
    [`signed_f${n}`]: {
      needs: bits,
      text: `static inline ${float} signed_f${n}(${float} size, ${float} sign) {
  return from_bits_f${n}(bits_f${n}(size) | (bits_f${n}(sign) & ${least}));
}`,
    },
    [`trunc_f${n}`]: {
      needs: [`abs_f${n}`, `signed_f${n}`],
      text: `${head('trunc')} {
  return abs_f${n}(x) < ${whole} ? signed_f${n}((${float})(${int})x, x) : x;
}`,
    },
    [`floor_f${n}`]: {
      needs: [`trunc_f${n}`],
      text: `${head('floor')} {
  const ${float} t = trunc_f${n}(x);
  return t > x ? t - 1.0${f} : t;
}`,
    },
    [`ceil_f${n}`]: {
      needs: [`trunc_f${n}`],
      text: `${head('ceil')} {
  const ${float} t = trunc_f${n}(x);
  return t < x ? t + 1.0${f} : t;
}`,
    },
    [`nearest_f${n}`]: {
      needs: [`abs_f${n}`, `signed_f${n}`],
      text: `/* To a whole number, halves to even: the sum has no room for a fraction. */
${head('nearest')} {
  return abs_f${n}(x) < ${whole} ? signed_f${n}((abs_f${n}(x) + ${whole}) - ${whole}, x) : x;
}`,
    },
    [`sqrt_f${n}`]: {
      needs: bits,
      text: `/* Digit by digit, one more than the result has, which rounds it: no square root ends in a half. */
static ${float} sqrt_f${n}(${float} x) {
  const ${int} bits = bits_f${n}(x);
  ${int} exponent = bits >> ${digits};
  ${uint} m = (${uint})bits & ${fraction}, root = 0, rest = 0;
  if ((bits & ~${least}) == 0) return x;
  if (bits < 0) return (${float})MOTE_NAN;
  if (exponent == ${exponents}) return x;
  if (exponent == 0) {
    for (exponent = 1; m <= ${fraction}; exponent--) m <<= 1;
  } else {
    m += ${fraction} + 1;
  }
  m <<= ${n - digits - 2} + ((exponent + 1) & 1);
  for (int i = 0; i < ${digits + 2}; i++) {
    rest = (rest << 2) | (m >> ${n - 2});
    m <<= 2;
    root <<= 1;
    if (rest > root << 1) {
      rest -= (root << 1) + 1;
      root++;
    }
  }
  return from_bits_f${n}((${int})(((${uint})(((exponent + ${bias}) >> 1) - 1) << ${digits}) + ((root + 1) >> 1)));
}`,
    },
    [`i32_of_f${n}`]: toInteger(32, '2147483647'),
    [`i64_of_f${n}`]: toInteger(64, '9223372036854775807LL'),
  } satisfies Record<string, Inline>
}

/** Each after those it calls. */
export const FLOAT_INLINE: Readonly<Record<string, Inline>> = {
  double_has_64_bits: { text: 'typedef char mote_double_has_64_bits[sizeof(double) == 8 ? 1 : -1];' },
  ...functionsOf(F32),
  ...functionsOf(F64),
  from_half: {
    needs: ['bits_f32', 'from_bits_f32'],
    text: `/* The product gives the exponent its other bias, and makes normal numbers of subnormal ones. */
static inline float from_half(uint16_t half) {
  const int32_t size = half & 0x7fff;
  const int32_t sign = (int32_t)((uint32_t)(half & 0x8000) << 16);
  if (size > 0x7c00) return MOTE_NAN;
  if (size == 0x7c00) return from_bits_f32(sign | 0x7f800000);
  return from_bits_f32(sign | bits_f32(from_bits_f32(size << 13) * 0x1p+112f));
}`,
  },
  to_half: {
    needs: ['bits_f32', 'from_bits_f32'],
    text: `/* To nearest, halves to even. Sums in [0.5, 1) are spaced as the subnormal results are. */
static inline uint16_t to_half(float x) {
  const int32_t bits = bits_f32(x);
  const int32_t size = bits & 0x7fffffff;
  int32_t half;
  if (size > 0x7f800000) return 0x7e00;
  if (size < 0x38800000) half = bits_f32(from_bits_f32(size) + 0.5f) - 0x3f000000;
  else if (size >= 0x477ff000) half = 0x7c00;
  else half = ((size + 0xfff + ((size >> 13) & 1)) >> 13) - (112 << 10);
  return (uint16_t)(half | ((bits >> 16) & 0x8000));
}`,
  },
}
