// A WebAssembly program with threads, run as its readers run it: by the files that `mote compile` writes.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { webFiles } from '../emit/js/files.ts'
import { compile, type Program } from '../emit/program.ts'
import type { Graph } from '../ir/graph.ts'
import type { Data } from '../loops/ir.ts'
import type { PlanChoice } from './plan.ts'

interface Loaded {
  run(inputs: Readonly<Record<string, Data>>): Readonly<Record<string, Data>>
}

interface Loader {
  readonly inputs: Readonly<Record<string, unknown>>
  load(how: { readonly threads: number }): Promise<Loaded>
}

export interface Threaded {
  readonly program: Program
  /** How many share a run: no more than the program's layers have use for. */
  readonly threads: number
  run(inputs: readonly Data[]): Data[]
}

/** The graph as a program whose runs up to `most` threads share. */
export async function openThreads(graph: Graph, most: number, how: PlanChoice): Promise<Threaded> {
  const program = compile(graph, { target: 'wasm', ...how, threads: most })
  const threads = program.plan.threads?.most ?? 1
  const folder = mkdtempSync(join(tmpdir(), 'mote-'))
  try {
    const files = [{ name: 'package.json', data: '{"type":"module"}' }, ...webFiles(program)]
    for (const { name, data } of files) writeFileSync(join(folder, name), data)
    const { inputs, load }: Loader = await import(
      /* @vite-ignore */ pathToFileURL(join(folder, `${program.name}.js`)).href
    )
    const model = await load({ threads })
    const keys = Object.keys(inputs)
    return {
      program,
      threads,
      run: (given) => Object.values(model.run(Object.fromEntries(given.map((data, i) => [keys[i], data])))),
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
