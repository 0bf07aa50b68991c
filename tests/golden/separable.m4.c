/* separable for cortex-m4. Generated; see separable.h. */
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

#if !(defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP))
static inline int32_t wadd(int32_t a, int32_t b) {
  return (int32_t)((uint32_t)a + (uint32_t)b);
}

static inline int32_t wsub(int32_t a, int32_t b) {
  return (int32_t)((uint32_t)a - (uint32_t)b);
}

#endif

static inline int32_t wmul(int32_t a, int32_t b) {
  return (int32_t)((uint32_t)a * (uint32_t)b);
}

#if !(defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP))
static inline int32_t min32(int32_t a, int32_t b) {
  return b < a ? b : a;
}

static inline int32_t max32(int32_t a, int32_t b) {
  return a < b ? b : a;
}

static inline int32_t shl32(int32_t a, int32_t b) {
  return (int32_t)((uint32_t)a << (b & 31));
}

static inline int32_t ushr32(int32_t a, int32_t b) {
  return (int32_t)((uint32_t)a >> (b & 31));
}

static inline int32_t sxtb16(int32_t x) {
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
  int32_t r;
  __asm__("sxtb16 %0, %1" : "=r"(r) : "r"(x));
  return r;
#else
  return (int32_t)(((uint32_t)(int8_t)x & 0xffffu) | (uint32_t)(int8_t)(x >> 16) << 16);
#endif
}

static inline int32_t uxtb16(int32_t x) {
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
  int32_t r;
  __asm__("uxtb16 %0, %1" : "=r"(r) : "r"(x));
  return r;
#else
  return x & 0x00ff00ff;
#endif
}

