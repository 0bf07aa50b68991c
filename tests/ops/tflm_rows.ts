// What TensorFlow Lite Micro's reference kernels (commit 90b983c, compiled for x86-64 without contraction) answer for int8
// tensors with random scales and zero points, as FNV-1a-32 hashes of the raw result. For each row, xorshift32 from `seed`
// gives in turn: three rows of n int8 for softmax (the first divided by 16), 256 int8 each for the operands `a` and `b`,
// and 256 float32 int32 / 2^31 * sy * 200. The other kernels get all 256 stored values of type (sa, za).

import { quantOf, type TensorType } from '../../src/ir/graph.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import type { Data } from '../../src/loops/ir.ts'

const RESULTS = [
  'logistic',
  'tanh',
  'softmax',
  'add',
  'sub',
  'mul',
  'requantize',
  'relu',
  'dequantize',
  'quantize',
] as const
export type Result = (typeof RESULTS)[number]

export interface TflmRow {
  readonly name: string
  readonly a: TensorType
  readonly b: TensorType
  readonly y: TensorType
  readonly n: number
  readonly beta: number
  /** add, sub and mul clamp to this least stored value. */
  readonly least: number
  readonly seed: number
  readonly hash: Readonly<Record<Result, string>>
}

/** number, sa, za, sb, zb, sy, zy, n, beta, seed, and the hashes in the order of `RESULTS`. */
const TEXT = [
  '0 0.0625 0 0.0625 83 0.0854282007 -30 169 0.5 4285686168 8feb3015 9c9269ef b4cad878 bfdceefb 1d9c3927 a72f3e83 145cd4b9 53420394 f086ea82 472fc65c',
  '1 0.0500000007 -3 0.00289343717 -23 0.0187235791 126 96 1 1268944895 0907fad3 9327e505 1c1fb0b8 3609f36d 8b9602c1 76d8fdc1 ded4fec2 3111ea1b c2b119f2 a22a3236',
  '2 0.000277158717 -63 0.00434026867 109 0.00631500687 119 256 1 3127982655 1de77034 fb1027a1 6836ecc5 4be1e0f3 8d424d0e 475d82e7 ba16501f b09e7fcd 2eb5b0b6 0f1f2dd0',
  '3 0.0634603798 -48 0.00254874025 -67 0.107882649 -90 227 1 2658847426 ca2d09fe 398ac28f 6dda06e6 5d14f119 a7f13d00 a6b1bb16 afbfd34c 182bf274 22ffe958 30415447',
  '4 0.647970498 -18 0.00176881638 -81 0.47106564 -67 8 1 4138603207 f1e66c6b e0940eea 68b43711 00b89c1c fec299d9 6ffa9ce5 dde6d5c5 216ed95f d7988e9c aea97ab5',
  '5 0.896266699 100 0.522317886 -59 0.947370052 75 4 0.5 4281619503 b44666bc 298795b3 d787ab55 cd69f798 b7b82495 f5ba44d2 cfd6bd39 fbc28271 7e67fbc9 65541b5e',
  '7 0.138312176 -15 0.0899333507 49 1.24388778 -66 44 1 983922343 e3a6d324 2c355433 f7aec4c0 d43e0e53 8d67d9fc 3aa9a2ad d868d437 2035fd05 496cad13 7ac4ed40',
  '8 0.00265145511 -125 0.00248765131 49 0.00479584234 1 235 1 2924561034 99acd4a5 c1e303a8 3972616d 2249052a 63c4c345 65df7bbe 2261d7e1 bec6413d 42c94465 58f64388',
  '12 0.0603710189 114 0.738157213 82 1.25486732 119 279 1 2381089778 1f08cd67 89e91582 d5fb489d 3725bdc8 63c222ce 8e8fdf89 b0fb91b8 e8ee71c9 4a9361d7 e417be85',
  '14 0.000529897166 79 0.0255771615 116 0.0013553265 111 163 1 2733508962 a68a2cfd 873d38a9 be9f6bae 3c4a8512 0de269a0 a0daeddf be604af6 e2cf092c 10705707 446a590c',
  '15 1.41617548 -105 0.0265342575 89 2.40749836 80 201 0.5 4187009300 2a27d6f7 a0ee1521 f7160a5f 41de0faf e00f72e0 875edbfb f0592c68 98363c33 ebb483ae bfc94457',
  '21 0.931094825 4 0.201241538 -50 18.7374954 -24 56 1 2918042755 203e3a6c 4b380013 789ef9c4 d2b1a3fb b2960cca dd9d221b 99cabd47 4f9795c6 4546b120 9e20c9fb',
  '22 0.00111866987 -116 0.00111866987 106 0.000319477054 -46 291 1 600984290 1c08f8a6 2b403df7 6a9f0f24 595764bd 94088631 eb8c5c1b 251e687f 06b09087 189065bb 1049fbea',
  '33 2.05195618 -19 2.05195618 75 3.4883256 126 59 1 596674558 b507be3b ff753970 054da9d8 38ee028f 20cb67a0 c5986226 ee4596c2 b5d06e8b bbf890fd 4daf3d45',
  '44 0.127626508 -117 0.127626508 -53 0.00690568378 -40 299 1 358900198 4990c0b7 68701449 2f569c18 87444f7a 60cf9d2d 5bef2ec1 c76572a8 a3d809c4 fd80585a 3639a664',
  '56 1.81755626 -76 0.000444663019 26 0.0808200017 -49 52 1 3859755951 fe289fa9 02d5fbd1 3784fe3c ee4ac3e1 c7895873 73a2b290 a5fa2b64 fd952665 805b82fd 357269cd',
  '100 1.09961617 -95 0.0202070139 -123 0.00025310085 -13 66 0.5 2916353765 aa2986a6 3616bdbb 688cf0a8 9051d908 07377f13 6847f019 8bdaa49e a0772285 e9da2524 330374b5',
  '101 0.232290164 -104 0.265539795 -108 0.133786082 33 40 1 574728639 560e7426 80d79561 3893b014 4c1527ae 41d6f7cc e005c2e9 16d27b6f b7c07f0e 77ead7ad fa49bb0f',
  '333 0.286975592 -88 0.000621481915 30 0.487858534 37 19 1 277581918 514070a3 affd0be0 48f80cbf cfff355b 26f24638 a03da186 59ffa0e2 8f034417 74f97abc d04410ba',
  '512 0.58763814 37 0.000317270285 70 0.0170273762 16 210 1 1690326509 940f744d e823e45c 86355dc6 f9aaa7c4 b1df4a4c e6e7de8f 7b770050 b2cf92d2 18d71c1b 867d34f4',
  '700 0.00409761444 69 0.00761468476 39 0.0031202042 64 234 0.5 4216640633 ebf737c5 6b576340 2487f323 642aed68 c07012df 581eb79c 943491ed 72d16fb8 58355e92 875d0a2e',
  '808 2.34566998 -88 0.922742486 -85 0.00144071435 -53 19 1 2390431518 43e40b6c e31213a3 bc481896 a19de564 95c56bb2 9abebc7f 2d31e4d9 2a631f71 661ac512 451d3277',
]

