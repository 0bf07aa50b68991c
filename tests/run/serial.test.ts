import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { emitC } from '../../src/emit/c/program.ts'
import { programId, serveC } from '../../src/emit/c/serve.ts'
import { compile } from '../../src/emit/program.ts'
import { readModel } from '../../src/import/read.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { fingerprint } from '../../src/ir/hash.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import type { Plan } from '../../src/plan/plan.ts'
import { missingDeviceTools, servedProgram, withBoard } from '../../src/run/device.ts'
import { hostCompiler, SANITIZED, STRICT } from '../../src/run/host_c.ts'
import { inDirectory, runTool } from '../../src/run/host_tool.ts'
import { reference } from '../../src/run/reference.ts'
import { benchSerial, openSerial, parseSerial, planOf, Talk } from '../../src/run/serial.ts'
import { framed, readHello, runExchange, unframed } from '../../src/run/serial_protocol.ts'
import { answered, folder, saved, typed } from '../cli/console.ts'
import { recurrent, separable, twoInputs } from '../support/nets.ts'

const dir = folder()

const generated = (graph: Graph, seed: number) => {
  const random = new Xorshift32(seed)
  return graph.inputs.map((v) => random.fill(v.type))
}
const hashes = (graph: Graph, seed: number) => reference(graph).run(generated(graph, seed)).map(fingerprint)

/** A board whose line is standard input and output; it starts with a greeting of its own. */
const DESK = `#include "mote_serve.h"
#include <stdio.h>
int mote_getchar(void) { return getchar(); }
void mote_putchar(int c) { putchar(c); if (c == '\\n') fflush(stdout); }
uint32_t mote_clock_hz(void) { return 1000000; }
void mote_clock_start(void) {}
uint64_t mote_clock_stop(void) { return 7; }
int main(void) { puts("board 1.0 boots"); fflush(stdout); mote_serve(); return 0; }
`

/** Builds the plan's program for this machine and starts it as a device. */
function desk(plan: Plan, name: string, flags: readonly string[] = ['-std=c99', '-O1']): Duplex & { kill(): void } {
  const files = [...emitC(plan, 'model').files, ...serveC(plan, 'model'), { name: 'main.c', text: DESK }]
  const program = join(dir, name)
  inDirectory(files, (directory) => {
    runTool(hostCompiler()!, [...flags, '-o', program, 'model.c', 'model_serve.c', 'main.c'], { directory })
  })
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.on('error', () => {})
  return Object.assign(Duplex.from({ readable: child.stdout, writable: child.stdin }), {
    kill: () => void child.kill(),
  })
}

/** A device that answers each line as `answer` says. */
function fake(answer: (request: string) => string): Duplex {
  return new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      const said = answer(unframed(`${chunk}`)!)
      if (said !== '') this.push(said)
      done()
    },
  })
}

const HELLO = 'hello 1 00000000 00000000 00000000 cortex-m4 held model 0 0 1000'
const QUICK = { helloSeconds: 0.05, seconds: 0.05, runSeconds: 0.05 }
const refused = (line: Duplex) => new Talk(line, 'ttyX', QUICK)

