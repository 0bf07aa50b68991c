// The meaning of a kernel: runs it on typed arrays, one for each of its buffers. The tree becomes closures once, registers
// become slots. Strict: whatever the loop language forbids (an index out of bounds, an overflow) throws.

import { bug } from '../errors.ts'
import { f16ToF32, f32ToF16 } from './float.ts'
import {
  type Buf,
  count,
  type Data,
  type Expr,
  elemOfData,
  type Kernel,
  type Num,
  newData,
  type OpName,
  type Stmt,
  type Type,
} from './ir.ts'
import { CHECKED, type Fn, fromLong, intoLong, longComparison, longOp, numberOp } from './meaning.ts'
import { printExpr } from './print.ts'
import { validate } from './validate.ts'

type Run = () => void
type NumberOf = () => number
type LongOf = () => bigint
type Lanes = Int8Array | Int16Array | Int32Array | Float32Array | BigInt64Array
/** The result is valid until the closure is called again. */
type LanesOf = () => Lanes

function newLanes(type: Type): Lanes {
  switch (type.num) {
    case 'i8':
      return new Int8Array(type.lanes)
    case 'i16':
      return new Int16Array(type.lanes)
    case 'i32':
      return new Int32Array(type.lanes)
    case 'i64':
      return new BigInt64Array(type.lanes)
    case 'f32':
      return new Float32Array(type.lanes)
    case 'f64':
      return bug('f64 registers have no lanes')
  }
}

const wide = (type: Type) => type.lanes > 1

class Compiler {
  readonly kernel: Kernel
  readonly bufs = new Map<string, { buf: Buf; data: Data }>()
  readonly slots = new Map<string, number>()
  readonly numbers: Float64Array
  readonly longs: bigint[]
  readonly lanes: Lanes[] = []

  constructor(kernel: Kernel, args: readonly Data[]) {
    this.kernel = kernel
    if (args.length !== kernel.bufs.length)
      bug(`kernel ${kernel.name}: ${args.length} arguments, it has ${kernel.bufs.length} buffers`)
    kernel.bufs.forEach((buf, i) => {
      const elem = elemOfData(args[i])
      if (elem !== buf.elem) bug(`kernel ${kernel.name}: argument ${buf.name} is ${elem}, the buffer ${buf.elem}`)
      if (args[i].length !== count(buf.shape))
        bug(`kernel ${kernel.name}: argument ${buf.name} has ${args[i].length} elements, expects ${count(buf.shape)}`)
      this.bufs.set(buf.name, { buf, data: args[i] })
    })
    const names = countNames(kernel.body)
    this.numbers = new Float64Array(names)
    this.longs = new Array<bigint>(names).fill(0n)
  }

  slot(name: string): number {
    let slot = this.slots.get(name)
    if (slot === undefined) {
      slot = this.slots.size
      this.slots.set(name, slot)
    }
    return slot
  }

  fault(e: Expr, what: string): never {
    return bug(`kernel ${this.kernel.name}: ${printExpr(e)} ${what}`)
  }

  stmt(s: Stmt): Run {
    switch (s.s) {
      case 'block': {
        const runs = s.body.map((t) => this.stmt(t))
        if (runs.length === 2) {
          const [a, b] = runs
          return () => {
            a()
            b()
          }
        }
        return () => {
          for (let i = 0; i < runs.length; i++) runs[i]()
        }
      }
      case 'for': {
        const { numbers } = this
        const slot = this.slot(s.v)
        const { extent } = s
        const body = this.stmt(s.body)
        return () => {
          for (let i = 0; i < extent; i++) {
            numbers[slot] = i
            body()
          }
        }
      }
      case 'let':
      case 'set':
        return this.assign(this.slot(s.name), s.value)
      case 'store':
        return this.store(s)
      case 'if': {
        const cond = this.number(s.cond)
        const body = this.stmt(s.body)
        if (!s.else)
          return () => {
            if (cond() !== 0) body()
          }
        const otherwise = this.stmt(s.else)
        return () => {
          if (cond() !== 0) body()
          else otherwise()
        }
      }
      case 'asm':
        return this.stmt(s.means)
    }
  }

  assign(slot: number, value: Expr): Run {
    if (wide(value.type)) {
      const { lanes } = this
      lanes[slot] ??= newLanes(value.type)
      const to = lanes[slot]
      const from = this.vector(value)
      return () => copyLanes(to, from())
    }
    if (value.type.num === 'i64') {
      const { longs } = this
      const from = this.long(value)
      return () => {
        longs[slot] = from()
      }
    }
    const { numbers } = this
    const from = this.number(value)
    return () => {
      numbers[slot] = from()
    }
  }

