// Schemes that add small layers to a frozen float32 model: low-rank updates (LoRA, Hu et al. 2021), adapters after residual connections
// (Houlsby et al. 2019), and a prompt of learning pixels around an image (Bahng et al. 2022).

import { InputError } from '../errors.ts'
import type { Graph, Node, Value } from '../ir/graph.ts'
import { add } from '../ops/binary/op.ts'
import { type Conv2d, conv2d } from '../ops/conv2d/op.ts'
import { fullyConnected } from '../ops/fully_connected/op.ts'
import { matmul } from '../ops/matmul/op.ts'
import { concat } from '../ops/shape/concat.ts'
import { dependents } from './grad.ts'
import { type Extended, type Inserting, insert, insertAtInput } from './insert.ts'

const INT8_HINT = 'int8 models learn by last-K, bias-last-K and sparse schemes'

/** The rank-R way from a layer's input to its output, without bias and activation; undefined for other layers. */
function lowRank(node: Node, R: number, { build, random, filled }: Inserting): Value | undefined {
  const [x, w] = node.inputs
  if (w?.storage !== 'const' || w.type.dtype !== 'f32' || x?.type.dtype !== 'f32') return undefined
  const name = `${node.from}/lora`
  const { shape } = w.type
  const options = { from: name }
  if (node.op.name === fullyConnected.name) {
    const [N, K] = shape
    const [a, b] = [random(`${name}/a`, [R, K], K), filled(`${name}/b`, [N, R], 0)]
    const attrs = { clamp: {}, keepDims: node.attrs.keepDims as boolean }
    return build.one(fullyConnected, [build.one(fullyConnected, [x, a], attrs, options), b], attrs, options)
  }
  if (node.op.name === matmul.name && shape.length === 2 && node.attrs.transA === false) {
    const [K, N] = node.attrs.transB ? [shape[1], shape[0]] : shape
    const [a, b] = [random(`${name}/a`, [K, R], K), filled(`${name}/b`, [R, N], 0)]
    const attrs = { transA: false, transB: false }
    return build.one(matmul, [build.one(matmul, [x, a], attrs, options), b], attrs, options)
  }
  if (node.op.name === conv2d.name && node.attrs.groups === 1) {
    const [O, KH, KW, C] = shape
    const [a, b] = [random(`${name}/a`, [R, KH, KW, C], KH * KW * C), filled(`${name}/b`, [O, 1, 1, R], 0)]
    const attrs = { ...(node.attrs as unknown as Conv2d), clamp: {} }
    const pixel = { stride: [1, 1], dilation: [1, 1], pad: [0, 0, 0, 0], groups: 1, clamp: {} }
    return build.one(conv2d, [build.one(conv2d, [x, a], attrs, options), b], pixel, options)
  }
  return undefined
}

/**
 * W x becomes W x + B A x, A random and B 0, at every layer with constant float32 weights but `last`, the factor alpha / R being 1.
 * Layers that outputs depend on only through state are left alone.
 */
function lora(graph: Graph, R: number, seed: number, last: Node | undefined): Extended {
  const matters = (node: Node) => {
    const found = dependents(graph.nodes, new Set(node.outputs))
    return graph.outputs.some((v) => found.has(v))
  }
  return insert(graph, seed, (node, ins) => {
    const own = graph.nodes.find((n) => n.outputs[0] === node.outputs[0])!
    if (own === last || !matters(own)) return undefined
    const low = lowRank(node, R, ins)
    if (!low) return undefined
    const [y] = node.outputs
    const plain: Node = {
      ...node,
      attrs: { ...node.attrs, ...('clamp' in node.attrs && { clamp: {} }) },
      outputs: [{ ...y, name: `${y.name}/frozen` }],
    }
    const clamp = (node.attrs.clamp ?? {}) as Conv2d['clamp']
    return {
      node: plain,
      result: ins.build.one(add, [plain.outputs[0], low], { clamp }, { from: `${node.from}/lora` }),
    }
  })
}

