// Fixed-point operations as instruction sequences: gemmlowp's saturating rounding doubling high multiply, its rounding
// divide by a power of two (half away from zero), and TensorFlow Lite's requantise made of both.
//
// Dividing by 2^e is (x * 2^(31-e) + 2^30 - (x < 0)) >> 31 in 64 bits for every e from 0 to 31. Four lanes have no shift
// of their own, so 2^(31-e) is made as the bits of a float; its negative fits 32 bits also where e is 0.

import { type Func, FuncBody, littleEndian } from './encoder.ts'

/** Puts a value on the stack. */
export type Push = () => void

const HALF = 1n << 30n
const MIN = -0x8000_0000
/** Bytes of the low words of four 64-bit lanes in two vectors. */
const LOW_WORDS = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27]

function splat32(f: FuncBody, value: number): void {
  f.v128([0, 1, 2, 3].flatMap(() => littleEndian(4, (view) => view.setInt32(0, value, true))))
}

function splat64(f: FuncBody, value: bigint): void {
  f.v128([0, 1].flatMap(() => littleEndian(8, (view) => view.setBigInt64(0, value, true))))
}

/** i64 on the stack: the double of the high word of a * b, rounded; 2^31 where that saturates. */
function doubledHigh(f: FuncBody, a: Push, b: Push): void {
  a()
  f.op('i64.extend_i32_s')
  b()
  f.op('i64.extend_i32_s')
  f.op('i64.mul')
  f.i64(HALF)
  f.op('i64.add')
  f.i64(31n)
  f.op('i64.shr_s')
}

/** i32 on the stack: the i64 in `t` divided by 2^e. `up` gives i64 31 - e. */
function divide(f: FuncBody, t: number, up: Push): void {
  f.get(t)
  up()
  f.op('i64.shl')
  f.i64(HALF)
  f.op('i64.add')
  f.get(t)
  f.i64(63n)
  f.op('i64.shr_s')
  f.op('i64.add')
  f.i64(31n)
  f.op('i64.shr_s')
  f.op('i32.wrap_i64')
}

export function srdhm(f: FuncBody, a: Push, b: Push): void {
  const r = f.local('i32')
  doubledHigh(f, a, b)
  f.op('i32.wrap_i64')
  f.tee(r)
  f.get(r)
  f.i32(MIN)
  f.op('i32.eq')
  f.op('i32.sub')
  f.release(r)
}

export function rdivpot(f: FuncBody, x: Push, exponent: Push): void {
  const t = f.local('i64')
  x()
  f.op('i64.extend_i32_s')
  f.set(t)
  divide(f, t, () => {
    f.i32(31)
    exponent()
    f.op('i32.sub')
    f.op('i64.extend_i32_s')
  })
  f.release(t)
}

export function requant(f: FuncBody, x: Push, multiplier: Push, shift: Push): void {
  const [s, down, t] = [f.local('i32'), f.local('i32'), f.local('i64')]
  shift()
  f.tee(s)
  f.get(s)
  f.i32(31)
  f.op('i32.shr_s')
  f.op('i32.and')
  f.set(down)
  const shifted = () => {
    x()
    f.get(s)
    f.get(down)
    f.op('i32.xor')
    f.op('i32.shl')
  }
  doubledHigh(f, shifted, multiplier)
  f.tee(t)
  f.get(t)
  f.i64(1n << 31n)
  f.op('i64.eq')
  f.op('i64.extend_i32_s')
  f.op('i64.sub')
  f.set(t)
  divide(f, t, () => {
    f.get(down)
    f.i32(31)
    f.op('i32.add')
    f.op('i64.extend_i32_s')
  })
  f.release(s, down, t)
}

/** (2^30 + sign + a * b) >> 31 in each lane, with `negate` (2^30 + sign - a * b) >> 31; `sign`, where given, is four i32. */
function highWords(f: FuncBody, a: Push, b: Push, negate: boolean, sign?: Push): void {
  for (const half of ['low', 'high'] as const) {
    splat64(f, HALF)
    if (sign) {
      sign()
      f.op(`i64x2.extend_${half}_i32x4_s`)
      f.op('i64x2.add')
    }
    a()
    b()
    f.op(`i64x2.extmul_${half}_i32x4_s`)
    f.op(negate ? 'i64x2.sub' : 'i64x2.add')
    f.i32(31)
    f.op('i64x2.shr_u')
  }
  f.op('i8x16.shuffle', ...LOW_WORDS)
}