  store(s: Extract<Stmt, { s: 'store' }>): Run {
    const { data } = this.bufs.get(s.buf)!
    const at = this.address(s.buf, s.at, s.value.type.lanes)
    if (wide(s.value.type)) {
      const from = this.vector(s.value)
      return () => {
        const lanes = from()
        const base = at()
        for (let i = 0; i < lanes.length; i++) data[base + i] = lanes[i]
      }
    }
    if (data instanceof BigInt64Array) {
      const from = this.long(s.value)
      return () => {
        const value = from()
        data[at()] = value
      }
    }
    const from = this.number(s.value)
    if (data instanceof Uint16Array)
      return () => {
        const value = from()
        data[at()] = f32ToF16(value)
      }
    return () => {
      const value = from()
      data[at()] = value
    }
  }

  /** The flat index of an element, each index checked against its dimension. */
  address(name: string, at: readonly Expr[], lanes: number): NumberOf {
    const { buf } = this.bufs.get(name)!
    const { shape } = buf
    const last = shape.map((d, i) => (i === shape.length - 1 ? d - lanes : d - 1))
    const index = at.map((e) => this.number(e))
    const out = (d: number, i: number): never =>
      bug(
        `kernel ${this.kernel.name}: ${name}[${at.map(printExpr).join(', ')}] is out of bounds: index ${d} is ${i}` +
          `${lanes > 1 ? ` with ${lanes} lanes` : ''}, the shape is (${shape.join(', ')})`,
      )
    switch (shape.length) {
      case 0:
        return () => 0
      case 1: {
        const [i] = index
        const [m] = last
        return () => {
          const a = i()
          return a < 0 || a > m ? out(0, a) : a
        }
      }
      case 2: {
        const [i, j] = index
        const [m, n] = last
        const [, N] = shape
        return () => {
          const a = i()
          const b = j()
          if (a < 0 || a > m) out(0, a)
          if (b < 0 || b > n) out(1, b)
          return a * N + b
        }
      }
      case 4: {
        const [i, j, k, l] = index
        const [m, n, o, p] = last
        const [, N, O, P] = shape
        return () => {
          const a = i()
          const b = j()
          const c = k()
          const d = l()
          if (a < 0 || a > m) out(0, a)
          if (b < 0 || b > n) out(1, b)
          if (c < 0 || c > o) out(2, c)
          if (d < 0 || d > p) out(3, d)
          return ((a * N + b) * O + c) * P + d
        }
      }
      default:
        return () => {
          let flat = 0
          for (let d = 0; d < index.length; d++) {
            const i = index[d]()
            if (i < 0 || i > last[d]) out(d, i)
            flat = flat * shape[d] + i
          }
          return flat
        }
    }
  }

  /** A scalar i32, f32 or f64. */
  number(e: Expr): NumberOf {
    switch (e.k) {
      case 'const': {
        const { value } = e
        return () => value
      }
      case 'var': {
        const { numbers } = this
        const slot = this.slot(e.name)
        return () => numbers[slot]
      }
      case 'load': {
        const { data } = this.bufs.get(e.buf)!
        const at = this.address(e.buf, e.at, 1)
        if (data instanceof Uint16Array) return () => f16ToF32(data[at()])
        const numbers = data as Exclude<Data, BigInt64Array>
        return () => numbers[at()]
      }
      case 'op':
        return this.numberOp(e, e.op)
    }
  }

  numberOp(e: Extract<Expr, { k: 'op' }>, op: OpName): NumberOf {
    const from = e.args[0].type
    if (op === 'sum') {
      const of = this.vector(e.args[0])
      return () => {
        let total = 0
        const lanes = of() as Int32Array
        for (let i = 0; i < lanes.length; i++) total = (total + lanes[i]) | 0
        return total
      }
    }
    if (from.num === 'i8') {
      const of = this.vector(e.args[0])
      return () => new DataView(of().buffer).getInt32(0, true)
    }
    if (from.num === 'i64') {
      const a = this.long(e.args[0])
      const convert = fromLong(op)
      if (convert) return () => convert(a())
      const holds = longComparison(op) ?? this.fault(e, 'has no meaning')
      const b = this.long(e.args[1])
      return () => (holds(a(), b()) ? 1 : 0)
    }
    const [a, b, c] = e.args.map((arg) => this.number(arg))
    if (op === 'select')
      return () => {
        const cond = a()
        const yes = b()
        const no = c()
        return cond !== 0 ? yes : no
      }
    if (from.num === 'i32') {
      const overflow = () => this.fault(e, 'overflows i32')
      if (op === 'add')
        return () => {
          const r = a() + b()
          return r === (r | 0) ? r | 0 : overflow()
        }
      if (op === 'sub')
        return () => {
          const r = a() - b()
          return r === (r | 0) ? r | 0 : overflow()
        }
      if (op === 'mul')
        return () => {
          const r = a() * b()
          return r === (r | 0) ? r | 0 : overflow()
        }
    }
    const f = this.checked(e, numberOp(op, from.num) ?? this.fault(e, 'has no meaning'))
    if (!b) return () => f(a(), 0, 0)
    if (!c) return () => f(a(), b(), 0)
    return () => f(a(), b(), c())
  }

