import { describe, expect, test } from 'vitest'
import wabt from 'wabt'
import { encodeModule, FuncBody, type Module, NO_RESULT } from '../../src/emit/wasm/encoder.ts'
import { INSTRS, type Instr } from '../../src/emit/wasm/opcodes.ts'

const oracle = await wabt()

function textOf(bytes: Uint8Array): string {
  const module = oracle.readWasm(bytes, { readDebugNames: true, simd: true })
  module.validate()
  module.applyNames()
  const text = module.toText({ foldExprs: false, inlineExport: false })
  module.destroy()
  return text
}

function only(f: FuncBody, results: readonly 'i32'[] = [], more: Partial<Module> = {}): Uint8Array {
  return encodeModule({
    funcs: [f.func('f', results)],
    memory: { min: 1 },
    exports: [{ name: 'f', kind: 'func', index: 0 }],
    ...more,
  })
}

function call(bytes: Uint8Array, ...args: number[]): unknown {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource))
  return (exports.f as (...args: number[]) => unknown)(...args)
}

function immediates(name: Instr): number[] {
  if (name === 'memory.copy' || name === 'memory.init') return [0, 0]
  if (name.includes('atomic')) return [2, 0]
  if (name === 'i8x16.shuffle') return Array(16).fill(0)
  if (/(load|store).*_lane$/.test(name)) return [0, 0, 0]
  if (/load|store/.test(name)) return [0, 0]
  return name.includes('_lane') ? [0] : []
}

describe('wasm encoder', () => {
  test('signed constants of every length come back as they were', () => {
    for (const n of [0, 1, -1, 63, 64, -64, -65, 8191, 8192, -8192, -8193, 2 ** 31 - 1, -(2 ** 31)]) {
      const f = new FuncBody([])
      f.i32(n)
      expect(call(only(f, ['i32']))).toBe(n)
    }
    for (const n of [0n, -1n, 1n << 31n, -(1n << 31n), (1n << 63n) - 1n, -(1n << 63n)]) {
      const f = new FuncBody([])
      f.i64(n)
      f.op('drop')
      expect(textOf(only(f))).toContain(`i64.const ${n}`)
    }
  })

  test('instructions read back under their own names', () => {
    const f = new FuncBody(['i32'])
    const v = f.local('v128')
    f.get(0)
    f.get(0)
    f.op('v128.load8x8_s', 0, 300)
    f.tee(v)
    f.get(v)
    f.op('i32x4.dot_i16x8_s')
    f.v128([1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 255, 255, 255, 255])
    f.op('i8x16.shuffle', 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23)
    f.op('v128.store32_lane', 0, 70000, 3)
    const text = textOf(only(f))
    for (const line of [
      'v128.load8x8_s offset=300 align=1',
      'i32x4.dot_i16x8_s',
      'v128.const i32x4 0x00000001 0x00000002 0x00000003 0xffffffff',
      'i8x16.shuffle 0 1 2 3 16 17 18 19 4 5 6 7 20 21 22 23',
      'v128.store32_lane offset=70000 align=1 3',
    ])
      expect(text).toContain(line)
  })

  test('every instruction is the one that the reference tool calls by that name', () => {
    const control = [
      'block',
      'loop',
      'if',
      'else',
      'end',
      'br',
      'br_if',
      'br_table',
      'return',
      'call',
      'select',
      'drop',
    ]
    const names = INSTRS.filter((name) => !control.includes(name) && !name.startsWith('local.'))
    const f = new FuncBody([])
    for (const name of names) f.op(name, ...immediates(name))
    const passive = { data: [{ bytes: Uint8Array.of(1) }] }
    const module = oracle.readWasm(only(f, [], passive), { simd: true, relaxed_simd: true, threads: true })
    const lines = module.toText({ foldExprs: false, inlineExport: false }).split('\n')
    module.destroy()
    const read = lines.map((line) => line.trim().split(/[ )]/)[0]).filter((word) => /^(i|f|v)\d+|^memory/.test(word))
    expect(names.length).toBeGreaterThan(100)
    expect(read).toEqual(names)
  })

  test('memory may be shared, and data wait for memory.init', () => {
    const f = new FuncBody([])
    for (const n of [5, 1, 2]) f.i32(n)
    f.op('memory.init', 0, 0)
    const bytes = only(f, [], {
      memory: { min: 1, max: 3, from: ['env', 'memory'], shared: true },
      data: [{ bytes: Uint8Array.of(7, 8, 9) }],
    })
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true })
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), { env: { memory } })
    const start = () => Array.from(new Uint8Array(memory.buffer, 4, 4))
    expect(start()).toEqual([0, 0, 0, 0])
    ;(exports.f as () => void)()
    expect(start()).toEqual([0, 8, 9, 0])
  })

  test('functions, locals, imports and data have the names and sizes that were asked for', () => {
    const f = new FuncBody(['i32', 'i32'])
    const [a, b, c] = [f.local('i32'), f.local('i32'), f.local('v128')]
    f.release(b)
    expect([a, b, c, f.local('i32')]).toEqual([2, 3, 4, 3])
    const bytes = only(f, [], {
      memory: { min: 2, max: 3, from: ['env', 'memory'] },
      data: [{ offset: 200, bytes: Uint8Array.of(7, 8, 9) }],
    })
    const text = textOf(bytes)
    expect(text).toContain('(import "env" "memory" (memory')
    expect(text).toMatch(/\(memory \(;0;\) 2 3\)/)
    expect(text).toContain('(func $f (type 0) (param i32 i32)')
    expect(text).toMatch(/\(local i32 i32 v128\)/)
    expect(text).toMatch(/\(i32.const 200\) "\\07\\08\\09"/)
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 3 })
    new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), { env: { memory } })
    expect([...new Uint8Array(memory.buffer, 200, 3)]).toEqual([7, 8, 9])
  })

  test('functions of one signature share a type', () => {
    const make = () => new FuncBody(['i32']).func('g')
    const bytes = encodeModule({ funcs: [make(), make(), new FuncBody([]).func('h')], memory: { min: 0 }, exports: [] })
    expect(textOf(bytes).match(/\(type \(;/g)).toHaveLength(2)
  })

  test('a counted loop counts', () => {
    const f = new FuncBody(['i32'])
    const n = f.local('i32')
    f.op('loop', NO_RESULT)
    f.get(n)
    f.i32(3)
    f.op('i32.add')
    f.set(n)
    f.get(0)
    f.i32(-1)
    f.op('i32.add')
    f.tee(0)
    f.op('br_if', 0)
    f.op('end')
    f.get(n)
    expect(call(only(f, ['i32']), 100)).toBe(300)
  })
})
