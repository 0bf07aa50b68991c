// Files of the command line. Reading names what is wrong with a path. Writing loses nothing: every file is complete under
// a temporary name before any is renamed, and a file that a compile did not write, or that was edited since, is left
// alone. `mote.json` beside the files remembers the hash of each.

import { rmSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { OutputFile } from '../emit/program.ts'
import { InputError } from '../errors.ts'
import { fingerprint } from '../ir/hash.ts'

const MANIFEST = 'mote.json'

const ELSEWHERE = 'choose another place'
const ALLOW = 'ask for permission, or choose another place'

const REASONS: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  ENOENT: ['no such file', 'check the spelling and the folder'],
  EISDIR: ['is a folder, not a file', 'name a file'],
  EEXIST: ['is in the way: a file, not a folder', 'name a folder'],
  ENOTDIR: ['leads through a file, not a folder', ELSEWHERE],
  EACCES: ['permission denied', ALLOW],
  EPERM: ['permission denied', ALLOW],
  EROFS: ['is on a read-only disk', ELSEWHERE],
  ENOSPC: ['no space left on the disk', `make room, or ${ELSEWHERE}`],
  EDQUOT: ['no space left for this user', `make room, or ${ELSEWHERE}`],
  EFBIG: ['would be larger than a file may be here', ELSEWHERE],
  ENAMETOOLONG: ['is too long a name', 'choose a shorter one'],
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

function fault(path: string, error: unknown): never {
  const code = codeOf(error)
  if (code === undefined) throw error
  const [what, hint] = REASONS[code] ?? [code]
  throw new InputError(path, what, hint)
}

/** The bytes of a file, or InputError that names the path. */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path))
  } catch (error) {
    return fault(path, error)
  }
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return new Uint8Array(await readFile(path))
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? undefined : fault(path, error)
  }
}

/**
 * Writes each file under a temporary name beside its place and renames them once all are complete. A failure
 * (InputError) or Ctrl-C (exit code 130) before that leaves what was there, and no temporary file.
 */
export async function replaceFiles(
  files: readonly { readonly path: string; readonly data: string | Uint8Array }[],
): Promise<void> {
  const staged = files.map(({ path }) => join(dirname(path), `.${basename(path)}.${process.pid}.tmp`))
  const interrupted = () => {
    for (const temporary of staged) rmSync(temporary, { force: true })
    process.exit(130)
  }
  process.once('SIGINT', interrupted)
  let path = ''
  try {
    for (const [i, file] of files.entries()) {
      path = file.path
      await writeFile(staged[i], file.data)
    }
    for (const [i, file] of files.entries()) {
      path = file.path
      await rename(staged[i], path)
    }
  } catch (error) {
    await Promise.all(staged.map((temporary) => rm(temporary, { force: true }).catch(() => {})))
    if (codeOf(error) === 'ENOENT')
      throw new InputError(path, 'is to be in a folder that does not exist', 'make the folder first')
    fault(path, error)
  } finally {
    process.off('SIGINT', interrupted)
  }
}

/** Hashes by file name; undefined where the text is not a manifest of ours. */
function parseManifest(text: string): Record<string, string> | undefined {
  try {
    const { writtenBy, files } = JSON.parse(text)
    const ours = writtenBy === 'mote' && typeof files === 'object' && files !== null
    return ours && Object.values(files).every((hash) => typeof hash === 'string') ? files : undefined
  } catch {
    return undefined
  }
}

/** Writes `files` into `dir`, which is made where it is missing, and returns their paths. */
export async function writeOutput(dir: string, files: readonly OutputFile[], force: boolean): Promise<string[]> {
  await mkdir(dir, { recursive: true }).catch((error) => fault(dir, error))

  const manifestPath = join(dir, MANIFEST)
  const before = await readIfThere(manifestPath)
  const known = before ? parseManifest(new TextDecoder().decode(before)) : {}
  if (!known && !force)
    throw new InputError(manifestPath, 'exists and was not written by mote', 'choose another folder, or --force')
  for (const file of files) {
    const path = join(dir, file.name)
    const present = await readIfThere(path)
    if (!present || force) continue
    const hash = fingerprint(present)
    if (hash === fingerprint(file.data) || hash === known?.[file.name]) continue
    throw new InputError(
      path,
      known?.[file.name] ? 'was edited since mote wrote it' : 'exists and was not written by mote',
      'choose another folder or --name, or --force to overwrite it',
    )
  }

  const hashes = { ...known, ...Object.fromEntries(files.map((f) => [f.name, fingerprint(f.data)])) }
  const manifest = { writtenBy: 'mote', files: hashes }
  const all = [...files, { name: MANIFEST, data: `${JSON.stringify(manifest, null, 2)}\n` }]
  await replaceFiles(all.map((file) => ({ path: join(dir, file.name), data: file.data })))
  return files.map((f) => join(dir, f.name))
}

/** Writes a page to `path`; a file there that is no page of ours stays, unless forced. */
export async function writePage(path: string, page: string, force: boolean): Promise<void> {
  const present = force ? undefined : await readIfThere(path)
  if (present && !new TextDecoder().decode(present).includes('<meta name="generator" content="mote">'))
    throw new InputError(
      path,
      'exists and is no page that mote wrote',
      'choose another name, or --force to overwrite it',
    )
  await replaceFiles([{ path, data: page }])
}
