// Runs command lines in this process, as the program does, and keeps what they print.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { mote } from '../../src/cli/mote.ts'
import { saveGraph } from '../../src/ir/file.ts'
import type { Graph } from '../../src/ir/graph.ts'

export interface Answer {
  readonly code: number
  readonly out: string
  readonly err: string
}

export async function typed(...argv: string[]): Promise<Answer> {
  let [out, err] = ['', '']
  const code = await mote(argv, {
    out: (text) => (out += `${text}\n`),
    err: (text) => (err += `${text}\n`),
    progress: () => {},
    debug: false,
  })
  return { code, out, err }
}

/** The JSON answer of a command line that must succeed. */
export async function answered(...argv: string[]) {
  const { code, out, err } = await typed(...argv, '--json')
  if (code !== 0) throw new Error(`mote ${argv.join(' ')} failed: ${err}`)
  return JSON.parse(out)
}

const folders: string[] = []

/** A folder that is removed after the test file. */
export function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'mote-cli-'))
  folders.push(dir)
  return dir
}

afterAll(() => {
  for (const dir of folders) rmSync(dir, { recursive: true, force: true })
})

/** Saves a graph as a model file and returns its path. */
export function saved(dir: string, graph: Graph): string {
  const path = join(dir, `${graph.name}.mote`)
  writeFileSync(path, saveGraph(graph))
  return path
}
