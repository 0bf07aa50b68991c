// Writes WebAssembly modules in the binary format (WebAssembly Core Specification 2.0, chapter 5): in goes a description
// of functions, one memory, exports and data, out come the bytes. Instructions go by their names in the text format.

import { type Instr, OPCODES } from './opcodes.ts'

export type ValType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128'

const VAL_TYPE: Record<ValType, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b }

/** The block type of a block, loop or if that leaves nothing on the stack. */
export const NO_RESULT = 0x40

function unsigned(out: number[], n: number): void {
  let rest = n
  while (rest >= 0x80) {
    out.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  out.push(rest)
}

function signed(out: number[], n: bigint): void {
  let rest = n
  while (rest < -0x40n || rest >= 0x40n) {
    out.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  out.push(Number(rest & 0x7fn))
}

/**
 * What code is made of: bytes, and the numbers in which functions that are otherwise equal may differ. `offset` is that of a
 * load or store, whose address is complete before part `address`.
 */
export type Part =
  | number
  | { readonly is: 'local'; readonly index: number }
  | { readonly is: 'i32'; readonly value: number }
  | { readonly is: 'call'; readonly func: Func }
  | { readonly is: 'offset'; readonly value: number; readonly address: number }

/** The body of a function under construction: instructions, and locals that are handed out again once released. */
export class FuncBody {
  readonly code: Part[] = []
  private readonly params: readonly ValType[]
  private readonly locals: ValType[] = []
  private readonly idle: Record<ValType, number[]> = { i32: [], i64: [], f32: [], f64: [], v128: [] }

  constructor(params: readonly ValType[]) {
    this.params = params
  }

  /** One instruction with its immediates: indices, lanes or labels. */
  op(name: Instr, ...immediates: readonly number[]): void {
    const opcode = OPCODES[name]
    if (opcode > 0xff) this.code.push(opcode >> 16, ...made((out) => unsigned(out, opcode & 0xffff)))
    else this.code.push(opcode)
    for (const n of immediates) this.code.push(...made((out) => unsigned(out, n)))
  }

  /** A load or store of `bytes`, aligned to these; its address was complete before part `address` of the code. */
  access(name: Instr, bytes: number, offset: number, address: number, ...lane: readonly number[]): void {
    this.op(name, Math.log2(bytes))
    this.code.push({ is: 'offset', value: offset, address }, ...lane)
  }

  i32(value: number): void {
    this.code.push({ is: 'i32', value: value | 0 })
  }

  i64(value: bigint): void {
    this.code.push(0x42, ...made((out) => signed(out, BigInt.asIntN(64, value))))
  }

  f32(value: number): void {
    this.code.push(0x43, ...littleEndian(4, (view) => view.setFloat32(0, value, true)))
  }

  f64(value: number): void {
    this.code.push(0x44, ...littleEndian(8, (view) => view.setFloat64(0, value, true)))
  }

  /** `bytes` are the vector's 16 bytes, lane 0 first. */
  v128(bytes: readonly number[]): void {
    this.code.push(0xfd, 12, ...bytes)
  }

  get(local: number): void {
    this.onLocal('local.get', local)
  }

  set(local: number): void {
    this.onLocal('local.set', local)
  }

  tee(local: number): void {
    this.onLocal('local.tee', local)
  }

  private onLocal(name: Instr, index: number): void {
    this.op(name)
    this.code.push({ is: 'local', index })
  }

  /** Calls a function that is added to the module. */
  call(func: Func): void {
    this.op('call')
    this.code.push({ is: 'call', func })
  }

  /** A local of this type, for the caller alone until `release`. Its content is whatever was there. */
  local(type: ValType): number {
    return this.idle[type].pop() ?? this.params.length + this.locals.push(type) - 1
  }

  release(...locals: readonly number[]): void {
    for (const l of locals) this.idle[this.locals[l - this.params.length]].push(l)
  }

  func(name: string, results: readonly ValType[] = []): Func {
    return { name, params: this.params, results, locals: this.locals, code: this.code }
  }
}

/** Code as bytes; functions that it calls stand at `indexOf`. */
function encode(code: readonly Part[], indexOf: ReadonlyMap<Func, number>): number[] {
  const out: number[] = []
  for (const part of code)
    if (typeof part === 'number') out.push(part)
    else if (part.is === 'local') unsigned(out, part.index)
    else if (part.is === 'offset') unsigned(out, part.value)
    else if (part.is === 'call') unsigned(out, indexOf.get(part.func)!)
    else {
      out.push(0x41)
      signed(out, BigInt(part.value))
    }
  return out
}

function made(fill: (out: number[]) => void): number[] {
  const out: number[] = []
  fill(out)
  return out
}

export function littleEndian(bytes: number, fill: (view: DataView) => void): number[] {
  const buffer = new ArrayBuffer(bytes)
  fill(new DataView(buffer))
  return [...new Uint8Array(buffer)]
}

export interface Func {
  /** The name that disassemblers and profilers show; none where it is empty. */
  readonly name: string
  readonly params: readonly ValType[]
  readonly results: readonly ValType[]
  readonly locals: readonly ValType[]
  /** Instructions, without the closing `end`. */
  readonly code: readonly Part[]
}

export interface Module {
  readonly funcs: readonly Func[]
  /** Sizes in pages of 64 KiB. Imported where `from` gives a module and a name. What is `shared` has a `max`. */
  readonly memory?: {
    readonly min: number
    readonly max?: number
    readonly from?: readonly [string, string]
    readonly shared?: true
  }
  /** Constants of 32 bits. */
  readonly globals?: readonly number[]
  readonly exports: readonly {
    readonly name: string
    readonly kind: keyof typeof EXPORT_KIND
    readonly index: number
  }[]
  /** Bytes that are in memory from the start, or, without `offset`, for `memory.init`. */
  readonly data?: readonly { readonly offset?: number; readonly bytes: Uint8Array }[]
}

const EXPORT_KIND = { func: 0, memory: 2, global: 3 }

function text(out: number[], s: string): void {
  const bytes = new TextEncoder().encode(s)
  unsigned(out, bytes.length)
  out.push(...bytes)
}

function vector<T>(out: number[], items: readonly T[], each: (item: T, index: number) => void): void {
  unsigned(out, items.length)
  items.forEach(each)
}

/** Equal neighbours counted: how the binary format declares locals. */
function runs(types: readonly ValType[]): [number, ValType][] {
  const out: [number, ValType][] = []
  for (const t of types) {
    const last = out.at(-1)
    if (last?.[1] === t) last[0]++
    else out.push([1, t])
  }
  return out
}

function concat(parts: readonly (readonly number[] | Uint8Array)[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0))
  let at = 0
  for (const p of parts) {
    out.set(p, at)
    at += p.length
  }
  return out
}

/** The functions and those that they call. */
function withCalled(funcs: readonly Func[]): Func[] {
  const all = new Set(funcs)
  for (const f of all) for (const part of f.code) if (typeof part !== 'number' && part.is === 'call') all.add(part.func)
  return [...all]
}

/** The module's bytes. */
export function encodeModule(m: Module): Uint8Array {
  const funcs = withCalled(m.funcs)
  const indexOf = new Map(funcs.map((f, i) => [f, i]))
  const { memory } = m
  const parts: (readonly number[] | Uint8Array)[] = [[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]]
  const section = (id: number, ...body: readonly (readonly number[] | Uint8Array)[]): void => {
    const head = [id]
    unsigned(
      head,
      body.reduce((n, b) => n + b.length, 0),
    )
    parts.push(head, ...body)
  }
  const signature = (f: Func): string => `${f.params}>${f.results}`
  const signatures = [...new Map(funcs.map((f) => [signature(f), f])).values()]
  const keys = signatures.map(signature)
  section(
    1,
    made((out) =>
      vector(out, signatures, (f) => {
        out.push(0x60)
        vector(out, f.params, (t) => out.push(VAL_TYPE[t]))
        vector(out, f.results, (t) => out.push(VAL_TYPE[t]))
      }),
    ),
  )
  const limits = made((out) => {
    if (!memory) return
    out.push((memory.max === undefined ? 0 : 1) + (memory.shared ? 2 : 0))
    unsigned(out, memory.min)
    if (memory.max !== undefined) unsigned(out, memory.max)
  })
  if (memory?.from) {
    const [from, name] = memory.from
    section(
      2,
      made((out) => {
        out.push(1)
        text(out, from)
        text(out, name)
        out.push(0x02, ...limits)
      }),
    )
  }
  section(
    3,
    made((out) => vector(out, funcs, (f) => unsigned(out, keys.indexOf(signature(f))))),
  )
  if (memory && !memory.from) section(5, [1, ...limits])
  if (m.globals)
    section(
      6,
      made((out) =>
        vector(out, m.globals!, (value) => {
          out.push(VAL_TYPE.i32, 0x00, 0x41)
          signed(out, BigInt(value | 0))
          out.push(0x0b)
        }),
      ),
    )
  section(
    7,
    made((out) =>
      vector(out, m.exports, (e) => {
        text(out, e.name)
        out.push(EXPORT_KIND[e.kind])
        unsigned(out, e.index)
      }),
    ),
  )
  const bodies = funcs.map((f) => {
    const locals = made((out) =>
      vector(out, runs(f.locals), ([n, type]) => {
        unsigned(out, n)
        out.push(VAL_TYPE[type])
      }),
    )
    const code = encode(f.code, indexOf)
    const size = made((out) => unsigned(out, locals.length + code.length + 1))
    return concat([size, locals, code, [0x0b]])
  })
  const passive = m.data?.some((d) => d.offset === undefined)
  if (passive)
    section(
      12,
      made((out) => unsigned(out, m.data!.length)),
    )
  section(10, concat([made((out) => unsigned(out, bodies.length)), ...bodies]))
  const data = (m.data ?? []).map(({ offset, bytes }) =>
    concat([
      made((out) => {
        if (offset === undefined) out.push(0x01)
        else {
          out.push(0x00, 0x41)
          signed(out, BigInt(offset | 0))
          out.push(0x0b)
        }
        unsigned(out, bytes.length)
      }),
      bytes,
    ]),
  )
  if (data.length > 0) section(11, concat([made((out) => unsigned(out, data.length)), ...data]))
  const named = [...funcs.entries()].filter(([, f]) => f.name !== '')
  const names = made((out) =>
    vector(out, named, ([i, f]) => {
      unsigned(out, i)
      text(out, f.name)
    }),
  )
  const head = made((out) => {
    text(out, 'name')
    out.push(1)
    unsigned(out, names.length)
  })
  if (named.length > 0) section(0, head, names)
  return concat(parts)
}
