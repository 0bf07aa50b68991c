// The files that are damaged: one for each operator and dtype that the exporter can write, small .onnx files of our own,
// and where the shared models are, those that are small.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ModelError } from '../../src/errors.ts'
import { writeTflite } from '../../src/export/tflite.ts'
import type { OpCase } from '../../src/ops/case.ts'
import { OPS } from '../../src/ops/index.ts'
import { sharedPath } from '../shared/shared.ts'
import { onnxNets } from './onnx_nets.ts'

export interface Seed {
  readonly name: string
  readonly bytes: Uint8Array
}

const LARGEST = 60_000

const modules = import.meta.glob<{ cases: readonly OpCase[] }>('../../src/ops/*/cases.ts', { eager: true })

/** The smallest file of each sequence of operators and dtypes. */
export function tfliteSeeds(): Seed[] {
  const byKind = new Map<string, Seed>()
  for (const c of Object.values(modules).flatMap((m) => m.cases)) {
    const graph = c.graph()
    if (!graph.nodes.every((n) => OPS.has(n.op.name))) continue
    const attrs = graph.nodes.map((n) => Object.values(n.attrs).filter((a) => typeof a === 'string'))
    const kind = [graph.nodes.map((n) => n.op.name), graph.inputs.map((v) => v.type.dtype), attrs].join()
    try {
      const bytes = writeTflite(graph)
      if (bytes.length < (byKind.get(kind)?.bytes.length ?? 8192)) byKind.set(kind, { name: c.name, bytes })
    } catch (e) {
      if (!(e instanceof ModelError)) throw e
    }
  }
  return [...byKind.values()]
}

export function onnxSeeds(): Seed[] {
  return onnxNets()
}

/** Shared files with this ending, none larger than 60 KB; one ONNX conformance case for each operator and opset. */
export function sharedSeeds(ending: '.tflite' | '.onnx'): Seed[] {
  const out: Seed[] = []
  const walk = (folder: string) => {
    if (!existsSync(sharedPath(folder))) return
    for (const name of readdirSync(sharedPath(folder)).sort()) {
      const path = join(folder, name)
      const stat = statSync(sharedPath(path))
      if (stat.isDirectory()) walk(path)
      else if (name.endsWith(ending) && stat.size <= LARGEST)
        out.push({ name: path, bytes: new Uint8Array(readFileSync(sharedPath(path))) })
    }
  }
  for (const folder of ['models', 'conformance']) walk(folder)
  return out
}