/** Whether a sum is of something and of what was made of that. */
export function isResidual(graph: Graph, node: Node): boolean {
  if (node.op.name !== add.name || node.outputs[0].type.dtype !== 'f32') return false
  const [a, b] = node.inputs as Value[]
  if ([a, b].some((v) => v.storage !== 'temp') || String(a.type.shape) !== String(b.type.shape)) return false
  const before = graph.nodes.slice(0, graph.nodes.indexOf(node))
  return dependents(before, new Set([a])).has(b) || dependents(before, new Set([b])).has(a)
}

/** h becomes h + W2 relu(W1 h) after every residual connection, W2 0. */
function adapters(graph: Graph, R: number, seed: number): Extended {
  const residual = new Set(graph.nodes.filter((n) => isResidual(graph, n)).map((n) => n.outputs[0]))
  return insert(graph, seed, (node, { build, random, filled }) => {
    const [h] = node.outputs
    if (!residual.has(h)) return undefined
    const C = h.type.shape.at(-1)!
    const name = `${node.from}/adapter`
    const options = { from: name }
    const down = [h, random(`${name}/down`, [R, C], C), filled(`${name}/down bias`, [R], 0)]
    const inner = build.one(fullyConnected, down, { clamp: { min: 0 }, keepDims: true }, options)
    const up = [inner, filled(`${name}/up`, [C, R], 0), filled(`${name}/up bias`, [C], 0)]
    const more = build.one(fullyConnected, up, { clamp: {}, keepDims: true }, options)
    return { node, result: build.one(add, [h, more], { clamp: {} }, options) }
  })
}

/** A frame of `N` pixels is added to the image, 0 at first. */
function prompt(graph: Graph, N: number): Extended {
  return insertAtInput(graph, (x, { build, filled }) => {
    const [, H, W, C] = x.type.shape
    const zeros = { dtype: 'f32', shape: [1, H - 2 * N, W - 2 * N, C] } as const
    const middle = build.const('prompt/none', zeros, new Float32Array((H - 2 * N) * (W - 2 * N) * C))
    const side = (name: string, h: number, w: number) => filled(`prompt/${name}`, [1, h, w, C], 0)
    const options = { from: 'prompt' }
    const sides = [side('left', H - 2 * N, N), middle, side('right', H - 2 * N, N)]
    const rows = [side('top', N, W), build.one(concat, sides, { axis: 2 }, options), side('bottom', N, W)]
    return build.one(add, [x, build.one(concat, rows, { axis: 1 }, options)], { clamp: {} }, options)
  })
}

/** The model with the layers of lora-R, adapter-R or prompt-N. Throws InputError where there is no place for them. */
export function extended(graph: Graph, scheme: string, seed: number, last: Node | undefined): Extended | undefined {
  const [, kind, digits] = /^(lora|adapter|prompt)-(\d+)$/.exec(scheme) ?? []
  if (kind === undefined) return undefined
  const n = Number(digits)
  if (n < 1) throw new InputError('scheme', `${scheme} asks for ${n}, expected 1 or more`)
  if (kind === 'prompt') {
    const { dtype, shape } = graph.inputs[0].type
    const [, H, W] = shape
    if (graph.inputs.length !== 1 || dtype !== 'f32' || shape.length !== 4)
      throw new InputError(
        'scheme',
        `${scheme} adds to a float32 image, "${graph.name}" takes ${graph.inputs.map((v) => `${v.type.dtype} [${v.type.shape}]`).join(', ')}`,
        dtype === 'f32' ? undefined : INT8_HINT,
      )
    if (2 * n >= Math.min(H, W))
      throw new InputError('scheme', `${scheme} is a frame of ${n} pixels, the image has ${H} x ${W}`)
    return prompt(graph, n)
  }
  const made = kind === 'lora' ? lora(graph, n, seed, last) : adapters(graph, n, seed)
  if (made.added.length === 0)
    throw new InputError(
      'scheme',
      kind === 'lora'
        ? `${scheme} adds to layers with constant float32 weights, "${graph.name}" has none before its last`
        : `${scheme} adds to residual connections of float32, "${graph.name}" has none`,
      INT8_HINT,
    )
  return made
}
