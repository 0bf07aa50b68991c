// Runs programs of the machine at hand (compilers, emulators) in directories of their own.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ToolError } from '../errors.ts'

/** A file of a program that is built in a directory of its own. */
export interface SourceFile {
  readonly name: string
  readonly text: string | Uint8Array
}

const interrupted = (): never => process.exit(130)

/** Calls `f`, which is synchronous, with a fresh directory that holds `files`; it is removed afterwards, and on Ctrl-C. */
export function inDirectory<T>(files: readonly SourceFile[], f: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'mote-'))
  const remove = () => rmSync(directory, { recursive: true, force: true })
  process.once('exit', remove)
  process.off('SIGINT', interrupted)
  process.on('SIGINT', interrupted)
  try {
    for (const { name, text } of files) writeFileSync(join(directory, name), text)
    return f(directory)
  } finally {
    remove()
    process.off('exit', remove)
    // A signal that came meanwhile is delivered when the event loop next polls, which is between two immediates.
    setImmediate(() => setImmediate(() => process.off('SIGINT', interrupted)))
  }
}

/** Whether a program can be started. */
export function isInstalled(program: string): boolean {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined
}

export interface Invocation {
  readonly input?: Uint8Array
  readonly directory?: string
  readonly timeoutSeconds?: number
  /** What to do where the program is missing. */
  readonly hint?: string
}

/** Runs a program to its end and returns what it wrote. Throws ToolError where it is missing, fails or takes too long. */
export function runTool(program: string, args: readonly string[], how: Invocation = {}): Uint8Array {
  const { input, directory, timeoutSeconds, hint } = how
  const r = spawnSync(program, [...args], {
    cwd: directory,
    input: input ?? new Uint8Array(),
    maxBuffer: 2 ** 31 - 1,
    ...(timeoutSeconds && { timeout: timeoutSeconds * 1000 }),
  })
  if (r.signal === 'SIGINT') interrupted()
  const error = r.error as NodeJS.ErrnoException | undefined
  if (error?.code === 'ENOENT') throw new ToolError(program, 'is not installed', hint)
  if (error?.code === 'ETIMEDOUT') throw new ToolError(program, `did not end within ${timeoutSeconds} s`)
  if (error) throw new ToolError(program, error.message)
  if (r.status !== 0) {
    const said = `${r.stderr}`.trim() || `${r.stdout}`.trim()
    const how = r.signal ? `was ended by ${r.signal}` : `failed with code ${r.status}`
    throw new ToolError(program, `${how}\n${said.split('\n').slice(0, 20).join('\n')}`)
  }
  return r.stdout
}
