// Measurements that take long, in a JSON file: written after each, so that a run that was interrupted goes on where it was.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { InputError } from '../errors.ts'
import type { Notes } from '../train/contribution.ts'

interface Stored {
  readonly key: string
  readonly measured: Readonly<Record<string, number>>
}

function parsed(path: string): Stored | undefined {
  try {
    const { key, measured } = JSON.parse(readFileSync(path, 'utf8'))
    const numbers = typeof measured === 'object' && measured !== null && Object.values(measured).every(Number.isFinite)
    return typeof key === 'string' && numbers ? { key, measured } : undefined
  } catch {
    return undefined
  }
}

/** A file of measurements that were made under `key`. */
export class MeasuredFile implements Notes {
  private readonly path: string
  private readonly key: string
  private readonly all: Map<string, number>
  /** How many were there before. */
  readonly before: number

  /** Throws InputError where the file is another, or its measurements were made under another key; `anew` drops them. */
  constructor(path: string, key: string, anew: boolean) {
    const there = existsSync(path) && !anew
    const stored = there ? parsed(path) : undefined
    const hint = 'name another file with --measured, or --force to start anew'
    if (there && !stored) throw new InputError(path, 'exists and holds no measurements', hint)
    if (stored && stored.key !== key)
      throw new InputError(path, `was measured of ${stored.key}, model, examples and settings are now ${key}`, hint)
    this.path = path
    this.key = key
    this.all = new Map(Object.entries(stored?.measured ?? {}))
    this.before = this.all.size
  }

  get(name: string): number | undefined {
    return this.all.get(name)
  }

  set(name: string, value: number): void {
    if (this.all.get(name) === value) return
    this.all.set(name, value)
    const temporary = `${this.path}.tmp`
    try {
      writeFileSync(
        temporary,
        `${JSON.stringify({ key: this.key, measured: Object.fromEntries(this.all) }, undefined, 1)}\n`,
      )
      renameSync(temporary, this.path)
    } catch (error) {
      throw new InputError(this.path, `cannot be written (${error instanceof Error ? error.message : error})`)
    }
  }
}
