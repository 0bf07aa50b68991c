// The host's part of docs/serial-protocol.md, without any line: requests for what is to be measured, and what answers to
// them say. A line of text is framed as '@', the text, " #" and the FNV-1a hash of the text as eight hex digits.

import { PIECE_BYTES, programId } from '../emit/c/serve.ts'
import { bug, ToolError } from '../errors.ts'
import { bytesOf, type Value } from '../ir/graph.ts'
import { fingerprint } from '../ir/hash.ts'
import type { Data } from '../loops/ir.ts'
import { pushedInput } from '../plan/external.ts'
import type { Place, Plan } from '../plan/plan.ts'
import { elementsOfBytes } from './stored.ts'

export function framed(text: string): string {
  return `@${text} #${fingerprint(text)}\n`
}

/** The text of a line; undefined where it is none of the protocol's. Throws ToolError where it was damaged. */
export function unframed(line: string): string | undefined {
  const at = line.indexOf('@')
  if (at < 0) return undefined
  const [, text, check] = /^(.*) #([0-9a-f]{8})\s*$/.exec(line.slice(at + 1)) ?? []
  if (text === undefined || fingerprint(text) !== check) throw new Damaged(line)
  return text
}

export class Damaged extends Error {}

/** Requests, and what their answers, one for each, say together. */
export interface Exchange<T> {
  readonly requests: readonly string[]
  read(answers: readonly string[]): T
}

/** The answers in all that a program printed, asked in one go. Throws ToolError where it ended before the last request. */
export function answersIn(on: string, requests: readonly string[], printed: string): string[] {
  const answers = printed.split('\n').flatMap((line) => unframed(line) ?? [])
  if (answers.length < requests.length) {
    const at = requests[answers.length].slice(0, 40)
    throw new ToolError(on, `the program ended at request ${answers.length + 1} of ${requests.length}, "${at}"`)
  }
  return answers
}

/** What one request is answered with: the words behind the first. Throws ToolError where the device says that it cannot. */
function answered(answer: string, word: string, request: string): string[] {
  const [first, ...rest] = answer.split(' ')
  if (first === 'error') throw new ToolError('device', `answers "${answer}" to "${request.slice(0, 40)}"`)
  if (first !== word) throw new ToolError('device', `answers "${answer.slice(0, 40)}" to "${request.slice(0, 40)}"`)
  return rest
}

/** Collects requests; what `ask` gives is read once the answers are there. */
class Requests {
  readonly requests: string[] = []
  private answers: readonly string[] = []

  ask(request: string, word: string): () => string[] {
    const at = this.requests.push(request) - 1
    return () => answered(this.answers[at], word, request)
  }

  /** Answers are looked at in the order of the requests, so that the first fault is the one that is told. */
  exchange<T>(read: () => T): Exchange<T> {
    return {
      requests: this.requests,
      read: (answers) => {
        if (answers.length !== this.requests.length) bug(`${this.requests.length} requests, ${answers.length} answers`)
        this.answers = answers
        return read()
      },
    }
  }
}

/** Counts of the device's clock, and bytes of stack where the device can tell. */
export interface Cost {
  readonly counts: number
  readonly stackBytes: number
}

function costOf([counts, stack]: string[]): Cost {
  return { counts: Number(counts), stackBytes: Number(stack) }
}

/** Bytes as base64. */
function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
}

class Session {
  readonly requests = new Requests()
  private readonly plan: Plan

  constructor(plan: Plan) {
    this.plan = plan
  }

  private place(v: Value): Place {
    return this.plan.places.get(v) ?? bug(`value "${v.name}" has no place`)
  }

