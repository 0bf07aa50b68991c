// Sets of inputs: a folder (of files, or of one folder per class), a table of files and their truth (CSV), or a packed set
// (JSON with its PNG strips or its elements). Files are read only when their turn comes.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { InputError } from '../errors.ts'
import { readPackedSet } from './packed.ts'
import type { Source } from './samples.ts'

export interface Sample {
  readonly name: string
  readonly source: Source
  /** A class by name or index, or a number, as text. Absent where it is not known. */
  readonly truth?: string
}

export interface SampleSet {
  readonly samples: readonly Sample[]
  /** Names of the classes, where the set tells them. */
  readonly classes?: readonly string[]
  /** Whether `classes` is the file's own order, or only the alphabet's. */
  readonly ordered: boolean
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

/** The files and folders in a folder but for dot files, by name. Pipes and devices, whose end may never come, are none. */
function entriesOf(folder: string): { name: string; path: string; isFolder: boolean }[] {
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch (e) {
    throw new InputError(folder, `cannot be read (${e instanceof Error ? e.message : e})`)
  }
  return names
    .filter((name) => !name.startsWith('.'))
    .sort()
    .flatMap((name) => {
      const path = join(folder, name)
      const is = statSync(path, { throwIfNoEntry: false })
      return !is || is.isFile() || is.isDirectory() ? [{ name, path, isFolder: is?.isDirectory() === true }] : []
    })
}

/** The description of a packed set at `path`, `.json` perhaps left out; undefined for other files, JSON inputs among them. */
function packedAt(path: string): string | undefined {
  const json = path.endsWith('.json') ? path : existsSync(path) ? undefined : `${path}.json`
  if (json === undefined || !existsSync(json) || isFolder(json)) return undefined
  try {
    return /^\s*\{/.test(readFileSync(json, 'latin1').slice(0, 64)) ? json : undefined
  } catch {
    return undefined // whoever reads it as an input says why it cannot be read
  }
}

/** Each name once, in the order of the alphabet. */
const sorted = (names: readonly string[]) => [...new Set(names)].sort()

function folderSet(folder: string): SampleSet {
  const entries = entriesOf(folder)
  const classes = entries.filter((e) => e.isFolder)
  if (classes.length === 0) {
    if (entries.length === 0) throw new InputError(folder, 'holds no files')
    return { samples: entries.map(({ path }) => ({ name: path, source: path })), ordered: false }
  }
  const samples = classes.flatMap((c) =>
    entriesOf(c.path)
      .filter((e) => !e.isFolder)
      .map(({ name, path }) => ({ name: `${c.name}/${name}`, source: path, truth: c.name })),
  )
  if (samples.length === 0)
    throw new InputError(folder, `has ${classes.length} folders, none of them with files`, 'a folder for each class')
  return { samples, classes: sorted(classes.map((c) => c.name)), ordered: false }
}

/** The cells of a line of CSV; a cell in double quotes may hold commas and doubled quotes. */
function cellsOf(line: string): string[] {
  const cells = line.match(/(?<=^|,)(?:\s*"(?:[^"]|"")*"\s*|[^",]*)(?=,|$)/g) ?? []
  return cells.map((cell) => cell.trim().replace(/^"([\s\S]*)"$/, (_, inner) => inner.replaceAll('""', '"')))
}

/**
 * The files that a CSV file lists, one a line: its path in `folder` (default: the CSV's own) first, its truth last. A first
 * line that ends in `label`, `class` or `truth` is a heading. Throws InputError with the line's number.
 */
export function tableSet(path: string, folder = dirname(path)): SampleSet {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (e) {
    throw new InputError(path, `cannot be read (${e instanceof Error ? e.message : e})`)
  }
  const samples = text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .flatMap((line, i): Sample[] => {
      if (line.trim() === '') return []
      const cells = cellsOf(line)
      const [name, truth] = [cells[0], cells.at(-1)]
      if (i === 0 && /^(label|class|truth)$/i.test(truth ?? '')) return []
      if (cells.length < 2 || !name || !truth)
        throw new InputError(path, `line ${i + 1} is "${line.slice(0, 60)}", expected a file and its label`)
      return [{ name, source: join(folder, name), truth }]
    })
  if (samples.length === 0) throw new InputError(path, 'lists no files', 'one line for each: picture.png,label')
  return { samples, classes: sorted(samples.map((s) => s.truth!)), ordered: false }
}

/**
 * The inputs that paths on a command line stand for, where one of them is a folder or a packed set or a table tells the
 * truth; undefined where they are plain files. Throws InputError.
 */
export function readSet(paths: readonly string[], truth?: string): SampleSet | undefined {
  const [path] = paths
  if (truth !== undefined) {
    if (paths.length > 1 || (path !== undefined && !isFolder(path)))
      throw new InputError('--truth', `lists the inputs, ${paths.length} were given as well`, 'give only their folder')
    return tableSet(truth, path)
  }
  const sets = paths.filter((p) => isFolder(p) || packedAt(p) !== undefined)
  if (sets.length === 0) return undefined
  if (paths.length > 1) throw new InputError(sets[0], `is a set of inputs, ${paths.length - 1} more inputs were given`)
  if (isFolder(path)) return folderSet(path)
  const { classes, labels, sources } = readPackedSet(packedAt(path)!)
  if (sources.length === 0) throw new InputError(path, 'is a packed set of nothing')
  return {
    samples: sources.map((source, i) => ({ name: `${basename(path)}[${i}]`, source, truth: classes[labels[i]] })),
    classes,
    ordered: true,
  }
}