describe.skipIf(!hostCompiler())('a device on this machine (skipped without a C compiler)', () => {
  test.each([
    ['separable', separable(), {}],
    ['separable, row by row', separable(), { input: 'streamed' }],
    ['two inputs', twoInputs(), {}],
    ['recurrent', recurrent(), {}],
  ] as const)('%s gives the reference bits, as a whole and by layers', async (name, graph, how) => {
    const { plan } = compile(graph, { target: 'c', ...how })
    const line = desk(plan, name.replace(/\W/g, '_'), [...STRICT, ...SANITIZED])
    const talk = new Talk(line, name)
    const hello = await talk.hello()
    expect(hello).toMatchObject({ target: 'c', name: 'model', arenaBytes: plan.arenaBytes, clockHz: 1_000_000 })
    expect(planOf(name, hello, [plan])).toBe(plan)
    const measured = await benchSerial(talk, plan, generated(graph, 1))
    expect(measured.outputs.map(fingerprint)).toEqual(hashes(graph, 1))
    expect(measured.steps).toHaveLength(plan.steps.length)
    expect(measured.run.counts).toBe(7 * (plan.streamed?.rows.length ?? 1))
    expect(measured.arenaUsedBytes).toBeLessThanOrEqual(plan.arenaBytes)
    expect(measured.arenaUsedBytes).toBeGreaterThan(plan.arenaBytes - 64)
    talk.close()
    line.kill()
  })

  test('state stays from one run to the next', async () => {
    const graph = recurrent()
    const { plan } = compile(graph, { target: 'c' })
    const line = desk(plan, 'state')
    const talk = new Talk(line, 'state')
    const runs = [1, 2, 3].map((seed) => generated(graph, seed))
    const model = reference(graph)
    const expected = runs.map((inputs) => model.run(inputs).map(fingerprint))
    const outputs = await talk.exchange(runExchange(plan, runs))
    expect(outputs.map((o) => o.map(fingerprint))).toEqual(expected)
    line.kill()
  })

  test('bad requests are refused and harm nothing', async () => {
    const { plan } = compile(separable(), { target: 'c' })
    const line = desk(plan, 'bad', [...STRICT, ...SANITIZED])
    const talk = new Talk(line, 'bad')
    const bad = [
      'explode',
      'write arena 4294967295 AAAA',
      `write arena ${plan.arenaBytes - 1} AAAA`,
      'write heap 0 AAAA',
      'write arena 0 A*AA',
      'write row 0 AAAA',
      'read arena 0 361',
      `read weights ${plan.weightBytes} 1`,
      'push',
    ]
    for (const request of bad) expect(await talk.ask(request), request).toMatch(/^error /)
    line.write(`@${'x'.repeat(5000)}\n`)
    expect(await talk.ask('init 165')).toMatch(/^error damaged|^error too long|^ran 7 0$/)
    line.write('\n\n@hello #00000000\nhello\n@')
    const measured = await benchSerial(new Talk(desk(plan, 'bad2'), 'bad2'), plan, generated(separable(), 1))
    expect(measured.outputs.map(fingerprint)).toEqual(hashes(separable(), 1))
    line.kill()
  })

  test('a device that goes away while it runs is told', async () => {
    const { plan } = compile(separable(), { target: 'c' })
    const line = desk(plan, 'away')
    const talk = new Talk(line, '/dev/ttyX')
    await talk.hello()
    const bench = benchSerial(talk, plan, generated(separable(), 1), (done) => {
      if (done === 3) line.kill()
    })
    await expect(bench).rejects.toThrow(/^\/dev\/ttyX: the line was closed: the board was unplugged/)
  })
})

