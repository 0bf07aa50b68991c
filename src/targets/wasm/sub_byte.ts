// Operands below 8 bits on WebAssembly: a layer's input and weights are unpacked to bytes when it begins, the recipes for bytes
// do the work, and its output is packed at the end. Weights are packed in the order in which the recipe reads them, so that
// eight bytes are a register of the low elements, one of the next, and so on.

import type { Arg, Call } from '../../ir/op.ts'
import * as L from '../../loops/build.ts'
import { type Buf, count, type Expr, I16X8, type Kernel, type Stmt } from '../../loops/ir.ts'
import { elementIn, fits, flatIndex, offsetOf, type SubByte } from '../../loops/sub_byte.ts'
import { mapStmt, namer } from '../../loops/walk.ts'
import { storageOf } from '../sub_byte.ts'
import type { Recipe } from '../target.ts'

/** Constants of fewer elements stay as they are. */
const LEAST = 64

type Name = (base: string) => string

/** The same kernel with this buffer as one row. */
function flattened({ name, bufs, body }: Kernel, buf: Buf): { kernel: Kernel; buf: Buf } {
  const row: Buf = { ...L.buffer(buf.name, buf.elem, [count(buf.shape)], 'scratch') }
  const load = (e: Expr): Expr => (e.k === 'load' && e.buf === buf.name ? { ...e, at: [flatIndex(buf, e.at)] } : e)
  const store = (s: Stmt): Stmt => (s.s === 'store' && s.buf === buf.name ? { ...s, at: [flatIndex(buf, s.at)] } : s)
  return {
    kernel: { name, bufs: bufs.map((b) => (b.name === buf.name ? row : b)), body: mapStmt(body, load, store) },
    buf: row,
  }
}

/** The `k`th elements of eight bytes at once. */
function parts(bytes: Expr, { bits }: SubByte): Expr[] {
  const pairs = L.op('bits', bytes)
  const mask = L.splat((2 ** bits - 1) * 0x10001, 4)
  return Array.from({ length: 8 / bits }, (_, k) =>
    L.op('halves', L.and(k === 0 ? pairs : L.op('ushr', pairs, L.splat(bits * k, 4)), mask)),
  )
}

/** Elements that stand one behind the other in their bytes. */
function unpack(how: SubByte, from: Buf, to: Buf, name: Name): Stmt {
  const [n] = to.shape
  const per = 8 / how.bits
  const blocks = Math.floor(n / (8 * per))
  const all = L.loop(name('b'), blocks, (b) => {
    const [declare, bytes] = L.declare(name('bytes'), L.loadLanes(from, I16X8, L.mul(b, 8)))
    const [p, q, r, s] = parts(bytes, how)
    const zips = (u: Expr, v: Expr) => [L.op('zipLow', u, v), L.op('zipHigh', u, v)]
    const rows = per === 2 ? zips(p, q) : zips(p, r).flatMap((even, i) => zips(even, zips(q, s)[i]))
    return [declare, ...rows.map((row, k) => L.store(to, [L.add(L.mul(b, 8 * per), 8 * k)], row))]
  })
  const rest = L.loop(name('i'), n - blocks * 8 * per, (i) => {
    const at = L.add(i, blocks * 8 * per)
    return L.store(to, [at], elementIn(L.load(from, L.op('shr', at, per === 2 ? 1 : 2)), at, how))
  })
  return L.block(all, rest)
}

/** The inverse. */
function pack({ bits }: SubByte, from: Buf, to: Buf, name: Name): Stmt {
  const [n] = from.shape
  const per = 8 / bits
  const whole = Math.floor(n / per)
  const byte = (first: Expr, elements: number) =>
    Array.from({ length: elements }, (_, k) => L.op('shl', L.load(from, L.add(first, k)), bits * k)).reduce((u, v) =>
      L.op('or', u, v),
    )
  const bytes = L.loop(name('i'), whole, (i) => L.store(to, [i], byte(L.mul(i, per), per)))
  return n % per === 0 ? bytes : L.block(bytes, L.store(to, [whole], byte(L.int(whole * per), n % per)))
}