  private write(segment: string, offset: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const piece = base64(bytes.subarray(at, at + PIECE_BYTES))
      this.requests.ask(`write ${segment} ${offset + at} ${piece}`, 'ok')
    }
  }

  init(paint: number): () => Cost {
    const read = this.requests.ask(`init ${paint}`, 'ran')
    return () => costOf(read())
  }

  /** Rows of a streamed input aside. */
  give(inputs: readonly Uint8Array[]): void {
    this.plan.graph.inputs.forEach((v, i) => {
      if (v !== this.plan.streamed?.input) this.write('arena', this.place(v).offset, inputs[i])
      else if (this.plan.external?.input) this.write('input', 0, inputs[i])
    })
  }

  private image(inputs: readonly Uint8Array[]): Uint8Array {
    return inputs[this.plan.graph.inputs.indexOf(this.plan.streamed!.input)]
  }

  run(inputs: readonly Uint8Array[]): () => Cost {
    const { steps } = this.plan
    const streamed = pushedInput(this.plan)
    if (!streamed) return this.layers(0, steps.length)
    const { rowBytes, rows } = streamed
    const image = this.image(inputs)
    const pushes = rows.map((_, r) => {
      this.write('row', 0, image.subarray(r * rowBytes, (r + 1) * rowBytes))
      return this.requests.ask('push', 'ran')
    })
    return () => {
      const costs = pushes.map((read) => costOf(read()))
      const counts = costs.reduce((sum, c) => sum + c.counts, 0)
      return { counts, stackBytes: Math.max(0, ...costs.map((c) => c.stackBytes)) }
    }
  }

  private layers(first: number, end: number): () => Cost {
    const read = this.requests.ask(`run ${first} ${end}`, 'ran')
    return () => costOf(read())
  }

  runByLayers(inputs: readonly Uint8Array[]): () => Cost[] {
    const { steps } = this.plan
    const streamed = pushedInput(this.plan)
    const reads = steps.map((_, i) => {
      streamed?.rows.forEach((row, r) => {
        if (row?.before !== i) return
        const from = r * streamed.rowBytes
        this.write('arena', row.place.offset, this.image(inputs).subarray(from, from + streamed.rowBytes))
      })
      return this.layers(i, i + 1)
    })
    return () => reads.map((read) => read())
  }

  used(): () => number {
    const read = this.requests.ask('used', 'used')
    return () => {
      const [bytes, guarded] = read().map(Number)
      if (guarded !== 1) bug('the program wrote beside its arena')
      return bytes
    }
  }

  outputs(): () => Data[] {
    const reads = this.plan.graph.outputs.map((v) => {
      const { segment, offset } = this.place(v)
      const pieces: (() => string[])[] = []
      for (let at = 0; at < bytesOf(v.type); at += PIECE_BYTES) {
        const bytes = Math.min(PIECE_BYTES, bytesOf(v.type) - at)
        pieces.push(this.requests.ask(`read ${segment} ${offset + at} ${bytes}`, 'bytes'))
      }
      return { v, pieces }
    })
    return () =>
      reads.map(({ v: { type }, pieces }) => {
        const bytes = new Uint8Array(bytesOf(type))
        pieces.forEach((read, i) => {
          bytes.set(
            Uint8Array.from(atob(read()[0]), (c) => c.charCodeAt(0)),
            i * PIECE_BYTES,
          )
        })
        return elementsOfBytes(type, bytes)
      })
  }
}

const bytesIn = (data: Data) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

/** What a device measured of one run. */
export interface Measured {
  readonly init: Cost
  readonly run: Cost
  /** Of each step of the plan, from a second run on the same inputs. */
  readonly steps: readonly Cost[]
  /** The arena up to the last byte that was written. */
  readonly arenaUsedBytes: number
  readonly outputs: readonly Data[]
}