static inline int32_t smlad(int32_t a, int32_t b, int32_t c) {
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
  int32_t r;
  __asm__("smlad %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(c));
  return r;
#else
  return (int32_t)((uint32_t)((int16_t)a * (int16_t)b) + (uint32_t)((a >> 16) * (b >> 16)) + (uint32_t)c);
#endif
}

static inline int32_t smmla(int32_t a, int32_t b, int32_t c) {
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
  int32_t r;
  __asm__("smmla %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(c));
  return r;
#else
  return (int32_t)((uint32_t)(((int64_t)a * b) >> 32) + (uint32_t)c);
#endif
}

#endif

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
#if defined(__clang__)
#define MOTE_ASM __attribute__((naked, noinline))
#elif defined(__GNUC__)
#define MOTE_ASM __attribute__((naked, noipa))
#endif
#if defined(__GNUC__)
#define MOTE_UNUSED __attribute__((unused))
#endif

#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
static MOTE_ASM void row_0_24_8_bytes(MOTE_UNUSED const void *a0, MOTE_UNUSED const void *a1, MOTE_UNUSED int32_t a2) {
  __asm__ volatile(
    "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"
    "ldr r3, [r1], #4\n"
    "str r3, [r0], #4\n"
    "ldr r3, [r1], #4\n"
    "str r3, [r0], #4\n"
    "ldr r3, [r1], #4\n"
    "str r3, [r0], #4\n"
    "ldr r3, [r1], #4\n"
    "str r3, [r0], #4\n"
    "ldr r3, [r1], #4\n"
    "str r3, [r0], #4\n"
    "ldr r3, [r1], #4\n"
    "str r3, [r0], #4\n"
    "str r2, [r0], #4\n"
    "str r2, [r0], #4\n"
    "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n"
  );
}
#endif

#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
static MOTE_ASM void fill_32(MOTE_UNUSED const void *a0, MOTE_UNUSED int32_t a1, MOTE_UNUSED int32_t a2) {
  __asm__ volatile(
    "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"
    "str r2, [r0], #4\n"
    "str r2, [r0], #4\n"
    "str r2, [r0], #4\n"
    "str r2, [r0], #4\n"
    "str r2, [r0], #4\n"
    "str r2, [r0], #4\n"
    "str r2, [r0], #4\n"
    "str r2, [r0], #4\n"
    "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n"
  );
}
#endif

#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
static MOTE_ASM void widen_4_3x3_32_6(MOTE_UNUSED const void *a0, MOTE_UNUSED const void *a1) {
  __asm__ volatile(
    "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"
    "mov r2, r0\n"
    "addw r2, r2, #6\n"
    "mov r3, r2\n"
    "addw r3, r3, #6\n"
    "mov r12, r3\n"
    "addw r12, r12, #6\n"
    "movw lr, #3\n"
    "1:\n"
    "ldr r8, [r0], #4\n"
    "ldr r9, [r2], #4\n"
    "ldr r10, [r3], #4\n"
    "ldr r11, [r12], #4\n"
    "eor r4, r8, #0x00800080\n"
    "eor r5, r9, #0x00800080\n"
    "eor r6, r10, #0x00800080\n"
    "eor r7, r11, #0x00800080\n"
    "uxtb16 r4, r4\n"
    "uxtb16 r5, r5\n"
    "uxtb16 r6, r6\n"
    "uxtb16 r7, r7\n"
    "eor r8, r8, #0x007f007f\n"
    "eor r9, r9, #0x007f007f\n"
    "eor r10, r10, #0x007f007f\n"
    "eor r11, r11, #0x007f007f\n"
    "stmia r1!, {r4, r5, r6, r7, r8, r9, r10, r11}\n"
    "ldr r8, [r0], #4\n"
    "ldr r9, [r2], #4\n"
    "ldr r10, [r3], #4\n"
    "ldr r11, [r12], #4\n"
    "eor r4, r8, #0x00800080\n"
    "eor r5, r9, #0x00800080\n"
    "eor r6, r10, #0x00800080\n"
    "eor r7, r11, #0x00800080\n"
    "uxtb16 r4, r4\n"
    "uxtb16 r5, r5\n"
    "uxtb16 r6, r6\n"
    "uxtb16 r7, r7\n"
    "eor r8, r8, #0x007f007f\n"
    "eor r9, r9, #0x007f007f\n"
    "eor r10, r10, #0x007f007f\n"
    "eor r11, r11, #0x007f007f\n"
    "stmia r1!, {r4, r5, r6, r7, r8, r9, r10, r11}\n"
    "ldr r8, [r0], #4\n"
    "ldr r9, [r2], #4\n"
    "ldr r10, [r3], #4\n"
    "ldr r11, [r12], #4\n"
    "eor r4, r8, #0x00800080\n"
    "eor r5, r9, #0x00800080\n"
    "eor r6, r10, #0x00800080\n"
    "eor r7, r11, #0x00800080\n"
    "uxtb16 r4, r4\n"
    "uxtb16 r5, r5\n"
    "uxtb16 r6, r6\n"
    "uxtb16 r7, r7\n"
    "eor r8, r8, #0x007f007f\n"
    "eor r9, r9, #0x007f007f\n"
    "eor r10, r10, #0x007f007f\n"
    "eor r11, r11, #0x007f007f\n"
    "stmia r1!, {r4, r5, r6, r7, r8, r9, r10, r11}\n"
    "addw r0, r0, #20\n"
    "addw r2, r2, #20\n"
    "addw r3, r3, #20\n"
    "addw r12, r12, #20\n"
    "subs lr, lr, #1\n"
    "bne 1b\n"
    "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n"
  );
}
#endif

#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
static MOTE_ASM void tile_4x2_36_13_8(MOTE_UNUSED const void *a0, MOTE_UNUSED const void *a1, MOTE_UNUSED const void *a2, MOTE_UNUSED int32_t a3) {
  __asm__ volatile(
    "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"
    "push {r0, r1, r2, r3}\n"
    "1:\n"
    "ldmia r1!, {r4, r8}\n"
    "mov r5, r4\n"
    "mov r6, r4\n"
    "mov r7, r4\n"
    "mov r9, r8\n"
    "mov r10, r8\n"
    "mov r11, r8\n"
    "ldmia r0!, {r2, r3}\n"
    "ldmia r1!, {r12, lr}\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "sxtb16 r12, r12\n"
    "sxtb16 lr, lr\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "ldmia r1!, {r12, lr}\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "sxtb16 r12, r12\n"
    "sxtb16 lr, lr\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "ldmia r1!, {r12, lr}\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "sxtb16 r12, r12\n"
    "sxtb16 lr, lr\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "ldmia r1!, {r12, lr}\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "sxtb16 r12, r12\n"
    "sxtb16 lr, lr\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "ldmia r1!, {r12, lr}\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "sxtb16 r12, r12\n"
    "sxtb16 lr, lr\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "ldmia r1!, {r12, lr}\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "sxtb16 r12, r12\n"
    "sxtb16 lr, lr\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "ldmia r1!, {r12, lr}\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "sxtb16 r12, r12\n"
    "sxtb16 lr, lr\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "ldmia r1!, {r12, lr}\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "sxtb16 r12, r12\n"
    "sxtb16 lr, lr\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "ldmia r1!, {r12, lr}\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "sxtb16 r12, r12\n"
    "sxtb16 lr, lr\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldr lr, [sp, #8]\n"
    "ldmia r1!, {r2, r3}\n"
    "smmla r4, r4, r2, r3\n"
    "ssat r4, #8, r4, asr #13\n"
    "strb r4, [lr, #0]\n"
    "smmla r5, r5, r2, r3\n"
    "ssat r5, #8, r5, asr #13\n"
    "strb r5, [lr, #8]\n"
    "smmla r6, r6, r2, r3\n"
    "ssat r6, #8, r6, asr #13\n"
    "strb r6, [lr, #16]\n"
    "smmla r7, r7, r2, r3\n"
    "ssat r7, #8, r7, asr #13\n"
    "strb r7, [lr, #24]\n"
    "ldmia r1!, {r2, r3}\n"
    "smmla r8, r8, r2, r3\n"
    "ssat r8, #8, r8, asr #13\n"
    "strb r8, [lr, #1]\n"
    "smmla r9, r9, r2, r3\n"
    "ssat r9, #8, r9, asr #13\n"
    "strb r9, [lr, #9]\n"
    "smmla r10, r10, r2, r3\n"
    "ssat r10, #8, r10, asr #13\n"
    "strb r10, [lr, #17]\n"
    "smmla r11, r11, r2, r3\n"
    "ssat r11, #8, r11, asr #13\n"
    "strb r11, [lr, #25]\n"
    "add lr, lr, #2\n"
    "str lr, [sp, #8]\n"
    "ldr r2, [sp, #12]\n"
    "subs r2, r2, #1\n"
    "str r2, [sp, #12]\n"
    "ldr r0, [sp, #0]\n"
    "bne 1b\n"
    "add sp, sp, #16\n"
    "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n"
  );
}
#endif

#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
static MOTE_ASM void fill_192_words(MOTE_UNUSED const void *a0, MOTE_UNUSED int32_t a1, MOTE_UNUSED int32_t a2) {
  __asm__ volatile(
    "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"
    "mov r4, r2\n"
    "mov r5, r2\n"
    "mov r6, r2\n"
    "movw r3, #12\n"
    "1:\n"
    "stmia r0!, {r2, r4, r5, r6}\n"
    "subs r3, r3, #1\n"
    "bne 1b\n"
    "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n"
  );
}
#endif

#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
static MOTE_ASM void planes_4x4_8_48_8(MOTE_UNUSED const void *a0, MOTE_UNUSED const void *a1) {
  __asm__ volatile(
    "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"
    "movw r3, #4\n"
    "push {r3}\n"
    "mov r2, #0x00ff00ff\n"
    "uadd8 r2, r2, r2\n"
    "mov r10, r1\n"
    "addw r10, r10, #48\n"
    "mov r11, r10\n"
    "addw r11, r11, #48\n"
    "mov r12, r11\n"
    "addw r12, r12, #48\n"
    "1:\n"
    "ldr r2, [r0, #0]\n"
    "ldr r3, [r0, #8]\n"
    "ldr r4, [r0, #16]\n"
    "ldr r5, [r0, #24]\n"
    "lsl r6, r3, #8\n"
    "sel r6, r2, r6\n"
    "lsl r7, r5, #8\n"
    "sel r7, r4, r7\n"
    "lsr r2, r2, #8\n"
    "sel r2, r2, r3\n"
    "lsr r4, r4, #8\n"
    "sel r4, r4, r5\n"
    "pkhbt r3, r6, r7, lsl #16\n"
    "pkhbt r5, r2, r4, lsl #16\n"
    "pkhtb r7, r7, r6, asr #16\n"
    "pkhtb r4, r4, r2, asr #16\n"
    "str r3, [r1], #4\n"
    "str r5, [r10], #4\n"
    "str r7, [r11], #4\n"
    "str r4, [r12], #4\n"
    "addw r0, r0, #32\n"
    "addw r1, r1, #4\n"
    "addw r10, r10, #4\n"
    "addw r11, r11, #4\n"
    "addw r12, r12, #4\n"
    "ldr r3, [sp]\n"
    "subs r3, r3, #1\n"
    "str r3, [sp]\n"
    "bne 1b\n"
    "add sp, sp, #4\n"
    "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n"
  );
}
#endif

#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
static MOTE_ASM void plane_3x3_11_4x4_8_8_11(MOTE_UNUSED const void *a0, MOTE_UNUSED const void *a1, MOTE_UNUSED const void *a2) {
  __asm__ volatile(
    "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"
    "sub sp, sp, #36\n"
    "ldr r3, [r1], #4\n"
    "str r3, [sp, #0]\n"
    "str r3, [sp, #4]\n"
    "str r3, [sp, #8]\n"
    "str r3, [sp, #12]\n"
    "ldr r3, [r1], #4\n"
    "str r3, [sp, #16]\n"
    "ldr r3, [r1], #4\n"
    "str r3, [sp, #20]\n"
    "ldr r8, [r1], #4\n"
    "ldr r9, [r1], #4\n"
    "ldr r10, [r1], #4\n"
    "ldr r11, [r1], #4\n"
    "ldr lr, [r1], #4\n"
    "movw r3, #4\n"
    "str r3, [sp, #28]\n"
    "1:\n"
    "2:\n"
    "ldmia sp, {r4, r5, r6, r7}\n"
    "ldr r3, [r0, #0]\n"
    "sxtb16 r12, r3\n"
    "smlad r4, r12, r8, r4\n"
    "sxtb16 r12, r3, ror #8\n"
    "smlad r5, r12, r8, r5\n"
    "smlabb r4, r12, r11, r4\n"
    "ldr r3, [r0, #2]\n"
    "sxtb16 r12, r3\n"
    "smlad r6, r12, r8, r6\n"
    "smlabb r5, r12, r11, r5\n"
    "smlatb r7, r12, r11, r7\n"
    "sxtb16 r12, r3, ror #8\n"
    "smlad r7, r12, r8, r7\n"
    "smlabb r6, r12, r11, r6\n"
    "ldr r3, [r0, #8]\n"
    "sxtb16 r12, r3\n"
    "smlad r4, r12, r9, r4\n"
    "sxtb16 r12, r3, ror #8\n"
    "smlad r5, r12, r9, r5\n"
    "smlabt r4, r12, r11, r4\n"
    "ldr r3, [r0, #10]\n"
    "sxtb16 r12, r3\n"
    "smlad r6, r12, r9, r6\n"
    "smlabt r5, r12, r11, r5\n"
    "smlatt r7, r12, r11, r7\n"
    "sxtb16 r12, r3, ror #8\n"
    "smlad r7, r12, r9, r7\n"
    "smlabt r6, r12, r11, r6\n"
    "ldr r3, [r0, #16]\n"
    "sxtb16 r12, r3\n"
    "smlad r4, r12, r10, r4\n"
    "sxtb16 r12, r3, ror #8\n"
    "smlad r5, r12, r10, r5\n"
    "smlabb r4, r12, lr, r4\n"
    "ldr r3, [r0, #18]\n"
    "sxtb16 r12, r3\n"
    "smlad r6, r12, r10, r6\n"
    "smlabb r5, r12, lr, r5\n"
    "smlatb r7, r12, lr, r7\n"
    "sxtb16 r12, r3, ror #8\n"
    "smlad r7, r12, r10, r7\n"
    "smlabb r6, r12, lr, r6\n"
    "ldrd r3, r12, [sp, #16]\n"
    "smmla r4, r4, r3, r12\n"
    "ssat r4, #8, r4, asr #11\n"
    "strb r4, [r2, #0]\n"
    "smmla r5, r5, r3, r12\n"
    "ssat r5, #8, r5, asr #11\n"
    "strb r5, [r2, #8]\n"
    "smmla r6, r6, r3, r12\n"
    "ssat r6, #8, r6, asr #11\n"
    "strb r6, [r2, #16]\n"
    "smmla r7, r7, r3, r12\n"
    "ssat r7, #8, r7, asr #11\n"
    "strb r7, [r2, #24]\n"
    "addw r0, r0, #4\n"
    "addw r2, r2, #32\n"
    "addw r0, r0, #4\n"
    "ldr r3, [sp, #28]\n"
    "subs r3, r3, #1\n"
    "str r3, [sp, #28]\n"
    "bne 1b\n"
    "add sp, sp, #36\n"
    "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n"
  );
}
#endif

#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
static MOTE_ASM void widen_4_1x2_0_8(MOTE_UNUSED const void *a0, MOTE_UNUSED const void *a1) {
  __asm__ volatile(
    "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"
    "mov r2, r0\n"
    "addw r2, r2, #8\n"
    "mov r3, r2\n"
    "addw r3, r3, #8\n"
    "mov r12, r3\n"
    "addw r12, r12, #8\n"
    "ldr r8, [r0], #4\n"
    "ldr r9, [r2], #4\n"
    "ldr r10, [r3], #4\n"
    "ldr r11, [r12], #4\n"
    "eor r4, r8, #0x00800080\n"
    "eor r5, r9, #0x00800080\n"
    "eor r6, r10, #0x00800080\n"
    "eor r7, r11, #0x00800080\n"
    "uxtb16 r4, r4\n"
    "uxtb16 r5, r5\n"
    "uxtb16 r6, r6\n"
    "uxtb16 r7, r7\n"
    "eor r8, r8, #0x007f007f\n"
    "eor r9, r9, #0x007f007f\n"
    "eor r10, r10, #0x007f007f\n"
    "eor r11, r11, #0x007f007f\n"
    "stmia r1!, {r4, r5, r6, r7, r8, r9, r10, r11}\n"
    "ldr r8, [r0], #4\n"
    "ldr r9, [r2], #4\n"
    "ldr r10, [r3], #4\n"
    "ldr r11, [r12], #4\n"
    "eor r4, r8, #0x00800080\n"
    "eor r5, r9, #0x00800080\n"
    "eor r6, r10, #0x00800080\n"
    "eor r7, r11, #0x00800080\n"
    "uxtb16 r4, r4\n"
    "uxtb16 r5, r5\n"
    "uxtb16 r6, r6\n"
    "uxtb16 r7, r7\n"
    "eor r8, r8, #0x007f007f\n"
    "eor r9, r9, #0x007f007f\n"
    "eor r10, r10, #0x007f007f\n"
    "eor r11, r11, #0x007f007f\n"
    "stmia r1!, {r4, r5, r6, r7, r8, r9, r10, r11}\n"
    "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n"
  );
}
#endif

#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
static MOTE_ASM void tile_4x2_8_14_8(MOTE_UNUSED const void *a0, MOTE_UNUSED const void *a1, MOTE_UNUSED const void *a2, MOTE_UNUSED int32_t a3) {
  __asm__ volatile(
    "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"
    "push {r0, r1, r2, r3}\n"
    "1:\n"
    "ldmia r1!, {r4, r8}\n"
    "mov r5, r4\n"
    "mov r6, r4\n"
    "mov r7, r4\n"
    "mov r9, r8\n"
    "mov r10, r8\n"
    "mov r11, r8\n"
    "ldmia r0!, {r2, r3}\n"
    "ldmia r1!, {r12, lr}\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "sxtb16 r12, r12\n"
    "sxtb16 lr, lr\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "ldmia r1!, {r12, lr}\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "sxtb16 r12, r12\n"
    "sxtb16 lr, lr\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldr lr, [sp, #8]\n"
    "ldmia r1!, {r2, r3}\n"
    "smmla r4, r4, r2, r3\n"
    "ssat r4, #8, r4, asr #14\n"
    "strb r4, [lr, #0]\n"
    "smmla r5, r5, r2, r3\n"
    "ssat r5, #8, r5, asr #14\n"
    "strb r5, [lr, #8]\n"
    "smmla r6, r6, r2, r3\n"
    "ssat r6, #8, r6, asr #14\n"
    "strb r6, [lr, #16]\n"
    "smmla r7, r7, r2, r3\n"
    "ssat r7, #8, r7, asr #14\n"
    "strb r7, [lr, #24]\n"
    "ldmia r1!, {r2, r3}\n"
    "smmla r8, r8, r2, r3\n"
    "ssat r8, #8, r8, asr #14\n"
    "strb r8, [lr, #1]\n"
    "smmla r9, r9, r2, r3\n"
    "ssat r9, #8, r9, asr #14\n"
    "strb r9, [lr, #9]\n"
    "smmla r10, r10, r2, r3\n"
    "ssat r10, #8, r10, asr #14\n"
    "strb r10, [lr, #17]\n"
    "smmla r11, r11, r2, r3\n"
    "ssat r11, #8, r11, asr #14\n"
    "strb r11, [lr, #25]\n"
    "add lr, lr, #2\n"
    "str lr, [sp, #8]\n"
    "ldr r2, [sp, #12]\n"
    "subs r2, r2, #1\n"
    "str r2, [sp, #12]\n"
    "ldr r0, [sp, #0]\n"
    "bne 1b\n"
    "add sp, sp, #16\n"
    "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n"
  );
}
#endif

#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
static MOTE_ASM void tile_4x2_8_13_8(MOTE_UNUSED const void *a0, MOTE_UNUSED const void *a1, MOTE_UNUSED const void *a2, MOTE_UNUSED int32_t a3) {
  __asm__ volatile(
    "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"
    "push {r0, r1, r2, r3}\n"
    "1:\n"
    "ldmia r1!, {r4, r8}\n"
    "mov r5, r4\n"
    "mov r6, r4\n"
    "mov r7, r4\n"
    "mov r9, r8\n"
    "mov r10, r8\n"
    "mov r11, r8\n"
    "ldmia r0!, {r2, r3}\n"
    "ldmia r1!, {r12, lr}\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "sxtb16 r12, r12\n"
    "sxtb16 lr, lr\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "ldmia r1!, {r12, lr}\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldmia r0!, {r2, r3}\n"
    "sxtb16 r12, r12\n"
    "sxtb16 lr, lr\n"
    "smlad r4, r2, r12, r4\n"
    "smlad r5, r3, r12, r5\n"
    "smlad r8, r2, lr, r8\n"
    "smlad r9, r3, lr, r9\n"
    "ldmia r0!, {r2, r3}\n"
    "smlad r6, r2, r12, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r10, r2, lr, r10\n"
    "smlad r11, r3, lr, r11\n"
    "ldr lr, [sp, #8]\n"
    "ldmia r1!, {r2, r3}\n"
    "smmla r4, r4, r2, r3\n"
    "ssat r4, #8, r4, asr #13\n"
    "strb r4, [lr, #0]\n"
    "smmla r5, r5, r2, r3\n"
    "ssat r5, #8, r5, asr #13\n"
    "strb r5, [lr, #8]\n"
    "smmla r6, r6, r2, r3\n"
    "ssat r6, #8, r6, asr #13\n"
    "strb r6, [lr, #16]\n"
    "smmla r7, r7, r2, r3\n"
    "ssat r7, #8, r7, asr #13\n"
    "strb r7, [lr, #24]\n"
    "ldmia r1!, {r2, r3}\n"
    "smmla r8, r8, r2, r3\n"
    "ssat r8, #8, r8, asr #13\n"
    "strb r8, [lr, #1]\n"
    "smmla r9, r9, r2, r3\n"
    "ssat r9, #8, r9, asr #13\n"
    "strb r9, [lr, #9]\n"
    "smmla r10, r10, r2, r3\n"
    "ssat r10, #8, r10, asr #13\n"
    "strb r10, [lr, #17]\n"
    "smmla r11, r11, r2, r3\n"
    "ssat r11, #8, r11, asr #13\n"
    "strb r11, [lr, #25]\n"
    "add lr, lr, #2\n"
    "str lr, [sp, #8]\n"
    "ldr r2, [sp, #12]\n"
    "subs r2, r2, #1\n"
    "str r2, [sp, #12]\n"
    "ldr r0, [sp, #0]\n"
    "bne 1b\n"
    "add sp, sp, #16\n"
    "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n"
  );
}
#endif

#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
static MOTE_ASM void add_rows_16_8_8(MOTE_UNUSED const void *a0, MOTE_UNUSED const void *a1) {
  __asm__ volatile(
    "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"
    "mov r3, r0\n"
    "ldr r12, [r3, #0]\n"
    "sxtb16 r4, r12\n"
    "sxtb16 r5, r12, ror #8\n"
    "ldr r12, [r3, #4]\n"
    "sxtb16 r6, r12\n"
    "sxtb16 r7, r12, ror #8\n"
    "movw r2, #15\n"
    "2:\n"
    "addw r3, r3, #8\n"
    "ldr r12, [r3, #0]\n"
    "sxtab16 r4, r4, r12\n"
    "sxtab16 r5, r5, r12, ror #8\n"
    "ldr r12, [r3, #4]\n"
    "sxtab16 r6, r6, r12\n"
    "sxtab16 r7, r7, r12, ror #8\n"
    "subs r2, r2, #1\n"
    "bne 2b\n"
    "pkhbt r12, r4, r5, lsl #16\n"
    "pkhtb r3, r5, r4, asr #16\n"
    "str r12, [r1], #4\n"
    "str r3, [r1], #4\n"
    "pkhbt r12, r6, r7, lsl #16\n"
    "pkhtb r3, r7, r6, asr #16\n"
    "str r12, [r1], #4\n"
    "str r3, [r1], #4\n"
    "addw r0, r0, #8\n"
    "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n"
  );
}
#endif

#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
static MOTE_ASM void widen_1_1x2_0_0(MOTE_UNUSED const void *a0, MOTE_UNUSED const void *a1) {
  __asm__ volatile(
    "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"
    "ldr r8, [r0], #4\n"
    "eor r4, r8, #0x00800080\n"
    "uxtb16 r4, r4\n"
    "eor r8, r8, #0x007f007f\n"
    "stmia r1!, {r4, r8}\n"
    "ldr r8, [r0], #4\n"
    "eor r4, r8, #0x00800080\n"
    "uxtb16 r4, r4\n"
    "eor r8, r8, #0x007f007f\n"
    "stmia r1!, {r4, r8}\n"
    "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n"
  );
}
#endif

#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
static MOTE_ASM void tile_1x5_8_s14_5(MOTE_UNUSED const void *a0, MOTE_UNUSED const void *a1, MOTE_UNUSED const void *a2, MOTE_UNUSED int32_t a3) {
  __asm__ volatile(
    "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n"
    "push {r0, r1, r2, r3}\n"
    "1:\n"
    "ldmia r1!, {r4, r5, r6, r7, r8}\n"
    "ldmia r0!, {r2, r3}\n"
    "ldmia r1!, {r9, r10, r11, r12, lr}\n"
    "smlad r4, r2, r9, r4\n"
    "smlad r5, r2, r10, r5\n"
    "smlad r6, r2, r11, r6\n"
    "smlad r7, r2, r12, r7\n"
    "smlad r8, r2, lr, r8\n"
    "sxtb16 r9, r9\n"
    "sxtb16 r10, r10\n"
    "sxtb16 r11, r11\n"
    "sxtb16 r12, r12\n"
    "sxtb16 lr, lr\n"
    "smlad r4, r3, r9, r4\n"
    "smlad r5, r3, r10, r5\n"
    "smlad r6, r3, r11, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r8, r3, lr, r8\n"
    "ldmia r0!, {r2, r3}\n"
    "ldmia r1!, {r9, r10, r11, r12, lr}\n"
    "smlad r4, r2, r9, r4\n"
    "smlad r5, r2, r10, r5\n"
    "smlad r6, r2, r11, r6\n"
    "smlad r7, r2, r12, r7\n"
    "smlad r8, r2, lr, r8\n"
    "sxtb16 r9, r9\n"
    "sxtb16 r10, r10\n"
    "sxtb16 r11, r11\n"
    "sxtb16 r12, r12\n"
    "sxtb16 lr, lr\n"
    "smlad r4, r3, r9, r4\n"
    "smlad r5, r3, r10, r5\n"
    "smlad r6, r3, r11, r6\n"
    "smlad r7, r3, r12, r7\n"
    "smlad r8, r3, lr, r8\n"
    "ldr lr, [sp, #8]\n"
    "ldmia r1!, {r2, r3, r9}\n"
    "lsr r0, r4, #31\n"
    "smmla r4, r4, r2, r3\n"
    "mls r4, r0, r9, r4\n"
    "ssat r4, #8, r4, asr #14\n"
    "strb r4, [lr, #0]\n"
    "ldmia r1!, {r2, r3, r9}\n"
    "lsr r0, r5, #31\n"
    "smmla r5, r5, r2, r3\n"
    "mls r5, r0, r9, r5\n"
    "ssat r5, #8, r5, asr #14\n"
    "strb r5, [lr, #1]\n"
    "ldmia r1!, {r2, r3, r9}\n"
    "lsr r0, r6, #31\n"
    "smmla r6, r6, r2, r3\n"
    "mls r6, r0, r9, r6\n"
    "ssat r6, #8, r6, asr #14\n"
    "strb r6, [lr, #2]\n"
    "ldmia r1!, {r2, r3, r9}\n"
    "lsr r0, r7, #31\n"
    "smmla r7, r7, r2, r3\n"
    "mls r7, r0, r9, r7\n"
    "ssat r7, #8, r7, asr #14\n"
    "strb r7, [lr, #3]\n"
    "ldmia r1!, {r2, r3, r9}\n"
    "lsr r0, r8, #31\n"
    "smmla r8, r8, r2, r3\n"
    "mls r8, r0, r9, r8\n"
    "ssat r8, #8, r8, asr #14\n"
    "strb r8, [lr, #4]\n"
    "add lr, lr, #5\n"
    "str lr, [sp, #8]\n"
    "ldr r2, [sp, #12]\n"
    "subs r2, r2, #1\n"
    "str r2, [sp, #12]\n"
    "ldr r0, [sp, #0]\n"
    "bne 1b\n"
    "add sp, sp, #16\n"
    "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n"
  );
}
#endif

/* conv2d "stem": i8[1, 8, 8, 3], i8[8, 3, 3, 3], i32[8] -> i8[1, 4, 4, 8] */
static MOTE_KERNEL void separable_conv2d(const int8_t *x, const int32_t *w, const int32_t *zero, int8_t *y, int32_t *px,
    int8_t *rows) {
  for (int32_t oh = 0; oh < 4; oh++) {
    for (int32_t r12 = 0; r12 < 3; r12++) {
      if (oh * 2 + r12 < 8) {
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
        row_0_24_8_bytes(&rows[r12 * 32], &x[oh * 48 + r12 * 24], wmul(zero[0] & 255, 16843009));
#else
        int8_t *rows_row = rows + r12 * 32;
        const int8_t *x_row = x + (oh * 48 + r12 * 24);
        for (int32_t i13 = 0; i13 < 24; i13++) {
          rows_row[i13] = (int8_t)x_row[i13];
        }
        int8_t *rows_row_2 = rows + (r12 * 32 + 24);
        for (int32_t i14 = 0; i14 < 8; i14++) {
          rows_row_2[i14] = (int8_t)zero[0];
        }
#endif
      } else {
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
        fill_32(&rows[r12 * 32], 0, wmul(zero[0] & 255, 16843009));
#else
        int8_t *rows_row_3 = rows + r12 * 32;
        for (int32_t i15 = 0; i15 < 32; i15++) {
          rows_row_3[i15] = (int8_t)zero[0];
        }
#endif
      }
    }
    const int32_t p1 = 0;
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
    widen_4_3x3_32_6(&rows[p1 * 6], &px[0]);
#else
    for (int32_t r2 = 0; r2 < 3; r2++) {
      for (int32_t k3 = 0; k3 < 3; k3++) {
        int8_t *rows_row_4 = rows + (p1 * 6 + r2 * 32 + k3 * 4);
        int32_t *px_row = px + (r2 * 24 + k3 * 8);
        for (int32_t i4 = 0; i4 < 4; i4++) {
          const int32_t x5 = (shl32(rows_row_4[i4 * 6] & 255, 0) | shl32(rows_row_4[i4 * 6 + 1] & 255, 8)) |
              (shl32(rows_row_4[i4 * 6 + 2] & 255, 16) | shl32(rows_row_4[i4 * 6 + 3] & 255, 24));
          px_row[i4] = uxtb16(x5 ^ 8388736);
          px_row[i4 + 4] = x5 ^ 8323199;
        }
      }
    }
#endif
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
    tile_4x2_36_13_8(&px[0], &w[0], &y[oh * 32 + p1 * 8], 4);
#else
    for (int32_t g6 = 0; g6 < 4; g6++) {
      for (int32_t i7 = 0; i7 < 4; i7++) {
        const int32_t *w_row = w + g6 * 24;
        int8_t *y_row = y + (oh * 32 + p1 * 8 + g6 * 2 + i7 * 8);
        for (int32_t c8 = 0; c8 < 2; c8++) {
          int32_t acc9 = w_row[c8];
          const int32_t *w_row_2 = w + (g6 * 24 + c8 + 2);
          int32_t *px_row_2 = px + i7;
          for (int32_t k10 = 0; k10 < 9; k10++) {
            const int32_t v11 = w_row_2[k10 * 2];
            acc9 = smlad(px_row_2[k10 * 8], v11, acc9);
            acc9 = smlad(px_row_2[k10 * 8 + 4], sxtb16(v11), acc9);
          }
          y_row[c8] = (int8_t)min32(max32(smmla(acc9, w_row[c8 * 2 + 20], w_row[c8 * 2 + 21]) >> 13, -128), 127);
        }
      }
    }
#endif
  }
}

/* depthwise_conv2d "block_1/depthwise": i8[1, 4, 4, 8], i8[1, 3, 3, 8], i32[8] -> i8[1, 4, 4, 8] */
static MOTE_KERNEL void separable_depthwise_conv2d(const int8_t *x, const int32_t *w, const int32_t *zero, int8_t *y,
    int8_t *planes) {
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
  fill_192_words(&planes[0], 0, wmul(zero[0] & 255, 16843009));
#else
  for (int32_t i0 = 0; i0 < 192; i0++) {
    planes[i0] = (int8_t)zero[0];
  }
#endif
  for (int32_t q1 = 0; q1 < 2; q1++) {
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
    planes_4x4_8_48_8(&x[q1 * 4], &planes[9]);
#else
    for (int32_t h2 = 0; h2 < 4; h2++) {
      for (int32_t w3 = 0; w3 < 4; w3++) {
        int8_t *planes_row = planes + (h2 * 8 + w3 + 9);
        const int8_t *x_row = x + (q1 * 4 + h2 * 32 + w3 * 8);
        for (int32_t c4 = 0; c4 < 4; c4++) {
          planes_row[c4 * 48] = (int8_t)x_row[c4];
        }
      }
    }
#endif
    for (int32_t k5 = 0; k5 < 4; k5++) {
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
      plane_3x3_11_4x4_8_8_11(&planes[k5 * 48], &w[q1 * 32 + k5 * 8], &y[q1 * 4 + k5]);
#else
      for (int32_t oh6 = 0; oh6 < 4; oh6++) {
        const int32_t *w_row = w + (q1 * 32 + k5 * 8);
        int8_t *planes_row_2 = planes + (k5 * 48 + oh6 * 8);
        int8_t *y_row = y + (q1 * 4 + k5 + oh6 * 32);
        for (int32_t ow7 = 0; ow7 < 4; ow7++) {
          int32_t acc8 = w_row[0];
          acc8 = wadd(acc8, wmul(planes_row_2[ow7], shl32(w_row[3], 16) >> 16));
          acc8 = wadd(acc8, wmul(planes_row_2[ow7 + 2], w_row[3] >> 16));
          acc8 = wadd(acc8, wmul(planes_row_2[ow7 + 1], shl32(w_row[6], 16) >> 16));
          acc8 = wadd(acc8, wmul(planes_row_2[ow7 + 8], shl32(w_row[4], 16) >> 16));
          acc8 = wadd(acc8, wmul(planes_row_2[ow7 + 10], w_row[4] >> 16));
          acc8 = wadd(acc8, wmul(planes_row_2[ow7 + 9], w_row[6] >> 16));
          acc8 = wadd(acc8, wmul(planes_row_2[ow7 + 16], shl32(w_row[5], 16) >> 16));
          acc8 = wadd(acc8, wmul(planes_row_2[ow7 + 18], w_row[5] >> 16));
          acc8 = wadd(acc8, wmul(planes_row_2[ow7 + 17], shl32(w_row[7], 16) >> 16));
          y_row[ow7 * 8] = (int8_t)min32(max32(smmla(acc8, w_row[1], w_row[2]) >> 11, -128), 127);
        }
      }
#endif
    }
  }
}

/* conv2d "block_1/pointwise": i8[1, 4, 4, 8], i8[8, 1, 1, 8], i32[8] -> i8[1, 4, 4, 8] */
static MOTE_KERNEL void separable_conv2d_2(const int8_t *x, const int32_t *w, int8_t *y, int32_t *px) {
  for (int32_t t0 = 0; t0 < 4; t0++) {
    const int32_t p1 = t0 * 4;
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
    widen_4_1x2_0_8(&x[p1 * 8], &px[0]);
#else
    for (int32_t k3 = 0; k3 < 2; k3++) {
      const int8_t *x_row = x + (p1 * 8 + k3 * 4);
      int32_t *px_row = px + k3 * 8;
      for (int32_t i4 = 0; i4 < 4; i4++) {
        const int32_t x5 = (shl32(x_row[i4 * 8] & 255, 0) | shl32(x_row[i4 * 8 + 1] & 255, 8)) | (shl32(x_row[i4 * 8 +
            2] & 255, 16) | shl32(x_row[i4 * 8 + 3] & 255, 24));
        px_row[i4] = uxtb16(x5 ^ 8388736);
        px_row[i4 + 4] = x5 ^ 8323199;
      }
    }
#endif
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
    tile_4x2_8_14_8(&px[0], &w[0], &y[p1 * 8], 4);
#else
    for (int32_t g6 = 0; g6 < 4; g6++) {
      for (int32_t i7 = 0; i7 < 4; i7++) {
        const int32_t *w_row = w + g6 * 10;
        int8_t *y_row = y + (p1 * 8 + g6 * 2 + i7 * 8);
        for (int32_t c8 = 0; c8 < 2; c8++) {
          int32_t acc9 = w_row[c8];
          const int32_t *w_row_2 = w + (g6 * 10 + c8 + 2);
          int32_t *px_row_2 = px + i7;
          for (int32_t k10 = 0; k10 < 2; k10++) {
            const int32_t v11 = w_row_2[k10 * 2];
            acc9 = smlad(px_row_2[k10 * 8], v11, acc9);
            acc9 = smlad(px_row_2[k10 * 8 + 4], sxtb16(v11), acc9);
          }
          y_row[c8] = (int8_t)min32(max32(smmla(acc9, w_row[c8 * 2 + 6], w_row[c8 * 2 + 7]) >> 14, -128), 127);
        }
      }
    }
#endif
  }
}

/* conv2d "block_2/pointwise": i8[1, 4, 4, 8], i8[8, 1, 1, 8], i32[8] -> i8[1, 4, 4, 8] */
static MOTE_KERNEL void separable_conv2d_3(const int8_t *x, const int32_t *w, int8_t *y, int32_t *px) {
  for (int32_t t0 = 0; t0 < 4; t0++) {
    const int32_t p1 = t0 * 4;
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
    widen_4_1x2_0_8(&x[p1 * 8], &px[0]);
#else
    for (int32_t k3 = 0; k3 < 2; k3++) {
      const int8_t *x_row = x + (p1 * 8 + k3 * 4);
      int32_t *px_row = px + k3 * 8;
      for (int32_t i4 = 0; i4 < 4; i4++) {
        const int32_t x5 = (shl32(x_row[i4 * 8] & 255, 0) | shl32(x_row[i4 * 8 + 1] & 255, 8)) | (shl32(x_row[i4 * 8 +
            2] & 255, 16) | shl32(x_row[i4 * 8 + 3] & 255, 24));
        px_row[i4] = uxtb16(x5 ^ 8388736);
        px_row[i4 + 4] = x5 ^ 8323199;
      }
    }
#endif
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
    tile_4x2_8_13_8(&px[0], &w[0], &y[p1 * 8], 4);
#else
    for (int32_t g6 = 0; g6 < 4; g6++) {
      for (int32_t i7 = 0; i7 < 4; i7++) {
        const int32_t *w_row = w + g6 * 10;
        int8_t *y_row = y + (p1 * 8 + g6 * 2 + i7 * 8);
        for (int32_t c8 = 0; c8 < 2; c8++) {
          int32_t acc9 = w_row[c8];
          const int32_t *w_row_2 = w + (g6 * 10 + c8 + 2);
          int32_t *px_row_2 = px + i7;
          for (int32_t k10 = 0; k10 < 2; k10++) {
            const int32_t v11 = w_row_2[k10 * 2];
            acc9 = smlad(px_row_2[k10 * 8], v11, acc9);
            acc9 = smlad(px_row_2[k10 * 8 + 4], sxtb16(v11), acc9);
          }
          y_row[c8] = (int8_t)min32(max32(smmla(acc9, w_row[c8 * 2 + 6], w_row[c8 * 2 + 7]) >> 13, -128), 127);
        }
      }
    }
#endif
  }
}

/* average_pool2d "pool": i8[1, 4, 4, 8] -> i8[1, 1, 1, 8] */
static MOTE_KERNEL void separable_average_pool2d(const int8_t *x, int8_t *y, int16_t *results) {
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
  add_rows_16_8_8(&x[0], &results[0]);
#else
  for (int32_t c = 0; c < 8; c++) {
    int32_t result = 0;
    for (int32_t kh = 0; kh < 4; kh++) {
      const int8_t *x_row = x + (c + kh * 32);
      for (int32_t kw = 0; kw < 4; kw++) {
        result += x_row[kw * 8];
      }
    }
    results[c] = (int16_t)result;
  }
#endif
  for (int32_t c_2 = 0; c_2 < 8; c_2++) {
    const int32_t acc = results[c_2] + 0;
    y[c_2] = (int8_t)((acc + (acc > 0 ? 8 : -8)) / 16);
  }
}

/* fully_connected "scores": i8[1, 1, 1, 8], i8[5, 8], i32[5] -> i8[1, 5] */
static MOTE_KERNEL void separable_fully_connected(const int8_t *x, const int32_t *w, int8_t *y, int32_t *px) {
  const int32_t p1 = 0;
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
  widen_1_1x2_0_0(&x[0], &px[0]);
#else
  for (int32_t k3 = 0; k3 < 2; k3++) {
    const int32_t x5 = (shl32(x[k3 * 4] & 255, 0) | shl32(x[k3 * 4 + 1] & 255, 8)) | (shl32(x[k3 * 4 + 2] & 255, 16) |
        shl32(x[k3 * 4 + 3] & 255, 24));
    px[k3 * 2] = uxtb16(x5 ^ 8388736);
    px[k3 * 2 + 1] = x5 ^ 8323199;
  }
#endif
#if defined(__GNUC__) && defined(__thumb2__) && defined(__ARM_FEATURE_DSP)
  tile_1x5_8_s14_5(&px[0], &w[0], &y[p1 * 5], 1);
#else
  int8_t *y_row = y + p1 * 5;
  for (int32_t c8 = 0; c8 < 5; c8++) {
    int32_t acc9 = w[c8];
    const int32_t *w_row = w + (c8 + 5);
    for (int32_t k10 = 0; k10 < 2; k10++) {
      const int32_t v11 = w_row[k10 * 5];
      acc9 = smlad(px[k10 * 2], v11, acc9);
      acc9 = smlad(px[k10 * 2 + 1], sxtb16(v11), acc9);
    }
    y_row[c8] = (int8_t)min32(max32(wsub(smmla(acc9, w[c8 * 3 + 15], w[c8 * 3 + 16]), wmul(ushr32(acc9, 31), w[c8 * 3 +
        17])) >> 14, -128), 127);
  }
#endif
}

typedef char separable_weights_layout[offsetof(separable_weights_t, stem_w) == 0 &&
    offsetof(separable_weights_t, stem_zero) == 384 &&
    offsetof(separable_weights_t, pad_2) == 388 &&
    offsetof(separable_weights_t, block_1_depthwise_w) == 392 &&
    offsetof(separable_weights_t, block_1_depthwise_zero) == 648 &&
    offsetof(separable_weights_t, pad_5) == 652 &&
    offsetof(separable_weights_t, block_1_pointwise_w) == 656 &&
    offsetof(separable_weights_t, block_2_depthwise_w) == 816 &&
    offsetof(separable_weights_t, block_2_depthwise_zero) == 1072 &&
    offsetof(separable_weights_t, pad_9) == 1076 &&
    offsetof(separable_weights_t, block_2_pointwise_w) == 1080 &&
    offsetof(separable_weights_t, scores_w) == 1240 &&
    sizeof(separable_weights_t) == 1360 ? 1 : -1];

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
        separable_conv2d((int8_t *)(a + 288), w->stem_w, w->stem_zero, (int8_t *)(a + 480), (int32_t *)a, (int8_t *)(a +
            608));
        break;
      case 1: /* depthwise_conv2d "block_1/depthwise": i8[1, 4, 4, 8], i8[1, 3, 3, 8], i32[8] -> i8[1, 4, 4, 8] */
        separable_depthwise_conv2d((int8_t *)(a + 480), w->block_1_depthwise_w, w->block_1_depthwise_zero, (int8_t *)(a
            + 480), (int8_t *)a);
        break;
      case 2: /* conv2d "block_1/pointwise": i8[1, 4, 4, 8], i8[8, 1, 1, 8], i32[8] -> i8[1, 4, 4, 8] */
        separable_conv2d_2((int8_t *)(a + 480), w->block_1_pointwise_w, (int8_t *)(a + 192), (int32_t *)a);
        break;
      case 3: /* depthwise_conv2d "block_2/depthwise": i8[1, 4, 4, 8], i8[1, 3, 3, 8], i32[8] -> i8[1, 4, 4, 8] */
        separable_depthwise_conv2d((int8_t *)(a + 192), w->block_2_depthwise_w, w->block_2_depthwise_zero, (int8_t *)(a
            + 192), (int8_t *)a);
        break;
      case 4: /* conv2d "block_2/pointwise": i8[1, 4, 4, 8], i8[8, 1, 1, 8], i32[8] -> i8[1, 4, 4, 8] */
        separable_conv2d_3((int8_t *)(a + 192), w->block_2_pointwise_w, (int8_t *)a, (int32_t *)(a + 128));
        break;
      case 5: /* average_pool2d "pool": i8[1, 4, 4, 8] -> i8[1, 1, 1, 8] */
        separable_average_pool2d((int8_t *)a, (int8_t *)(a + 144), (int16_t *)(a + 128));
        break;
      case 6: /* fully_connected "scores": i8[1, 1, 1, 8], i8[5, 8], i32[5] -> i8[1, 5] */
        separable_fully_connected((int8_t *)(a + 144), w->scores_w, (int8_t *)(a + 16), (int32_t *)a);
        break;
      default:
        break;
    }
  }
  return 0;
}

