// Depthwise convolutions whose input, weights or output have less than 8 bits, around the routines for bytes: four channels of
// the input are unpacked to an image of bytes, which planes are gathered from; outputs are made as such an image and packed
// where the channels belong. Weights are widened channel by channel, once for a whole plane.

import type { Arg, Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Expr, type Routine, type Stmt } from '../../loops/ir.ts'
import { elementIn } from '../../loops/sub_byte.ts'
import { isSubByte } from '../sub_byte.ts'
import { sumOfProducts } from '../sum_of_products.ts'
import type { Recipe } from '../target.ts'
import { addConstant, routine } from './assembly.ts'
import { wholeRange } from './dense.ts'
import { depthwiseOf, formOf, pack } from './depthwise.ts'
import { fillMeans, fillRoutine, spreadBytes } from './gather.ts'
import { planeMeans, planeOf, planeRoutine, planesMeans, planesRoutine } from './plane.ts'
import { epilogueWords } from './requantize.ts'

type Fewer = 4 | 2

/** Pixels of which four channels are read or written, and bytes from one to the next. */
interface Pixels {
  readonly count: number
  readonly bits: Fewer
  readonly step: number
}

function overPixels(n: number, one: readonly string[]): string[] {
  const twice = n % 2 === 0 ? [...one, ...one] : one
  return [`movw r12, #${n / (n % 2 === 0 ? 2 : 1)}`, '1:', ...twice, 'subs r12, r12, #1', 'bne 1b']
}

/** A halfword or byte at a pointer that moves on. */
function moving(op: 'ldr' | 'str', bits: Fewer, r: string, at: number, step: number): string[] {
  const access = `${op}${bits === 4 ? 'h' : 'b'} ${r}, [r${at}]`
  return step < 256 ? [`${access}, #${step}`] : [access, ...addConstant(at, step, 5)]
}

/** r0: the image of four channels, r1: the first of them in the input. */
function unpackRoutine({ count: n, bits, step }: Pixels): Routine {
  const one = [...moving('ldr', bits, 'r3', 1, step), ...spreadBytes('r3', bits), 'str r3, [r0], #4']
  return routine(`unpack_${n}_of_${bits}_${step}`, 0, overPixels(n, one))
}

/** r0: the first of four channels in the output, r1: the image of them. */
function packRoutine({ count: n, bits, step }: Pixels): Routine {
  const one = [
    ...['ldr r2, [r1], #4', 'sxtb16 r3, r2', 'sxtb16 r4, r2, ror #8'],
    ...[`usat16 r3, #${bits}, r3`, `usat16 r4, #${bits}, r4`, `orr r3, r3, r4, lsl #${bits}`],
    `orr r3, r3, r3, lsr #${16 - 2 * bits}`,
    ...moving('str', bits, 'r3', 0, step),
  ]
  return routine(`pack_four_${n}_to_${bits}_${step}`, 0, overPixels(n, one))
}

function unpackMeans(
  { count: n, bits, step }: Pixels,
  image: Buf,
  x: Buf,
  from: Expr,
  name: (b: string) => string,
): Stmt {
  return L.loop(name('p'), n, (p) =>
    L.loop(name('c'), 4, (c) => {
      const at = L.add(L.add(from, L.mul(p, step)), L.op('shr', c, bits === 4 ? 1 : 2))
      return L.store(image, [L.add(L.mul(p, 4), c)], elementIn(L.load(x, at), c, { bits, signed: false }))
    }),
  )
}

function packMeans({ count: n, bits, step }: Pixels, y: Buf, to: Expr, image: Buf, name: (b: string) => string): Stmt {
  const per = 8 / bits
  return L.loop(name('p'), n, (p) =>
    L.loop(name('b'), bits / 2, (b) => {
      const one = (k: number) => {
        const element = L.load(image, L.add(L.add(L.mul(p, 4), L.mul(b, per)), k))
        return L.op('shl', L.clamp(element, 0, 2 ** bits - 1), k * bits)
      }
      const byte = Array.from({ length: per }, (_, k) => one(k)).reduce((u, v) => L.op('or', u, v))
      return L.store(y, [L.add(L.add(to, L.mul(p, step)), b)], byte)
    }),
  )
}