/** One run as a whole, one layer by layer, each in an arena painted anew. */
export function benchExchange(plan: Plan, inputs: readonly Data[]): Exchange<Measured> {
  const session = new Session(plan)
  const bytes = inputs.map(bytesIn)
  const init = session.init(0xa5)
  session.give(bytes)
  const run = session.run(bytes)
  const used = session.used()
  const outputs = session.outputs()
  session.init(0x5a)
  session.give(bytes)
  const steps = session.runByLayers(bytes)
  const used2 = session.used()
  const outputs2 = session.outputs()
  return session.requests.exchange(() => {
    const measured = {
      ...{ init: init(), run: run(), steps: steps(), outputs: outputs() },
      arenaUsedBytes: Math.max(used(), used2()),
    }
    if (measured.outputs.map(fingerprint).join() !== outputs2().map(fingerprint).join())
      bug('two runs on one input gave different outputs')
    return measured
  })
}

/** Counts of many runs on the same inputs. */
export interface Timed {
  readonly runs: readonly number[]
  /** [step][run], from runs of their own. */
  readonly steps: readonly (readonly number[])[]
  readonly outputs: readonly Data[]
}

/** So many runs as wholes, then so many by layers; the outputs are those of the first run. */
export function timeExchange(plan: Plan, inputs: readonly Data[], wholes: number, byLayers: number): Exchange<Timed> {
  const session = new Session(plan)
  const bytes = inputs.map(bytesIn)
  const several = <T>(n: number, run: () => T): T[] =>
    Array.from({ length: n }, () => {
      session.give(bytes)
      return run()
    })
  session.init(0xa5)
  session.give(bytes)
  session.run(bytes)
  const outputs = session.outputs()
  const runs = several(wholes, () => session.run(bytes))
  const layers = several(byLayers, () => session.runByLayers(bytes))
  return session.requests.exchange(() => {
    const each = layers.map((read) => read())
    return {
      runs: runs.map((read) => read().counts),
      steps: plan.steps.map((_, i) => each.map((costs) => costs[i].counts)),
      outputs: outputs(),
    }
  })
}

/** Runs one after the other, from the initial state, which carries over. */
export function runExchange(plan: Plan, runs: readonly (readonly Data[])[]): Exchange<Data[][]> {
  const session = new Session(plan)
  session.init(0xa5)
  const outputs = runs.map((inputs) => {
    const bytes = inputs.map(bytesIn)
    session.give(bytes)
    session.run(bytes)
    return session.outputs()
  })
  return session.requests.exchange(() => outputs.map((read) => read()))
}

/** What a device says of the program that it holds. */
export interface Hello {
  readonly program: string
  readonly layout: string
  readonly hash: string
  readonly target: string
  readonly input: 'streamed' | 'external' | 'held'
  readonly name: string
  readonly arenaBytes: number
  readonly layers: number
  /** Counts a second. */
  readonly clockHz: number
}

/** Throws ToolError where the device speaks another version of the protocol. */
export function readHello(answer: string): Hello {
  const words = answered(answer, 'hello', 'hello')
  const [version, program, layout, hash, target, input, name, arenaBytes, layers, clockHz] = words
  if (version !== '1' || words.length !== 10)
    throw new ToolError('device', `speaks version ${version} of the protocol, this mote speaks 1`, REBUILD)
  return {
    ...{ program, layout, hash, target, name },
    input: input === 'streamed' || input === 'external' ? input : 'held',
    ...{ arenaBytes: Number(arenaBytes), layers: Number(layers), clockHz: Number(clockHz) },
  }
}

export const REBUILD = 'compile the model again with this mote, and program the board with it'

/** Why the device's program is not that of the plan, or undefined where it is. */
export function mismatch(hello: Hello, plan: Plan): string | undefined {
  const { layoutId, hash } = plan.weights
  if (hello.layout !== layoutId)
    return `holds another model, "${hello.name}": weights of layout ${hello.layout}, this one has ${layoutId}`
  if (hello.hash !== hash) return `holds other weights of this model: hash ${hello.hash}, this file has ${hash}`
  const program = programId(plan)
  if (hello.program === program) return undefined
  return `holds this model compiled in another way: program ${hello.program}, this mote makes ${program}`
}
