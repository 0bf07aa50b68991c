// What `mote demo` learns from: the net and the voices of the folder demo/, or recordings of the user's.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InputError } from '../errors.ts'
import { readModel } from '../import/read.ts'
import type { Graph } from '../ir/graph.ts'
import { quantizeReal } from '../ops/quant.ts'
import { SPEECH, speechFeatures } from '../web/speech.ts'
import { readWav } from '../web/wav.ts'

const FOLDER = fileURLToPath(new URL('../../demo/', import.meta.url))

/** One word, spoken once: the net's input, and which word it is. */
export interface Word {
  readonly input: Int8Array
  readonly label: number
}

/** Somebody, and what they say, take after take. */
export interface Speaker {
  readonly name: string
  readonly words: readonly Word[]
}

export interface Digits {
  readonly graph: Graph
  readonly words: readonly string[]
  readonly speakers: readonly Speaker[]
}

/** Features (32, 12) of a word as the net takes them. */
function inputOf({ inputs: [{ type }] }: Graph, features: Float32Array): Int8Array {
  const { scale, zero } = type.quant!
  return Int8Array.from(features, (x) => Math.max(-128, Math.min(127, quantizeReal(x, scale[0], zero[0]))))
}

/** The net, the words it knows, and three voices that it has never heard. */
export function digits(): Digits {
  const graph = { ...readModel(new Uint8Array(readFileSync(join(FOLDER, 'digits.tflite')))), name: 'digits' }
  const about = JSON.parse(readFileSync(join(FOLDER, 'speakers.json'), 'utf8'))
  const { classes, labels, names, scale }: { classes: string[]; labels: number[]; names: string[]; scale: number } =
    about
  const stored = new Int8Array(readFileSync(join(FOLDER, 'speakers.bin')))
  const size = SPEECH.frames * SPEECH.coefficients
  const words = labels.map((label, i): Word => {
    const features = Float32Array.from(stored.subarray(i * size, (i + 1) * size), (q) => q * scale)
    return { label, input: inputOf(graph, features) }
  })
  const each = words.length / names.length
  const speakers = names.map((name, i) => ({ name, words: words.slice(i * each, (i + 1) * each) }))
  return { graph, words: classes, speakers }
}

/**
 * Recordings in `folder`: WAVE files of one digit each, `<digit>_<speaker>_<take>.wav`, as the Free Spoken Digit Dataset has
 * them. Throws InputError where there are none.
 */
export function recordings(graph: Graph, folder: string): Speaker[] {
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch (e) {
    throw new InputError(folder, `cannot be read (${e instanceof Error ? e.message : e})`)
  }
  const takes = names.flatMap((name) => {
    const [, digit, speaker, take] = /^(\d)_([^_]+)_(\d+)\.wav$/i.exec(name) ?? []
    return take === undefined ? [] : [{ name, label: Number(digit), speaker, take: Number(take) }]
  })
  if (takes.length === 0)
    throw new InputError(
      folder,
      'holds no recordings',
      'one digit a file, named <digit>_<speaker>_<take>.wav: 7_anna_0.wav',
    )
  takes.sort((a, b) => a.take - b.take || a.label - b.label)
  return [...new Set(takes.map((t) => t.speaker))].sort().map((speaker) => ({
    name: speaker,
    words: takes
      .filter((t) => t.speaker === speaker)
      .map(({ name, label }): Word => {
        const { samples, rate } = readWav(new Uint8Array(readFileSync(join(folder, name))), name)
        return { label, input: inputOf(graph, speechFeatures(samples, rate)) }
      }),
  }))
}