/** `srdhm` of locals in four lanes, left in `a`. The result -2^31 only comes from saturation. */
function srdhmLocals(f: FuncBody, a: number, b: number): void {
  highWords(
    f,
    () => f.get(a),
    () => f.get(b),
    false,
  )
  f.tee(a)
  f.get(a)
  splat32(f, MIN)
  f.op('i32x4.eq')
  f.op('v128.xor')
  f.set(a)
}

/** From -e in four lanes on the stack to -(2^(31-e)). */
function negativePower(f: FuncBody): void {
  f.i32(23)
  f.op('i32x4.shl')
  splat32(f, (1 << 31) | (158 << 23))
  f.op('i32x4.add')
  f.op('i32x4.trunc_sat_f32x4_s')
}

export function srdhmLanes(f: FuncBody, a: Push, b: Push): void {
  const [p, q] = [f.local('v128'), f.local('v128')]
  a()
  f.set(p)
  b()
  f.set(q)
  srdhmLocals(f, p, q)
  f.get(p)
  f.release(p, q)
}

export function rdivpotLanes(f: FuncBody, x: Push, exponent: Push): void {
  const [v, q, sign] = [f.local('v128'), f.local('v128'), f.local('v128')]
  x()
  f.tee(v)
  f.i32(31)
  f.op('i32x4.shr_s')
  f.set(sign)
  exponent()
  f.op('i32x4.neg')
  negativePower(f)
  f.set(q)
  highWords(
    f,
    () => f.get(v),
    () => f.get(q),
    true,
    () => f.get(sign),
  )
  f.release(v, q, sign)
}

/** `shift` is one i32 for all lanes where `uniform`, else four. */
export function requantLanes(f: FuncBody, x: Push, multiplier: Push, shift: Push, uniform: boolean): void {
  if (!uniform) {
    for (const push of [x, multiplier, shift]) push()
    f.call(REQUANT)
    return
  }
  const [v, m, s, q] = [f.local('v128'), f.local('v128'), f.local('v128'), f.local('v128')]
  x()
  f.set(v)
  multiplier()
  f.set(m)
  const [all, down] = [f.local('i32'), f.local('i32')]
  shift()
  f.tee(all)
  f.get(all)
  f.i32(31)
  f.op('i32.shr_s')
  f.op('i32.and')
  f.set(down)
  f.get(v)
  f.get(all)
  f.get(down)
  f.op('i32.xor')
  f.op('i32x4.shl')
  f.set(v)
  f.i32(MIN)
  f.i32(0)
  f.get(down)
  f.op('i32.sub')
  f.op('i32.shr_s')
  f.op('i32x4.splat')
  f.set(q)
  f.get(down)
  f.op('i32x4.splat')
  f.set(s)
  f.release(all, down)
  scaled(f, v, m, s, q)
  f.release(v, m, s, q)
}

/** Lanes with shifts of their own. */
function requantEach(): Func {
  const f = new FuncBody(['v128', 'v128', 'v128'])
  const [v, m, s] = [0, 1, 2]
  const q = f.local('v128')
  f.get(s)
  splat32(f, 0)
  f.op('i32x4.gt_s')
  f.op('v128.any_true')
  f.op('if', 0x40)
  f.get(v)
  f.get(s)
  splat32(f, 0)
  f.op('i32x4.max_s')
  f.i32(23)
  f.op('i32x4.shl')
  splat32(f, 127 << 23)
  f.op('i32x4.add')
  f.op('i32x4.trunc_sat_f32x4_u')
  f.op('i32x4.mul')
  f.set(v)
  f.op('end')
  f.get(s)
  splat32(f, 0)
  f.op('i32x4.min_s')
  negativePower(f)
  f.set(q)
  scaled(f, v, m, s, q)
  return f.func('requant', ['v128'])
}

/** Multiplies `v` by `m` and, by `q`, divides it by a power of two; `s` is below zero where that is more than 1. */
function scaled(f: FuncBody, v: number, m: number, s: number, q: number): void {
  srdhmLocals(f, v, m)
  // x - 1 where x < 0 and e > 0 rounds halves away from zero; `v` is never -2^31 here.
  f.get(v)
  f.get(v)
  f.get(s)
  f.op('v128.and')
  f.i32(31)
  f.op('i32x4.shr_s')
  f.op('i32x4.add')
  f.set(v)
  highWords(
    f,
    () => f.get(v),
    () => f.get(q),
    true,
  )
}

const REQUANT = requantEach()
