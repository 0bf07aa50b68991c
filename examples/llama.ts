// A transformer of the Llama family (Touvron et al. 2023) written with the builder: one token and its position per run,
// keys and values kept in states. Weights in the form of llama2.c's files.

import { Builder } from '../src/ir/build.ts'
import type { Graph, Value } from '../src/ir/graph.ts'
import { add, mul } from '../src/ops/binary/op.ts'
import { fullyConnected } from '../src/ops/fully_connected/op.ts'
import { gather } from '../src/ops/gather/op.ts'
import { matmul } from '../src/ops/matmul/op.ts'
import { normalize } from '../src/ops/normalize/op.ts'
import { lessEqual } from '../src/ops/pairwise/op.ts'
import { select } from '../src/ops/select/op.ts'
import { reshape } from '../src/ops/shape/reshape.ts'
import { logistic } from '../src/ops/sigmoid/op.ts'
import { softmax } from '../src/ops/softmax/op.ts'
import { update } from '../src/ops/state/update.ts'

export interface Config {
  readonly dim: number
  readonly hidden: number
  readonly layers: number
  readonly heads: number
  /** Key-value heads: each serves `heads / kvHeads` heads. */
  readonly kvHeads: number
  readonly vocab: number
  /** Positions that the tables are made for. */
  readonly positions: number
}

/** One array for each kind of weight, the layers' one after the other. */
export interface Weights {
  readonly embedding: Float32Array
  readonly attentionNorm: Float32Array
  readonly wq: Float32Array
  readonly wk: Float32Array
  readonly wv: Float32Array
  readonly wo: Float32Array
  readonly feedForwardNorm: Float32Array
  readonly w1: Float32Array
  readonly w2: Float32Array
  readonly w3: Float32Array
  readonly finalNorm: Float32Array
}

const NEVER = -1e30

function lengths({ dim, hidden, layers, heads, kvHeads, vocab }: Config): Record<keyof Weights, number> {
  const kvDim = (dim / heads) * kvHeads
  return {
    embedding: vocab * dim,
    attentionNorm: layers * dim,
    wq: layers * dim * dim,
    wk: layers * kvDim * dim,
    wv: layers * kvDim * dim,
    wo: layers * dim * dim,
    feedForwardNorm: layers * dim,
    w1: layers * hidden * dim,
    w2: layers * dim * hidden,
    w3: layers * hidden * dim,
    finalNorm: dim,
  }
}

/** Weights that `next` gives, in the order of a file. */
export function weightsFrom(config: Config, next: (n: number) => Float32Array): Weights {
  const entries = Object.entries(lengths(config)).map(([name, n]) => [name, next(n)])
  return Object.fromEntries(entries) as unknown as Weights
}

/** Reads a llama2.c checkpoint (version 0, float32) whose classifier is its embedding. */
export function readCheckpoint(bytes: Uint8Array): { config: Config; weights: Weights } {
  const header = new Int32Array(bytes.slice(0, 28).buffer)
  const [dim, hidden, layers, heads, kvHeads, vocab, positions] = header
  if (vocab < 0) throw new RangeError('this checkpoint has a classifier of its own')
  const config: Config = { dim, hidden, layers, heads, kvHeads, vocab, positions }
  const numbers = new Float32Array(bytes.slice(28).buffer)
  let at = 0
  const weights = weightsFrom(config, (n) => numbers.slice(at, (at += n)))
  return { config, weights }
}

