import { describe, expect, test } from 'vitest'
import { argmax, type Config, llama, readCheckpoint, type Weights, weightsFrom } from '../../examples/llama.ts'
import { decode, readVocabulary } from '../../examples/vocabulary.ts'
import { compile } from '../../src/emit/program.ts'
import { Xorshift32 } from '../../src/ir/random.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import type { RunningModel } from '../../src/run/model.ts'
import { reference } from '../../src/run/reference.ts'
import { describeShared, sharedBytes, sharedJson } from '../shared/shared.ts'

const SMALL: Config = { dim: 16, hidden: 20, layers: 2, heads: 4, kvHeads: 2, vocab: 11, positions: 8 }

function randomWeights(config: Config): Weights {
  const random = new Xorshift32(7)
  return weightsFrom(config, (n) => (random.fill({ dtype: 'f32', shape: [n] }) as Float32Array).map((v) => v * 0.7))
}

function run(model: RunningModel, token: number, position: number): Float32Array {
  return model.run([Int32Array.of(token), Int32Array.of(position)])[0] as Float32Array
}

/** The same network in double precision over the whole sequence at once, without a cache. */
function plain(c: Config, w: Weights, tokens: readonly number[]): number[] {
  const size = c.dim / c.heads
  const kvDim = size * c.kvHeads
  const linear = (m: Float32Array, l: number, rows: number, x: number[]) =>
    Array.from({ length: rows }, (_, r) => x.reduce((s, v, k) => s + v * m[(l * rows + r) * x.length + k], 0))
  const norm = (m: Float32Array, l: number, x: number[]) => {
    const root = Math.sqrt(x.reduce((s, v) => s + v * v, 0) / x.length + 1e-5)
    return x.map((v, i) => (v / root) * m[l * x.length + i])
  }
  const turn = (x: number[], t: number) =>
    x.map((v, i) => {
      const angle = t * 10000 ** (-((i % size) & ~1) / size)
      const other = i % 2 === 0 ? -x[i + 1] : x[i - 1]
      return v * Math.cos(angle) + other * Math.sin(angle)
    })
  let xs = tokens.map((t) => [...w.embedding.subarray(t * c.dim, (t + 1) * c.dim)])
  for (let l = 0; l < c.layers; l++) {
    const as = xs.map((x) => norm(w.attentionNorm, l, x))
    const qs = as.map((a, t) => turn(linear(w.wq, l, c.dim, a), t))
    const ks = as.map((a, t) => turn(linear(w.wk, l, kvDim, a), t))
    const vs = as.map((a) => linear(w.wv, l, kvDim, a))
    xs = xs.map((x, t) => {
      const mixed = Array.from({ length: c.dim }, (_, i) => {
        const head = Math.floor(i / size)
        const kv = Math.floor((head * c.kvHeads) / c.heads) * size
        const scores = ks.slice(0, t + 1).map((k) => {
          let s = 0
          for (let j = 0; j < size; j++) s += qs[t][head * size + j] * k[kv + j]
          return Math.exp(s / Math.sqrt(size))
        })
        const total = scores.reduce((s, e) => s + e, 0)
        return scores.reduce((s, e, u) => s + (e / total) * vs[u][kv + (i % size)], 0)
      })
      const y = linear(w.wo, l, c.dim, mixed).map((v, i) => v + x[i])
      const f = norm(w.feedForwardNorm, l, y)
      const up = linear(w.w3, l, c.hidden, f)
      const inner = linear(w.w1, l, c.hidden, f).map((g, i) => (g / (1 + Math.exp(-g))) * up[i])
      return linear(w.w2, l, c.dim, inner).map((v, i) => v + y[i])
    })
  }
  return linear(w.embedding, 0, c.vocab, norm(w.finalNorm, 0, xs.at(-1)!))
}

describe('a small transformer with a key-value cache', () => {
  const weights = randomWeights(SMALL)
  const graph = llama(SMALL, weights)
  const tokens = [3, 1, 10, 0, 3, 7, 7, 2]

  test('gives, token by token, the logits of the whole sequence without a cache', () => {
    const model = reference(graph)
    tokens.forEach((token, t) => {
      const logits = run(model, token, t)
      const wanted = plain(SMALL, weights, tokens.slice(0, t + 1))
      const most = wanted.reduce((m, v) => Math.max(m, Math.abs(v)), 0)
      for (const [i, v] of wanted.entries()) expect(Math.abs(logits[i] - v)).toBeLessThan(2e-5 * most)
    })
  })

  test('gives the same bits in WebAssembly, also after a reset', async () => {
    const [a, b] = [reference(graph), await instantiate(compile(graph, { target: 'wasm' }))]
    for (let round = 0; round < 2; round++) {
      tokens.forEach((token, t) => {
        expect(run(b, token, t)).toEqual(run(a, token, t))
      })
      a.reset()
      b.reset()
    }
  })
})

describeShared('stories260K', () => {
  const greedy = sharedJson('models/llm/stories260K_greedy.json')
  const { config, weights } = readCheckpoint(sharedBytes('models/llm/stories260K.bin'))
  const graph = llama({ ...config, positions: 256 }, weights, 'stories260K')
  const generate = (model: RunningModel, n: number): number[] => {
    const out: number[] = []
    for (let t = 0; t < n; t++) out.push(argmax(run(model, out.at(-1) ?? 1, t)))
    return out
  }

  test('the reference begins the published story', () => {
    expect(generate(reference(graph), 24)).toEqual(greedy.tokens.slice(0, 24))
  })

  test('WebAssembly tells it to the end', async () => {
    const model = await instantiate(compile(graph, { target: 'wasm' }))
    const tokens = generate(model, greedy.tokens.length)
    expect(tokens).toEqual(greedy.tokens)
    expect(decode(tokens, readVocabulary(sharedBytes('models/llm/tok512.bin')))).toBe(greedy.text)
  })
})