/** The numbers of a channel apart from its weights, and these as unsigned codes, two for a word. */
function packedWeights(data: Int32Array, size: number, head: number, gain: number, bits: Fewer) {
  const channels = data.length / size
  const words = size - head
  const each = Math.ceil((words * 2 * bits) / 8)
  const heads = new Int32Array(channels * head)
  const codes = new Uint8Array(channels * each)
  for (let c = 0; c < channels; c++) {
    heads.set(data.subarray(c * size, c * size + head), c * head)
    for (let k = 0; k < 2 * words; k++) {
      const word = data[c * size + head + (k >> 1)]
      const half = k % 2 === 0 ? (word << 16) >> 16 : word >> 16
      codes[c * each + Math.floor((k * bits) / 8)] |= (half / gain + 2 ** (bits - 1)) << ((k * bits) % 8)
    }
  }
  return { heads, codes, each }
}

function shaped(call: Call): Call | undefined {
  const s = sumOfProducts(call, { zeroW: true, subByte: true })
  const d = s && depthwiseOf(s)
  if (!isSubByte(call) || !d || d.channels % 4 !== 0 || !wholeRange(s)) return undefined
  const { x: inBits, w: weightBits, y: outBits } = s.widths
  const proved = formOf(d)
  const plane = proved && planeOf(d, proved.form)
  if (!plane) return undefined
  const { row, column, channels, width, height } = plane
  const size = width * height
  const rows = Math.min(row.input, height - row.before)
  if (rows < 1 || ('value' in s.x.arg && s.x.arg.value.parts)) return undefined
  const packed = pack(d, plane, proved)
  const head = 1 + epilogueWords(proved.form)

  let names = 0
  const name = (base: string) => `${base}${names++}`
  const bytes = (elements: number, bits: 8 | 4 | 2) => (elements * bits) / 8
  const elemOf = (bits: 8 | 4 | 2) => (bits === 8 ? 'i8' : 'u8')
  const x = L.buffer('x', elemOf(inBits), [bytes(count(s.x.buf.shape), inBits)])
  const y = L.buffer('y', elemOf(outBits), [bytes(count(s.y.buf.shape), outBits)], 'write')
  const zero = L.buffer('zero', 'i32', [1])
  const planes = L.buffer('planes', 'i8', [4 * size], 'scratch')
  const [read, made] = [rows * column.input, row.output * column.output]
  const image = L.buffer('image', 'i8', [4 * Math.max(inBits < 8 ? read : 0, outBits < 8 ? made : 0)], 'scratch')
  const w = L.buffer('w', 'i32', [channels, weightBits === 8 ? packed.size : head])
  const split = weightBits === 8 ? undefined : packedWeights(packed.data, packed.size, head, proved.gain, weightBits)
  const codes = L.buffer('codes', 'u8', [channels, split?.each ?? 0])
  const own = L.buffer('own', 'i32', [packed.size], 'scratch')

  const fill: Stmt = {
    s: 'asm',
    means: fillMeans(planes, L.int(0), 4 * size, L.load(zero, 0), name),
    routine: fillRoutine(4 * size, true),
    args: [L.load(planes, 0), L.int(0), L.op('wmul', L.op('and', L.load(zero, 0), 255), 0x01010101)],
  }
  const [source, target] = [inBits < 8 ? image : x, outBits < 8 ? image : y]
  const fromFour = { ...plane, channels: inBits < 8 ? 4 : channels }
  const toFour = { ...plane, channels: outBits < 8 ? 4 : channels }
  const inside = row.before * width + column.before

  const widened = (c: Expr): Stmt[] => {
    if (weightBits === 8 || !split) return []
    const half = (k: number) => {
      const byte = L.load(codes, c, Math.floor((k * weightBits) / 8))
      const code = elementIn(byte, L.int(k), { bits: weightBits, signed: true })
      return L.op('mul', code, proved.gain)
    }
    return [
      ...Array.from({ length: head }, (_, k) => L.store(own, [k], L.load(w, c, k))),
      ...Array.from({ length: packed.size - head }, (_, k) =>
        L.store(own, [head + k], L.op('or', L.and(half(2 * k), 0xffff), L.op('shl', half(2 * k + 1), 16))),
      ),
    ]
  }
  const quad = (n: Expr, first: Expr): Stmt[] => {
    const pixelsIn = { count: read, bits: inBits as Fewer, step: bytes(channels, inBits) }
    const pixelsOut = { count: made, bits: outBits as Fewer, step: bytes(channels, outBits) }
    const inAt = L.add(L.mul(n, row.input * column.input * pixelsIn.step), quarter(first, inBits))
    const outAt = L.add(L.mul(n, made * pixelsOut.step), quarter(first, outBits))
    const unpack: Stmt = {
      s: 'asm',
      means: unpackMeans(pixelsIn, image, x, inAt, name),
      routine: unpackRoutine(pixelsIn),
      args: [L.load(image, 0), L.load(x, inAt)],
    }
    const start = inBits < 8 ? L.int(0) : inAt
    const gather: Stmt = {
      s: 'asm',
      means: planesMeans(fromFour, rows, size, source, start, planes, inside, name),
      routine: planesRoutine(fromFour, rows, size),
      args: [L.load(source, start), L.load(planes, inside)],
    }
    const each = L.loop(name('k'), 4, (k) => {
      const [c, at] = [L.add(first, k), L.mul(k, size)]
      const to = outBits < 8 ? k : L.add(outAt, k)
      const number = (i: number) => (split ? L.load(own, i) : L.load(w, c, i))
      return [
        ...widened(c),
        {
          s: 'asm',
          means: planeMeans(toFour, planes, at, number, target, to, name),
          routine: planeRoutine(toFour),
          args: [L.load(planes, at), number(0), L.load(target, to)],
        },
      ]
    })
    const packing: Stmt = {
      s: 'asm',
      means: packMeans(pixelsOut, y, outAt, image, name),
      routine: packRoutine(pixelsOut),
      args: [L.load(y, outAt), L.load(image, 0)],
    }
    return [...(inBits < 8 ? [unpack] : []), gather, each, ...(outBits < 8 ? [packing] : [])]
  }
  const whole = (n: Expr): Stmt => L.loop(name('q'), channels >> 2, (q) => quad(n, L.mul(q, 4)))
  const body = d.batch ? L.loop('n', d.batch.extent, whole) : whole(L.int(0))
  const bordered = size !== rows * column.input
  const bound: readonly (readonly [Buf, Arg])[] = [
    [x, s.x.arg],
    [w, { data: split?.heads ?? packed.data }],
    ...(split ? [[codes, { data: split.codes }] as const, [own, { scratch: true }] as const] : []),
    ...(bordered ? [[zero, { data: Int32Array.of(s.zeroX) }] as const] : []),
    [y, s.y.arg],
    [planes, { scratch: true }],
    ...(inBits < 8 || outBits < 8 ? [[image, { scratch: true }] as const] : []),
  ]
  return {
    kernel: L.kernel(
      call.kernel.name,
      bound.map(([buf]) => buf),
      ...(bordered ? [fill] : []),
      body,
    ),
    args: bound.map(([, arg]) => arg),
  }
}

/** The byte of the first of four channels. */
function quarter(first: Expr, bits: 8 | 4 | 2): Expr {
  return bits === 8 ? first : L.op('shr', first, bits === 4 ? 1 : 2)
}

/** Four channels as planes, elements unpacked before and packed after. */
export const subByteDepthwise: Recipe = {
  name: 'planes of smlad, unpacked',
  byChannel: true,
  subByte: true,
  apply: shaped,
}