/** Inputs are a token and its position (one int32 each), the output is the logits of the next token. */
export function llama(config: Config, weights: Weights, name = 'llama'): Graph {
  const { dim, hidden, heads, kvHeads, vocab, positions } = config
  const size = dim / heads
  const b = new Builder(name)
  const plain = { clamp: {} }
  const f32 = (...shape: number[]) => ({ dtype: 'f32' as const, shape })
  const i32 = (...shape: number[]) => ({ dtype: 'i32' as const, shape })
  const token = b.input('token', i32(1))
  const position = b.input('position', i32(1))

  const angles = Float64Array.from({ length: positions * size }, (_, i) => {
    const pair = Math.floor((i % size) / 2)
    return Math.floor(i / size) * 10000 ** ((-2 * pair) / size)
  })
  const tables = f32(positions, size / 2, 2)
  const cosines = b.const('cos', tables, Float32Array.from(angles, Math.cos))
  const sines = b.const('sin', tables, Float32Array.from(angles, (a, i) => (i % 2 === 0 ? -Math.sin(a) : Math.sin(a))))
  const swapped = b.const('swapped', i32(2), Int32Array.of(1, 0))
  const places = b.const('places', i32(positions), Int32Array.from({ length: positions }, (_, t) => t))
  const never = b.const('never', f32(1), Float32Array.of(NEVER))
  const embedding = b.const('embedding', f32(vocab, dim), weights.embedding)

  const rows = (table: Value, at: Value) => b.one(gather, [table, at], { axis: 0, batchDims: 0 })
  const cos = rows(cosines, position)
  const sin = rows(sines, position)
  const past = b.one(lessEqual, [places, position], {})

  const norm = (x: Value, label: string, scale: Float32Array) =>
    b.one(normalize, [x, b.const(`${label}/norm`, f32(dim), scale), undefined], {
      kind: 'rms',
      axis: 1,
      groups: 1,
      depth: dim,
      epsilon: 1e-5,
      outputs: 1,
    })
  const shaped = (x: Value, ...shape: number[]) => b.one(reshape, [x], { shape })
  /** Pairs of neighbours are turned by the position's angles. */
  const rotated = (x: Value, n: number): Value => {
    const pairs = shaped(x, n, size / 2, 2)
    const turned = b.one(gather, [pairs, swapped], { axis: 2, batchDims: 0 })
    return b.one(add, [b.one(mul, [pairs, cos], plain), b.one(mul, [turned, sin], plain)], plain)
  }

  let x = rows(embedding, token)
  for (let l = 0; l < config.layers; l++) {
    const of = (all: Float32Array) => all.subarray((l * all.length) / config.layers, ((l + 1) * all.length) / config.layers)
    const linear = (input: Value, label: keyof Weights, n: number, k: number) =>
      b.one(
        fullyConnected,
        [input, b.const(`${l}/${label}`, f32(n, k), of(weights[label]).slice())],
        { clamp: {}, keepDims: false },
        { from: `layer ${l}/${label}` },
      )
    const cache = (label: string) =>
      b.state(`${l}/${label}`, f32(kvHeads, positions, size), new Float32Array(kvHeads * positions * size))

    const a = norm(x, `${l}/attention`, of(weights.attentionNorm).slice())
    const [keys, values] = [cache('keys'), cache('values')]
    const k = shaped(rotated(linear(a, 'wk', kvHeads * size, dim), kvHeads), kvHeads, 1, size)
    const v = shaped(linear(a, 'wv', kvHeads * size, dim), kvHeads, 1, size)
    b.add(update, [keys, k, position], { axis: 1 })
    b.add(update, [values, v, position], { axis: 1 })
    const q = shaped(rotated(linear(a, 'wq', dim, dim), heads), kvHeads, heads / kvHeads, size)
    const scores = b.one(matmul, [q, keys], { transA: false, transB: true })
    const seen = b.one(select, [past, scores, never], {})
    const weighted = b.one(softmax, [seen], { beta: Math.fround(1 / Math.sqrt(size)) })
    const mixed = shaped(b.one(matmul, [weighted, values], { transA: false, transB: false }), 1, dim)
    x = b.one(add, [x, linear(mixed, 'wo', dim, dim)], plain)

    const f = norm(x, `${l}/feed_forward`, of(weights.feedForwardNorm).slice())
    const gate = linear(f, 'w1', hidden, dim)
    const swish = b.one(mul, [gate, b.one(logistic, [gate], {})], plain)
    const inner = b.one(mul, [swish, linear(f, 'w3', hidden, dim)], plain)
    x = b.one(add, [x, linear(inner, 'w2', dim, hidden)], plain)
  }
  const last = norm(x, 'final', weights.finalNorm)
  return b.graph([b.one(fullyConnected, [last, embedding], { clamp: {}, keepDims: false }, { names: ['logits'] })])
}

/** The place of the largest number, the first among equals. */
export function argmax(x: ArrayLike<number>): number {
  let best = 0
  for (let i = 1; i < x.length; i++) if (x[i] > x[best]) best = i
  return best
}