  /** The operation's function, throwing where an integer result does not fit. */
  checked(e: Extract<Expr, { k: 'op' }>, f: Fn): Fn {
    const { num } = e.type
    if (num === 'f32' || num === 'f64' || !CHECKED.has(e.op)) return f
    const bits = num === 'i16' ? 16 : 0
    return (a, b, c) => {
      const r = f(a, b, c)
      const low = ((r | 0) << bits) >> bits
      return r === low
        ? low
        : this.fault(e, b === 0 && (e.op === 'div' || e.op === 'rem') ? 'divides by zero' : `overflows ${num}`)
    }
  }

  /** A scalar i64. */
  long(e: Expr): LongOf {
    switch (e.k) {
      case 'const': {
        const value = BigInt(e.value)
        return () => value
      }
      case 'var': {
        const { longs } = this
        const slot = this.slot(e.name)
        return () => longs[slot]
      }
      case 'load': {
        const data = this.bufs.get(e.buf)!.data as BigInt64Array
        const at = this.address(e.buf, e.at, 1)
        return () => data[at()]
      }
      case 'op': {
        const convert = intoLong(e.op)
        if (convert) {
          const a = this.number(e.args[0])
          return () => convert(a())
        }
        if (e.op === 'select') {
          const cond = this.number(e.args[0])
          const a = this.long(e.args[1])
          const b = this.long(e.args[2])
          return () => {
            const c = cond()
            const yes = a()
            const no = b()
            return c !== 0 ? yes : no
          }
        }
        const f = longOp(e.op) ?? this.fault(e, 'has no meaning')
        const a = this.long(e.args[0])
        const b = e.args.length > 1 ? this.long(e.args[1]) : () => 0n
        if (!CHECKED.has(e.op)) return () => f(a(), b())
        const divides = e.op === 'div' || e.op === 'rem'
        return () => {
          const [x, y] = [a(), b()]
          if (divides && y === 0n) this.fault(e, 'divides by zero')
          const r = f(x, y)
          return BigInt.asIntN(64, r) === r ? r : this.fault(e, 'overflows i64')
        }
      }
    }
  }

  vector(e: Expr): LanesOf {
    if (e.k === 'var') {
      const slot = this.slot(e.name)
      const register = (this.lanes[slot] ??= newLanes(e.type))
      return () => register
    }
    const out = newLanes(e.type)
    if (e.k === 'load') {
      const { data } = this.bufs.get(e.buf)!
      const at = this.address(e.buf, e.at, e.type.lanes)
      return () => {
        const base = at()
        for (let i = 0; i < out.length; i++) out[i] = data[base + i]
        return out
      }
    }
    if (e.k === 'const') return this.fault(e, 'is a constant with lanes')
    if (e.op === 'splat') return this.splat(e, out)
    if (e.op === 'part') {
      const [a, k] = [this.vector(e.args[0]), this.number(e.args[1])]
      return () => {
        const [all, first] = [a(), k() * out.length]
        for (let i = 0; i < out.length; i++) out[i] = all[first + i]
        return out
      }
    }
    const args = e.args.map((arg) => this.vector(arg))
    const [a, b, c] = args
    if (e.op === 'dot')
      return () => {
        const x = a() as Int16Array
        const y = b() as Int16Array
        for (let i = 0; i < out.length; i++) out[i] = (x[2 * i] * y[2 * i] + x[2 * i + 1] * y[2 * i + 1]) | 0
        return out
      }
    const moved = this.moves(e.op, args, out)
    if (moved) return moved
    if (e.op === 'select')
      return () => {
        const cond = a()
        const yes = b()
        const no = c()
        for (let i = 0; i < out.length; i++) out[i] = cond[i] ? yes[i] : no[i]
        return out
      }
    if (out instanceof BigInt64Array) return this.longLanes(e, args, out)
    const num = e.args[0].type.num as Exclude<Num, 'i64'>
    const f = this.checked(e, numberOp(e.op, num) ?? this.fault(e, 'has no meaning'))
    return () => {
      const x = a() as Int32Array
      const y = b ? (b() as Int32Array) : x
      const z = c ? (c() as Int32Array) : x
      for (let i = 0; i < out.length; i++) out[i] = f(x[i], y[i], z[i])
      return out
    }
  }