test('lines are framed by a check that one wrong character breaks', () => {
  const line = framed('write arena 0 AAAA')
  expect(line).toMatch(/^@write arena 0 AAAA #[0-9a-f]{8}\n$/)
  expect(unframed(line)).toBe('write arena 0 AAAA')
  expect(unframed(`boot: ok ${line}`)).toBe('write arena 0 AAAA')
  expect(unframed('boot: ok')).toBeUndefined()
  for (let i = 1; i < line.length - 1; i++)
    expect(() => unframed(`${line.slice(0, i)}${line[i] === 'x' ? 'y' : 'x'}${line.slice(i + 1)}`), `at ${i}`).toThrow()
})

test('nobody answers: what to look at is said', async () => {
  const error = await refused(fake(() => ''))
    .hello()
    .catch((e) => e)
  expect(error.report()).toMatch(
    /^ttyX: nobody says hello: nothing came back\n {2}hint: does the board run the program/,
  )
})

test('garbage comes back: the baud rate is suspected', async () => {
  const error = await refused(fake(() => '\x00\xfe%#x@@\x80\n'))
    .hello()
    .catch((e) => e)
  expect(error.report()).toMatch(/^ttyX: nobody says hello: what came back is ".+"\n {2}hint: is the baud rate/)
})

test('a greeting that comes late, and then twice, is no answer to what follows', async () => {
  let greetings = 0
  const line = fake((request) => {
    if (request !== 'hello') return `${framed(HELLO)}${framed('ok')}`
    return ++greetings < 2 ? '' : framed(HELLO)
  })
  const talk = new Talk(line, 'ttyX', { ...QUICK, helloSeconds: 2 })
  expect((await talk.hello()).target).toBe('cortex-m4')
  expect(greetings).toBe(2)
  expect(await talk.ask('write arena 0 AAAA')).toBe('ok')
})

test('a damaged answer is asked for again, but a run is not run twice', async () => {
  const seen: string[] = []
  const broken = refused(
    fake((request) => {
      seen.push(request)
      const ok = framed('ok')
      return seen.length < 3 ? ok.replace('k', 'j') : ok
    }),
  )
  expect(await broken.ask('write arena 0 AAAA')).toBe('ok')
  expect(seen).toHaveLength(3)
  const runs = refused(fake(() => '@ran 1 1 #00000000\n'))
  await expect(runs.ask('run 0 1')).rejects.toThrow('the answer to "run 0 1" was damaged')
  const request = refused(fake(() => framed('error damaged')))
  expect(await request.ask('run 0 1')).toBe('error damaged')
})

test('another model, other weights and another way to compile are told apart', () => {
  const { plan } = compile(separable(), { target: 'cortex-m4' })
  const hello = readHello(HELLO)
  const { layoutId: layout, hash } = plan.weights
  const say = (h: object) => {
    try {
      return planOf('ttyX', { ...hello, ...h }, [plan])
    } catch (error) {
      return (error as Error).message
    }
  }
  expect(say({})).toMatch(/^ttyX: the board holds another model, "model": weights of layout 00000000, this one has /)
  expect(say({ layout })).toMatch(/^ttyX: the board holds other weights of this model: hash 00000000, this file has /)
  expect(say({ layout, hash })).toMatch(/^ttyX: the board holds this model compiled in another way: program 00000000/)
  expect(() => readHello('hello 2 x')).toThrow('device: speaks version 2 of the protocol, this mote speaks 1')
  expect(() => readHello('error unknown request')).toThrow('device: answers "error unknown request" to "hello"')
})

test('neither the name of a model nor that of its files makes another program, but another plan does', async () => {
  const { plan } = compile(separable(), { target: 'cortex-m4' })
  expect(programId(compile({ ...separable(), name: 'renamed' }, { target: 'cortex-m4', name: 'x' }).plan)).toBe(
    programId(plan),
  )
  expect(programId(compile(separable(), { target: 'cortex-m7' }).plan)).not.toBe(programId(plan))
  const out = join(dir, 'served')
  const { files } = await answered('compile', saved(dir, separable()), '--target', 'cortex-m4', '--serve', '-o', out)
  const server = files.find((f: string) => f.endsWith('separable_serve.c'))
  expect(readFileSync(server, 'utf8')).toContain(`hello 1 ${programId(plan)} `)
  expect(files.some((f: string) => f.endsWith('mote_serve.h'))).toBe(true)
})

test('the name of a line has a device and a rate', () => {
  expect(parseSerial('serial:/dev/ttyACM0')).toEqual({ path: '/dev/ttyACM0', baud: 115200 })
  expect(parseSerial('serial:/dev/ttyACM0@9600')).toEqual({ path: '/dev/ttyACM0', baud: 9600 })
  for (const bad of ['serial:', 'serial:@9600', 'serial:/dev/x@fast', 'serial:/dev/x@0'])
    expect(() => parseSerial(bad), bad).toThrow('is not a serial line')
})

test('a device that is not there, and a file that is no line', () => {
  expect(() => openSerial(join(dir, 'none'), 115200)).toThrow('there is no such device')
  writeFileSync(join(dir, 'file'), '')
  expect(() => openSerial(join(dir, 'file'), 115200)).toThrow('is no serial line')
})

const missing = missingDeviceTools()
describe.skipIf(missing.length > 0)(`an emulated board's UART (skipped without ${missing.join(' and ')})`, () => {
  const model = saved(dir, separable())
  const graph = readModel(readFileSync(model))
  const { plan } = compile(graph, { target: 'cortex-m4' })

  /** QEMU with the program, its UART a pseudo-terminal; `more` goes to QEMU. */
  async function plugged(more: readonly string[] = []) {
    const elf = join(dir, 'uart.elf')
    withBoard('cortex-m4', servedProgram(plan, 'cortex-m4', ['UART 0x40004000']), {}, (built) => {
      runTool('cp', [join(built.directory, 'program.elf'), elf])
    })
    const board = ['-M', 'mps2-an386', '-display', 'none', '-monitor', 'none', '-serial', 'pty']
    const qemu = spawn('qemu-system-arm', [...board, '-icount', 'shift=0', '-kernel', elf, ...more])
    const path = await new Promise<string>((found, failed) => {
      const look = (text: unknown) => {
        const [, pty] = /redirected to (\S+)/.exec(`${text}`) ?? []
        if (pty) found(pty)
      }
      qemu.stdout.on('data', look)
      qemu.stderr.on('data', look)
      qemu.on('exit', () => failed(new Error('qemu ended')))
    })
    return { qemu, path }
  }

  test('gives the reference bits and what each layer takes over a pseudo-terminal', async () => {
    const { qemu, path } = await plugged()
    try {
      const talk = new Talk(openSerial(path, 115200), path)
      const hello = await talk.hello()
      expect(planOf(path, hello, [plan])).toBe(plan)
      const measured = await benchSerial(talk, plan, generated(graph, 1))
      expect(measured.outputs.map(fingerprint)).toEqual(hashes(graph, 1))
      const instructions = (counts: number) => (counts * 1e9) / hello.clockHz
      expect(instructions(measured.run.counts)).toBeGreaterThan(plan.macs / 2)
      const sum = measured.steps.reduce((n, s) => n + s.counts, 0)
      expect(Math.abs(sum - measured.run.counts)).toBeLessThan(2 * plan.steps.length + 2)
      expect(measured.run.stackBytes).toBeGreaterThan(0)
      const again = talk.ask('hello')
      expect(readHello(await again)).toEqual(hello)
      qemu.kill()
      await expect(talk.ask('used')).rejects.toThrow('the line was closed')
    } finally {
      qemu.kill()
    }
  })

  test('is one of the machines of mote bench; another model is told apart', async () => {
    const { qemu, path } = await plugged()
    try {
      const { runs, disagree } = await answered('bench', model, '--on', `wasm,serial:${path}@9600`, '--runs', '1')
      expect(disagree).toBeUndefined()
      expect(runs[1]).toMatchObject({ on: `serial:${path}@9600`, outputFnv1a: runs[0].outputFnv1a, clockHz: 25e6 })
      for (const figure of ['cycles', 'medianUs', 'stackBytes', 'arenaUsedBytes'])
        expect(runs[1][figure], figure).toBeGreaterThan(0)
      expect(runs[1].layers.map((l: { name: string }) => l.name)).toEqual(plan.steps.map((s) => s.node.from))
      const other = await typed('bench', saved(dir, twoInputs()), '--on', `serial:${path}`)
      expect(other.code).toBe(1)
      expect(other.err).toContain(`${path}: the board holds another model, "model": weights of layout`)
    } finally {
      qemu.kill()
    }
  })

  test('that stands still does not answer', async () => {
    const { qemu, path } = await plugged(['-S'])
    try {
      const talk = new Talk(openSerial(path, 115200), path, QUICK)
      await expect(talk.hello()).rejects.toThrow('nobody says hello: nothing came back')
      talk.close()
    } finally {
      qemu.kill()
    }
  })
})
