// Routines of int8 layers that learn: T pixels by one channel at a time, from weights and biases as they stand in memory. Inputs
// come without their zero point as halves: for each four of them words (x[0], x[2]) of every pixel, then words (x[1], x[3]). A
// bit for each result says whether the value was within int8 before it was saturated; those of eight channels are gathered in
// one byte of a register for each pixel.

import * as L from '../../loops/build.ts'
import type { Buf, Expr, Routine, Stmt } from '../../loops/ir.ts'
import { addConstant, LR, list, reg, routine } from './assembly.ts'
import type { Widen } from './gather.ts'
import { epilogueWords, type Form, requantized } from './requantize.ts'

export const LIVE_PIXELS: readonly number[] = [4, 2, 1]

export interface LiveTile {
  readonly pixels: number
  /** Words of four inputs: of all channels, and of those that have weights of their own. */
  readonly words: readonly number[]
  readonly channels: number
  readonly form: Pick<Form, 'shift' | 'signed'>
  /** Sums are cut off at 32 - gain bits, and what is requantised is 2^gain times as much. */
  readonly gain: number
}

/** r0: the first pixel's window, r1: the words, r2: the zero point less than 0 in both halves. */
export function centreRoutine({ pixels: T, runs, words, step, stride }: Widen): Routine {
  const from = [0, 3, 4, 5].slice(0, T)
  const P = [6, 7, 8, 9].slice(0, T)
  const word = [
    ...P.map((p, i) => `ldr ${reg(p)}, [${reg(from[i])}], #4`),
    ...P.flatMap((p, i) => [`sxtab16 r10, r2, ${reg(p)}`, `str r10, [r1, #${4 * i}]`]),
    ...P.map((p) => `sxtab16 ${reg(p)}, r2, ${reg(p)}, ror #8`),
    ...P.map((p, i) => `str ${reg(p)}, [r1, #${4 * (T + i)}]`),
    `add r1, r1, #${8 * T}`,
  ]
  const starts = from.slice(1).flatMap((r, i) => [`mov ${reg(r)}, ${reg(from[i])}`, ...addConstant(r, stride, LR)])
  const next = from.flatMap((r) => addConstant(r, step - 4 * words, P[0]))
  return routine(`centre_${T}_${runs}x${words}_${step}_${stride}`, 0, [
    ...starts,
    ...(runs > 1 ? [`movw r12, #${runs}`, '1:'] : []),
    `movw lr, #${words}`,
    '2:',
    ...word,
    'subs lr, lr, #1',
    'bne 2b',
    ...(runs > 1 ? [...next, 'subs r12, r12, #1', 'bne 1b'] : []),
  ])
}

/** The same in loops: `x` is flat, `px` (words, 2, pixels), from `word` on; `at` is the first pixel's first element. */
export function centreMeans(
  { pixels, runs, words, step, stride }: Widen,
  x: Buf,
  zero: Expr,
  px: Buf,
  word: number,
  at: Expr,
  name: (base: string) => string,
): Stmt {
  return L.loops([name('r'), name('k'), name('i'), name('odd')], [runs, words, pixels, 2], (r, k, i, odd) => {
    const start = L.add(L.add(L.add(L.add(at, L.mul(r, step)), L.mul(k, 4)), L.mul(i, stride)), odd)
    const half = (n: number) => L.sub(L.load(x, L.add(start, n)), zero)
    const both = L.op('or', L.op('and', half(0), 0xffff), L.op('shl', half(2), 16))
    return L.store(px, [L.add(L.add(L.mul(r, words), k), word), odd, i], both)
  })
}

/**
 * r0: words, r1: weights, r2: y, r3: requantisation; on the stack the biases, the mask, and the weights of channels that
 * have their own. All channels.
 */