export const TFLM_ROWS: readonly TflmRow[] = TEXT.map((line) => {
  const words = line.split(' ')
  const [k, sa, za, sb, zb, sy, zy, n, beta, seed] = words.map(Number)
  const type = (scale: number, zero: number): TensorType => ({ dtype: 'i8', shape: [256], quant: quantOf(scale, zero) })
  return {
    name: `row ${k}`,
    a: type(sa, za),
    b: type(sb, zb),
    y: type(sy, zy),
    n,
    beta,
    least: k % 4 === 0 ? -108 : -128,
    seed,
    hash: Object.fromEntries(RESULTS.map((r, i) => [r, words[10 + i]])) as Record<Result, string>,
  }
})

/** Every stored value of int8. */
export const EVERY_INT8 = Int8Array.from({ length: 256 }, (_, i) => i - 128)

/** The inputs that a row's seed stands for. */
export function inputsOfRow(row: TflmRow): { logits: Int8Array; a: Int8Array; b: Int8Array; floats: Float32Array } {
  const random = new Xorshift32(row.seed)
  const bytes = (n: number) => Int8Array.from({ length: n }, () => random.next() >>> 24)
  const logits = bytes(3 * row.n)
  for (let c = 0; c < row.n; c++) logits[c] = logits[c] / 16
  const [a, b] = [bytes(256), bytes(256)]
  const scale = row.y.quant!.scale[0]
  const real = (x: number) => Math.fround(Math.fround(Math.fround(x / 2 ** 31) * scale) * 200)
  const floats = Float32Array.from({ length: 256 }, () => real(Math.fround(random.next() | 0)))
  return { logits, a, b, floats }
}

/** FNV-1a-32 of the raw bytes, eight hex digits. */
export function fnv1a(data: Data): string {
  let hash = 2166136261
  for (const byte of new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    hash = Math.imul(hash ^ byte, 16777619) >>> 0
  return hash.toString(16).padStart(8, '0')
}