/** Weights as bytes: element k of byte j of a block of eight is number 8k + j of the block's. */
function packedWeights(data: Int8Array, how: SubByte): Uint8Array<ArrayBuffer> {
  const per = 8 / how.bits
  const bytes = new Uint8Array(8 * Math.ceil(data.length / (8 * per)))
  for (let i = 0; i < data.length; i++) {
    const [block, within] = [Math.floor(i / (8 * per)), i % (8 * per)]
    bytes[8 * block + (within % 8)] |= (data[i] + offsetOf(how)) << (how.bits * Math.floor(within / 8))
  }
  return bytes
}

function unpackWeights(how: SubByte, from: Buf, to: Buf, name: Name): Stmt {
  const per = 8 / how.bits
  return L.loop(name('b'), from.shape[0] / 8, (b) => {
    const [declare, bytes] = L.declare(name('bytes'), L.loadLanes(from, I16X8, L.mul(b, 8)))
    const offset = L.splat(offsetOf(how) * 0x10001, 4)
    return [
      declare,
      ...parts(bytes, how).map((part, k) =>
        L.store(to, [L.add(L.mul(b, 8 * per), 8 * k)], L.op('sub', part, L.op('halves', offset))),
      ),
    ]
  })
}

/** `recipes` on bytes, with elements below 8 bits unpacked before and packed after. */
export function unpacked(recipes: readonly Recipe[]): Recipe {
  return {
    name: 'unpacked',
    subByte: true,
    apply(call) {
      const stored = call.args.map(storageOf)
      if (!stored.some((how) => how)) return undefined
      // loops for bytes know their buffers by these
      const own = call.args.map((arg, k): Arg => {
        if (!stored[k] || !('value' in arg)) return arg
        return arg.value.data ? { data: arg.value.data } : { scratch: true }
      })
      const bytes: Call = {
        kernel: {
          ...call.kernel,
          bufs: call.kernel.bufs.map((buf, k) => (stored[k] ? { ...buf, elem: 'i8' as const } : buf)),
        },
        args: own,
      }
      let made: Call = bytes
      for (const recipe of recipes) {
        const shaped = recipe.apply(bytes)
        if (!shaped) continue
        made = shaped
        break
      }
      return around(made, call, own, stored)
    },
  }
}

function around(made: Call, call: Call, own: readonly Arg[], stored: readonly (SubByte | undefined)[]): Call {
  let { kernel } = made
  const name = namer(kernel)
  const args: Arg[] = [...made.args]
  const more: { readonly buf: Buf; readonly arg: Arg }[] = []
  const before: Stmt[] = []
  const after: Stmt[] = []
  const weights = stored.find((how) => how?.signed)
  made.kernel.bufs.forEach((buf, k) => {
    const arg = made.args[k]
    const operand = own.indexOf(arg)
    const how = operand < 0 ? undefined : stored[operand]
    if ('data' in arg) {
      if (!weights || arg.data.length < LEAST || !fits(arg.data, weights.bits)) return
      const bytes = packedWeights(arg.data, weights)
      const per = 8 / weights.bits
      const flat = flattened(kernel, buf)
      const padded = L.buffer(buf.name, 'i8', [bytes.length * per], 'scratch')
      kernel = { ...flat.kernel, bufs: flat.kernel.bufs.map((b) => (b.name === buf.name ? padded : b)) }
      const from = L.buffer(name(`${buf.name}_packed`), 'u8', [bytes.length])
      more.push({ buf: from, arg: { data: bytes } })
      args[k] = { scratch: true }
      before.push(unpackWeights(weights, from, padded, name))
      return
    }
    if (!how || how.signed) return
    const flat = flattened(kernel, buf)
    kernel = flat.kernel
    const written = call.kernel.bufs[operand].access !== 'read'
    const size = Math.ceil((flat.buf.shape[0] * how.bits) / 8)
    const packed = L.buffer(name(`${buf.name}_packed`), 'u8', [size], written ? 'write' : 'read')
    more.push({ buf: packed, arg: call.args[operand] })
    if (written) after.push(pack(how, flat.buf, packed, name))
    else before.push(unpack(how, packed, flat.buf, name))
  })
  const bufs = [...kernel.bufs, ...more.map(({ buf }) => buf)]
  return {
    kernel: { ...kernel, bufs, body: L.block(...before, kernel.body, ...after) },
    args: [...args, ...more.map(({ arg }) => arg)],
  }
}