export function liveRoutine({ pixels: T, words, channels, form, gain }: LiveTile): Routine {
  const acc = [4, 5, 6, 7].slice(0, T)
  const X = [8, 9, 10, 11].slice(0, T)
  const A = acc.map(reg)
  // words, y, requantisation, channels left; then what `routine` keeps, then arguments
  const [yAt, numbersAt, leftAt, weightsAt, frame] = [4, 8, 12, 16, 20]
  const [startAt, maskAt, ownAt] = [frame + 36, frame + 40, frame + 44]
  const own = epilogueWords(form)
  const numbers = [8, 9, 10, 11].slice(0, own)
  const [m, offset, ...more] = numbers.map(reg)
  const negative = form.signed ? more.shift()! : ''
  const by = (input: string) => X.map((x, i) => `smlad ${A[i]}, ${reg(x)}, ${input}, ${A[i]}`)
  const word = [
    ...(T === 1 ? [`ldr ${reg(X[0])}, [r0], #4`] : [`ldmia r0!, ${list(X)}`]),
    'ldr r2, [r1], #4',
    'sxtb16 r3, r2',
    ...by('r3'),
    ...(T === 1 ? [`ldr ${reg(X[0])}, [r0], #4`] : [`ldmia r0!, ${list(X)}`]),
    'sxtb16 r2, r2, ror #8',
    ...by('r2'),
  ]
  const sums = (words: number, label: string): string[] => {
    const unrolled = [4, 3, 2].find((n) => words % n === 0) ?? 1
    const step = Array.from({ length: unrolled }, () => word).flat()
    if (words === unrolled) return step
    return [`movw r12, #${words / unrolled}`, `${label}:`, ...step, 'subs r12, r12, #1', `bne ${label}b`]
  }
  const [all, own4] = words
  const both =
    own4 === undefined
      ? sums(all, '3')
      : [
          ...sums(all, '3'),
          ...[`str r1, [sp, #${weightsAt}]`, `ldr r1, [sp, #${ownAt}]`],
          ...sums(own4, '4'),
          ...[`str r1, [sp, #${ownAt}]`, `ldr r1, [sp, #${weightsAt}]`],
        ]
  const finish = A.flatMap((a, i) => [
    `ssat ${a}, #${32 - gain}, ${a}`,
    `lsl ${a}, ${a}, #${gain}`,
    ...(form.signed ? [`lsr r3, ${a}, #31`] : []),
    `smmla ${a}, ${a}, ${m}, ${offset}`,
    ...(form.signed ? [`mls ${a}, r3, ${negative}, ${a}`] : []),
    ...(form.shift === undefined
      ? [`asr ${a}, ${a}, ${more[0]}`, `ssat r3, #8, ${a}`, `cmp r3, ${a}`]
      : [`ssat r3, #8, ${a}, asr #${form.shift}`, `cmp r3, ${a}, asr #${form.shift}`]),
    `strb r3, [r2, #${i * channels}]`,
    'it eq',
    `orreq lr, lr, #${2 ** (8 * i + 7)}`,
  ])
  const bytes = acc.flatMap((_, i) => [...(i ? ['lsr lr, lr, #8'] : []), `strb lr, [r2, #${i * (channels >> 3)}]`])
  return routine(`live_${T}_${words.join('_')}_${channels}_${form.signed ? 's' : ''}${form.shift ?? 'v'}_${gain}`, 0, [
    `sub sp, sp, #${frame}`,
    'strd r0, r2, [sp]',
    `str r3, [sp, #${numbersAt}]`,
    `movw r3, #${channels}`,
    `str r3, [sp, #${leftAt}]`,
    '1:',
    'mov lr, #0',
    '2:',
    'ldr r0, [sp]',
    `ldr r2, [sp, #${startAt}]`,
    `ldr ${A[0]}, [r2], #4`,
    `str r2, [sp, #${startAt}]`,
    ...A.slice(1).map((a) => `mov ${a}, ${A[0]}`),
    ...both,
    `ldrd r2, r3, [sp, #${yAt}]`,
    `ldmia r3!, ${list(numbers)}`,
    `str r3, [sp, #${numbersAt}]`,
    'lsr lr, lr, #1',
    ...finish,
    'add r2, r2, #1',
    `str r2, [sp, #${yAt}]`,
    `ldr r3, [sp, #${leftAt}]`,
    'subs r3, r3, #1',
    `str r3, [sp, #${leftAt}]`,
    'tst r3, #7',
    'bne 2b',
    `ldr r2, [sp, #${maskAt}]`,
    ...bytes,
    'add r2, r2, #1',
    `str r2, [sp, #${maskAt}]`,
    'cmp r3, #0',
    'bne 1b',
    `add sp, sp, #${frame}`,
  ])
}

/** The same in loops: `to` and `byte` are where the first result and its bit stand. */
export function liveMeans(
  { pixels, words, channels, form, gain }: LiveTile,
  bufs: {
    readonly px: Buf
    readonly w: readonly Buf[]
    readonly y: Buf
    readonly numbers: Buf
    readonly bias: Buf
    readonly mask: Buf
  },
  { to, byte }: { readonly to: Expr; readonly byte: Expr },
  name: (base: string) => string,
): Stmt {
  const own = epilogueWords(form)
  return L.loops([name('i'), name('b')], [pixels, channels >> 3], (i, b) => {
    const [none, bits] = L.declare(name('bits'), 0)
    const eight = L.loop(name('c'), 8, (bit) => {
      const [channel, c] = L.declare(name('ch'), L.add(L.mul(b, 8), bit))
      const [start, acc] = L.declare(name('acc'), L.load(bufs.bias, c))
      const half = (word: Expr, top: boolean) => L.op('shr', top ? word : L.op('shl', word, 16), 16)
      const sums = words.map((n, part) =>
        L.loop(name('k'), n, (k) =>
          [0, 1, 2, 3].map((byte) => {
            const word = L.add(k, part === 0 ? 0 : words[0])
            const x = half(L.load(bufs.px, word, byte & 1, i), byte > 1)
            const weight = L.load(bufs.w[part], L.add(L.add(L.mul(c, 4 * n), L.mul(k, 4)), byte))
            return L.set(acc, L.op('wadd', acc, L.mul(x, weight)))
          }),
        ),
      )
      const number = (k: number) => L.load(bufs.numbers, L.add(L.mul(c, own), k))
      const [declare, value] = L.declare(name('value'), requantized(form, cut(acc, gain), number))
      return [
        channel,
        start,
        ...sums,
        declare,
        L.store(bufs.y, [L.add(L.add(to, L.mul(i, channels)), c)], L.clamp(value, -128, 127)),
        L.set(bits, L.op('or', bits, L.op('shl', L.and(L.ge(value, -128), L.op('le', value, 127)), bit))),
      ]
    })
    return [none, eight, L.store(bufs.mask, [L.add(L.add(byte, L.mul(i, channels >> 3)), b)], bits)]
  })
}

/** The sum, cut off so that there is room for it times 2^gain. */
function cut(acc: Expr, gain: number): Expr {
  const most = 2 ** (31 - gain)
  return L.op('shl', L.clamp(acc, -most, most - 1), gain)
}
