// The program as a process: what signals, pipes, disks and terminals do to it.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, win32 } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { beforeAll, expect, test } from 'vitest'
import { pathWithin } from '../../src/cli/model.ts'
import { hostCompiler } from '../../src/run/host_c.ts'
import { separable } from '../support/nets.ts'
import { folder, saved } from './console.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const made = folder()
const program = join(made, 'dist', 'cli', 'main.js')
const dir = folder()
const model = saved(dir, separable())

beforeAll(async () => {
  writeFileSync(join(made, 'package.json'), readFileSync(join(root, 'package.json')))
  await build({
    ...{ configFile: false, root, logLevel: 'error', ssr: { noExternal: true } },
    build: { ssr: 'src/cli/main.ts', outDir: join(made, 'dist', 'cli'), emptyOutDir: true, minify: false },
  })
}, 60_000)

type Env = Readonly<Record<string, string>>

function mote(args: readonly string[], env: Env = {}) {
  const r = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', env: { ...process.env, ...env } })
  return { code: r.status, out: r.stdout, err: r.stderr }
}

/** A line for the shell; `$MOTE` starts the program, `$MODEL` is the model. */
function shell(line: string, env: Env = {}) {
  const MOTE = `${process.execPath} ${program}`
  const r = spawnSync('bash', ['-c', line], {
    encoding: 'utf8',
    env: { ...process.env, MOTE, MODEL: model, ...env },
  })
  return { code: r.status, out: r.stdout, err: r.stderr }
}

const ended = (child: ChildProcess) =>
  new Promise<number | string | null>((resolve) => child.on('exit', (code, signal) => resolve(code ?? signal)))

/** Waits until `holds`, for at most ten seconds. */
async function until(holds: () => boolean): Promise<void> {
  const stop = performance.now() + 10_000
  while (!holds()) {
    if (performance.now() > stop) throw new Error('waited in vain')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Starts a line as a group of processes, as a terminal does, and sends Ctrl-C to all of it once `holds`. */
async function interruptedWhen(
  holds: () => boolean,
  args: readonly string[],
  temporary: string,
  environment: Readonly<Record<string, string>> = {},
) {
  const child = spawn(process.execPath, [program, ...args], {
    detached: true,
    stdio: 'ignore',
    env: { ...process.env, TMPDIR: temporary, ...environment },
  })
  const end = ended(child)
  await until(holds)
  process.kill(-child.pid!, 'SIGINT')
  return end
}

const POSIX = process.platform !== 'win32'

test.runIf(POSIX && hostCompiler() !== undefined)(
  'Ctrl-C while a C compiler runs ends with 130 and leaves no temporary folder (needs a C compiler)',
  async () => {
    const temporary = folder()
    // a compiler that is still at work when the signal comes, however fast the machine is
    const slow = `${folder()}/slow-cc`
    writeFileSync(slow, '#!/bin/sh\n[ "$1" = --version ] && exit 0\nexec sleep 20\n', { mode: 0o755 })
    const busy = () => readdirSync(temporary).some((name) => name.startsWith('mote-'))
    const args = ['run', model, '--seed', '1', '--on', 'host-c']
    expect(await interruptedWhen(busy, args, temporary, { CC: slow })).toBe(130)
    expect(readdirSync(temporary)).toEqual([])
  },
)

test.runIf(POSIX)('Ctrl-C while a long benchmark runs ends it at once, its page unwritten', async () => {
  const place = folder()
  const from = performance.now()
  const soon = () => performance.now() > from + 700
  const line = ['bench', model, '--runs', '1000000', '--html', join(place, 'page.html')]
  const end = await interruptedWhen(soon, line, place)
  expect(['SIGINT', 130]).toContain(end)
  expect(performance.now() - from).toBeLessThan(8000)
  expect(readdirSync(place)).toEqual([])
})

test.runIf(POSIX)('a reader that has seen enough is no error', () => {
  const { code, err } = shell('set -o pipefail; $MOTE bench "$MODEL" --runs 1 --json | true')
  expect([code, err]).toEqual([0, ''])
})

test.runIf(existsSync('/dev/full'))('a full disk behind > is one error (needs /dev/full)', () => {
  const { code, err } = shell('$MOTE inspect "$MODEL" > /dev/full')
  expect(err).toBe('standard output: cannot be written (ENOSPC)\n  hint: is the disk full?\n')
  expect(code).toBe(1)
})

test.runIf(POSIX)('a file that cannot be written whole is named, and no part of it stays', () => {
  const place = join(dir, 'limited')
  mkdirSync(place)
  const { code, err } = shell('ulimit -f 1; $MOTE compile "$MODEL" -o "$PLACE"', { PLACE: place })
  expect(err).toMatch(/limited\/separable\.wasm: would be larger than a file may be here\n {2}hint: .+\n$/)
  expect(code).toBe(1)
  expect(readdirSync(place)).toEqual([])
})

const SCRIPT = spawnSync('script', ['--version']).error === undefined

test('without a terminal the answer is plain, whatever the environment', () => {
  const plain = mote(['inspect', model])
  expect([plain.code, plain.err]).toEqual([0, ''])
  expect(plain.out).toMatch(/^[\n -~]*$/)
  const environments: readonly Env[] = [{ TERM: 'dumb' }, { COLUMNS: '40' }, { NO_COLOR: '1' }, { FORCE_COLOR: '1' }]
  for (const env of environments) expect(mote(['inspect', model], env)).toEqual(plain)
})

test.runIf(SCRIPT)('on a terminal NO_COLOR and TERM=dumb are heeded, 40 columns do no harm (needs script)', () => {
  const on = (env: Env) =>
    shell('script -qec "stty cols 40; $MOTE inspect $MODEL" /dev/null < /dev/null', {
      TERM: 'xterm',
      LANG: 'C.UTF-8',
      ...env,
    })
  const codes = '\x1b['
  expect(on({}).out).toContain(codes)
  for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }] as readonly Env[]) {
    const { code, out } = on(env)
    expect(code).toBe(0)
    expect(out).not.toContain(codes)
  }
})

test('names that are not ASCII and names with spaces go in and out', () => {
  const place = join(dir, 'größe 数 it\'s "here"')
  mkdirSync(place)
  const there = join(place, 'modèle – 模型.mote')
  writeFileSync(there, readFileSync(model))
  const { code, out, err } = mote(['compile', there, '-o', join(place, 'aus'), '--name', 'net', '--json'])
  expect([code, err]).toEqual([0, ''])
  for (const file of JSON.parse(out).files) expect(existsSync(file)).toBe(true)
  expect(readdirSync(place).sort()).toEqual(['aus', 'modèle – 模型.mote'].sort())
  rmSync(place, { recursive: true })
})

test('weights beside a model are found by rules that hold for drive letters and backslashes', () => {
  const within = (file: string) => pathWithin('C:\\models', file, win32)
  expect(within('weights.bin')).toBe('C:\\models\\weights.bin')
  expect(within('..data/w.bin')).toBe('C:\\models\\..data\\w.bin')
  for (const file of ['..\\w.bin', '../w.bin', 'D:\\w.bin', 'C:\\w.bin', '\\\\host\\share\\w.bin'])
    expect(within(file), file).toBe(undefined)
})
