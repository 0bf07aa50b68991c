// Where the shared models and goldens are, if they are here: `MOTE_SHARED`, or `../shared` beside the checkout.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, test } from 'vitest'
import { readModel } from '../../src/import/read.ts'
import type { Graph } from '../../src/ir/graph.ts'

const ROOT = process.env.MOTE_SHARED ?? fileURLToPath(new URL('../../../shared', import.meta.url))

/** `describe`; where the folder is missing, one skipped test whose name says why. */
export function describeShared(name: string, body: () => void): void {
  if (existsSync(join(ROOT, 'golden'))) describe(name, body)
  else describe(name, () => test.skip(`needs the shared models: ${ROOT} is missing`, () => {}))
}

export function sharedPath(path: string): string {
  return join(ROOT, path)
}

export function sharedBytes(path: string): Uint8Array {
  return new Uint8Array(readFileSync(sharedPath(path)))
}

export function sharedJson(path: string) {
  return JSON.parse(readFileSync(sharedPath(path), 'utf8'))
}

export function sharedModel(path: string): Graph {
  return readModel(sharedBytes(path))
}

/** The names in a folder, sorted; none where the folder is missing. */
export function sharedNames(path: string): string[] {
  return existsSync(sharedPath(path)) ? readdirSync(sharedPath(path)).sort() : []
}