int8_t *separable_input(const separable_t *m) {
  return (int8_t *)(m->arena + 288);
}

const int8_t *separable_output(const separable_t *m) {
  return (int8_t *)(m->arena + 16);
}

MOTE_WEIGHTS_SECTION MOTE_ALIGNED(SEPARABLE_ARENA_ALIGN) const separable_weights_t separable_weights = {
/* stem_w */ {
-11133545,6710292,1442901811,-1116799532,229785469,-1474042494,9216,19968,-1417524568,-423535501,1251131784,
-333606467,39168,26624,1356746931,-390953854,1654074569,-866663532,56064,27136,469181073,-1044464,1135505821,-1044416,
1204076,-3406094,1669233777,-675780465,-231821082,-1730104652,17920,9472,-1846402174,917269074,-1559447134,20825208,
58880,17152,-901822221,-1456496121,-249145361,1129855958,51968,13824,533598422,-1044464,1116304968,-1044416,5633325,
-17091340,-12414159,820261167,-1420360692,1979824286,17664,17920,77784593,697661428,-242725395,1425600542,58880,48896,
468483278,729270812,-1325873283,2008492121,43520,512,753577155,-1044448,1027740135,-1044448,6234042,11684105,
-1558513883,-1354713876,597281112,1173202895,31744,36864,-1096294988,-1769463496,-821506950,-1570294702,60160,57344,
-1544815600,1017502493,51393186,1854714970,16384,0,503252717,-1044464,729536622,-1044448
},
/* stem_zero */ {
-3
},
{0},
/* block_1_depthwise_w */ {
-418816,1746841464,-261056,335592704,-1006592256,117453568,-16772608,28416,-4476672,1803443027,-261056,-452935168,
453048576,-1090483456,1795211520,21760,8030208,1311776327,-261056,956315392,-922738944,1342230784,2063614208,46336,
1390336,988859199,-261088,-520089600,-2130685952,-419420672,1610613504,512,-12274432,1543572326,-261056,-1140787712,
-2113914624,654358272,-1258227200,35840,2354688,1112656924,-261056,922808064,-637519616,-1744765696,201337344,18688,
-12720896,1567798657,-261056,-117384192,-1459588096,-2080326144,-2080336896,15360,1480448,1242550572,-261056,
-2030013440,-33500672,251712256,855696384,30720
},
/* block_1_depthwise_zero */ {
-128
},
{0},
/* block_1_pointwise_w */ {
-4403594,513053,1824118442,-1302698306,286620926,1405720892,1629338128,-2088896,1784251689,-2088896,-335641,5126827,
-1712820348,-1288989679,880696317,-125859344,1802330693,-2088896,1593134894,-2088896,176642,8058881,1146118282,
-1491530684,1329047025,-1569810634,1405575503,-2088895,764545546,-2088928,2626888,-4301438,-720109554,-870295592,
-195453747,386357379,1720898802,-2088896,2007660608,-2088896
},
/* block_2_depthwise_w */ {
-10294784,672099684,-261088,-50282752,469824512,-1342148864,-1207918336,35072,-857344,851639522,-261088,-2013254656,
1610613504,-134217728,369155584,56064,2390016,1820368788,-261056,1862323456,-436182784,-402611456,654336000,42240,
-1019648,1040691021,-261088,553651200,-184502016,1828724480,-738189824,35584,6404352,1455487870,-261056,1224787200,
1895835136,-654284800,536874752,42240,13244416,988053606,-261088,1325449472,939529472,1090538752,1056978176,14336,
-3981312,1268412396,-261056,-1694485248,100664320,1627453184,-822024960,38144,13774080,1445431716,-261056,1543528192,
1426076928,1526754816,16831744,51456
},
/* block_2_depthwise_zero */ {
-128
},
{0},
/* block_2_pointwise_w */ {
-5524902,4767126,515235281,1911351906,2027337726,-902327023,569267186,-1044448,444319847,-1044464,-608017,1391656,
829683355,881761037,917314868,-1960375706,850706468,-1044448,996450393,-1044445,-970285,3009359,196625206,-974680751,
1473301781,834574425,1021330464,-1044448,620314509,-1044448,7031782,-6130120,-1799497647,412457476,-831055519,
-201791577,1075210640,-1044416,708527485,-1044448
},
/* scores_w */ {
-7610861,-1625906,4042105,3625581,2157893,-1134451566,-1547638476,372191789,-198119878,-1469670452,1720493716,
-861595083,-28459312,-1535521398,331198294,1959365731,73792,128,1959365731,73792,128,1959365731,73792,128,1959365731,
73792,128,1959365731,73792,128
}
};
