import { describe, expect, it } from 'vitest'
import { ModelError } from '../../src/errors.ts'
import { writeTflite } from '../../src/export/tflite.ts'
import { NOT_UNDERSTOOD } from '../../src/import/fault.ts'
import { readModel } from '../../src/import/read.ts'
import { readTflite } from '../../src/import/tflite.ts'
import { saveGraph } from '../../src/ir/file.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import type { OpCase } from '../../src/ops/case.ts'
import { OPS } from '../../src/ops/index.ts'

/** Set MOTE_FUZZ to a number of mutants for a longer run. */
const MUTANTS = Number(process.env.MOTE_FUZZ ?? 3000)

const modules = import.meta.glob<{ cases: readonly OpCase[] }>('../../src/ops/*/cases.ts', { eager: true })

/** One small file for each operator that can be written. */
function seeds(): Uint8Array[] {
  const byOp = new Map<string, Uint8Array>()
  for (const c of Object.values(modules).flatMap((m) => m.cases)) {
    const graph = c.graph()
    if (!graph.nodes.every((n) => OPS.has(n.op.name))) continue
    const key = graph.nodes.map((n) => n.op.name).join() + graph.inputs.map((v) => v.type.dtype).join()
    try {
      const bytes = writeTflite(graph)
      if (bytes.length < (byOp.get(key)?.length ?? 8192)) byOp.set(key, bytes)
    } catch (e) {
      if (!(e instanceof ModelError)) throw e
    }
  }
  return [...byOp.values()]
}

const EXTREMES = [0, 1, 2, 0x7f, 0x80, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0x3f800000]

function mutant(bytes: Uint8Array, random: Xorshift32): Uint8Array {
  const kind = random.between(0, 3)
  if (kind === 0) return bytes.slice(0, random.between(0, bytes.length - 1))
  const copy = bytes.slice()
  const view = new DataView(copy.buffer)
  for (let n = random.between(1, 3); n > 0; n--) {
    const at = random.between(0, bytes.length - 1)
    if (kind === 1) copy[at] ^= 1 << random.between(0, 7)
    else if (kind === 2) copy[at] = random.between(0, 255)
    else if (at < bytes.length - 3) view.setUint32(at & ~3, EXTREMES[random.between(0, EXTREMES.length - 1)], true)
  }
  return copy
}

/** Reads a damaged file; anything but a graph or a ModelError is a failure that names its mutant. */
function attempt(read: (bytes: Uint8Array) => unknown, bytes: Uint8Array, name: string): 'graph' | 'refused' {
  try {
    read(bytes)
    return 'graph'
  } catch (e) {
    if (e instanceof ModelError && e.hint !== NOT_UNDERSTOOD) return 'refused'
    throw new Error(`${name}: ${e instanceof Error ? e.stack : e}`)
  }
}

describe('a damaged file', () => {
  const files = seeds()
  const random = new Xorshift32(20250101)

  it('is a graph or a ModelError, quickly, whatever was changed in a .tflite file', () => {
    const count = { graph: 0, refused: 0 }
    const start = performance.now()
    for (let i = 0; i < MUTANTS; i++) {
      const k = i % files.length
      count[attempt(readTflite, mutant(files[k], random), `mutant ${i} of file ${k}`)]++
    }
    expect(performance.now() - start).toBeLessThan(10_000 * Math.max(1, MUTANTS / 3000))
    expect(count.graph).toBeGreaterThan(0)
    expect(count.refused).toBeGreaterThan(MUTANTS / 3)
  })

  it('is refused at every length to which a .tflite file may be cut, when its tables are cut', () => {
    const file = files.reduce((a, b) => (a.length < b.length ? a : b))
    for (let n = 0; n < file.length; n++) attempt(readTflite, file.subarray(0, n), `first ${n} bytes`)
    expect(attempt(readTflite, file.subarray(0, file.length >> 1), 'half')).toBe('refused')
  })

  it('is refused where a saved graph was changed', () => {
    const graphs = files.slice(0, 4).map((f) => saveGraph(readTflite(f)))
    for (let i = 0; i < 400; i++) attempt(readModel, mutant(graphs[i % graphs.length], random), `saved graph ${i}`)
  })
})