  /** Operations that rearrange lanes, or see the same bits as others. */
  moves(op: OpName, [a, b]: readonly LanesOf[], out: Lanes): LanesOf | undefined {
    if (op === 'zipLow' || op === 'zipHigh') {
      const first = op === 'zipLow' ? 0 : out.length / 2
      return () => {
        const [x, y] = [a(), b()]
        for (let i = 0; i < out.length; i++) out[i] = (i % 2 === 0 ? x : y)[first + (i >> 1)]
        return out
      }
    }
    if (op === 'narrow')
      return () => {
        const [x, y] = [a(), b()] as Int32Array[]
        for (let i = 0; i < 8; i++) out[i] = Math.max(-32768, Math.min(32767, i < 4 ? x[i] : y[i - 4]))
        return out
      }
    if (op === 'narrowU')
      return () => {
        const [x, y] = [a(), b()] as Int16Array[]
        for (let i = 0; i < 16; i++) out[i] = Math.max(0, Math.min(255, i < 8 ? x[i] : y[i - 8]))
        return out
      }
    if (op !== 'halves' && op !== 'bytes' && (op !== 'bits' || !(out instanceof Int32Array))) return undefined
    return () => {
      const x = a()
      const other = new DataView(x.buffer)
      if (out instanceof Int8Array) for (let i = 0; i < 16; i++) out[i] = other.getInt8(i)
      else if (out instanceof Int16Array) for (let i = 0; i < 8; i++) out[i] = other.getInt16(2 * i, true)
      else for (let i = 0; i < 4; i++) out[i] = other.getInt32(4 * i, true)
      return out
    }
  }

  splat(e: Extract<Expr, { k: 'op' }>, out: Lanes): LanesOf {
    if (out instanceof BigInt64Array) {
      const a = this.long(e.args[0])
      return () => out.fill(a())
    }
    const a = this.number(e.args[0])
    if (out instanceof Int16Array)
      return () => {
        const value = a()
        return value === (value << 16) >> 16 ? out.fill(value) : this.fault(e, `of ${value} overflows i16`)
      }
    return () => out.fill(a())
  }

  longLanes(e: Extract<Expr, { k: 'op' }>, args: readonly LanesOf[], out: BigInt64Array): LanesOf {
    const f = longOp(e.op) ?? this.fault(e, 'has no meaning')
    const check = CHECKED.has(e.op)
    const [a, b] = args
    return () => {
      const x = a() as BigInt64Array
      const y = b ? (b() as BigInt64Array) : x
      for (let i = 0; i < out.length; i++) {
        const r = f(x[i], y[i])
        out[i] = r
        if (check && out[i] !== r) this.fault(e, 'overflows i64')
      }
      return out
    }
  }
}

function copyLanes(to: Lanes, from: Lanes): void {
  for (let i = 0; i < to.length; i++) to[i] = from[i]
}

function countNames(s: Stmt): number {
  switch (s.s) {
    case 'block':
      return s.body.reduce((n, t) => n + countNames(t), 0)
    case 'for':
      return 1 + countNames(s.body)
    case 'let':
      return 1
    case 'if':
      return countNames(s.body) + (s.else ? countNames(s.else) : 0)
    case 'asm':
      return countNames(s.means)
    default:
      return 0
  }
}

/**
 * Runs the kernel. `args` has one typed array for each buffer, of its element type and size, scratch included; written
 * buffers are changed in place. Throws our own fault on an ill-formed kernel, an index out of bounds, an overflow of
 * add, sub, mul or neg, a division by zero.
 */
export function interpret(kernel: Kernel, args: readonly Data[]): void {
  validate(kernel)
  new Compiler(kernel, args).stmt(kernel.body)()
}

/** `interpret` with scratch allocated here: `args` has one typed array for each buffer that is not scratch. */
export function runKernel(kernel: Kernel, args: readonly Data[]): void {
  const rest = [...args]
  const all = kernel.bufs.map((buf) => {
    if (buf.access === 'scratch') return newData(buf.elem, count(buf.shape))
    return rest.shift() ?? bug(`kernel ${kernel.name}: no argument for ${buf.name}`)
  })
  if (rest.length) bug(`kernel ${kernel.name}: ${rest.length} arguments too many`)
  interpret(kernel, all)
}
