// What operators say about channels, the slices of a tensor's last axis: the bounds of sums of products, the inputs that a
// sum needs, and channels that stand and fall together. An input channel with one value adds the same to a sum whatever
// the model's inputs are: the bias takes it over.

import type { Node, Quant, Value } from '../ir/graph.ts'
import type { Attrs, Bounds, Channels, Narrowed } from '../ir/op.ts'
import { count, type Data } from '../loops/ir.ts'
import { type Accumulating, evalSum, multipliers } from './accumulate.ts'
import { clampRange } from './quant.ts'

/** The sums of one layer, one for each output channel. */
export interface Sums {
  readonly channels: number
  /** How scales multiply, as for `evalSum`. */
  readonly product: 'f64' | 'f32'
  /** Whether some sums lack products: those of padding. */
  readonly padded: boolean
  /** Visits the products of output channel `o`: where the weight stands, and the input channel that it is multiplied by. */
  products(o: number, visit: (weight: number, channel: number) => void): void
}

interface Constants {
  readonly weights: Int8Array
  readonly bias: Int32Array | undefined
  /** Zero points of input and weights. */
  readonly zx: number
  readonly zw: number
}

/** What a layer of int8 sums, where it never changes. */
function constantsOf(node: Node<Accumulating>): Constants | undefined {
  const [x, w, b] = node.inputs as [Value, Value, Value | undefined]
  if (x.type.dtype !== 'i8' || w.storage !== 'const' || (b && b.storage !== 'const')) return undefined
  return {
    weights: w.data as Int8Array,
    bias: b?.data as Int32Array | undefined,
    zx: x.type.quant!.zero[0],
    zw: w.type.quant!.zero[0],
  }
}

/** Whether a sum between `low` and `high` can be shifted left by `shift`, and a zero point added, within 32 bits. */
export function fits(low: number, high: number, shift: number): boolean {
  return Math.max(-low, high) * 2 ** Math.max(0, shift) < 2 ** 31 - 2 ** 9
}

/** Bounds of the stored outputs: requantisation is monotone where nothing wraps. */
export function sumBounds(node: Node<Accumulating>, s: Sums, x: Bounds | undefined): Bounds | undefined {
  const known = constantsOf(node)
  const { scaling, clamp } = node.attrs
  if (!known || !x || scaling === 'none') return undefined
  const { weights, bias, zx, zw } = known
  const [from, w] = node.inputs as [Value, Value]
  const y = node.outputs[0].type
  const { finish } = evalSum(node, s.channels, s.product, bias)
  const shift = scaling ? undefined : multipliers(from.type, w.type, y, s.channels, s.product).shift
  const { lo, hi } = clampRange(y, clamp)
  const least = new Int32Array(s.channels).fill(lo)
  const most = new Int32Array(s.channels).fill(hi)
  for (let o = 0; o < s.channels; o++) {
    let low = bias?.[o] ?? 0
    let high = low
    s.products(o, (i, c) => {
      const a = (x.least[c] - zx) * (weights[i] - zw)
      const b = (x.most[c] - zx) * (weights[i] - zw)
      const [below, above] = a < b ? [a, b] : [b, a]
      low += s.padded ? Math.min(0, below) : below
      high += s.padded ? Math.max(0, above) : above
    })
    if (!fits(low, high, shift?.[o] ?? 0)) continue
    least[o] = finish(low, o)
    most[o] = finish(high, o)
  }
  return { least, most }
}

/** A constant without the slices `gone` of `axis`, their scales included. */
function without(v: Value, axis: number, gone: readonly boolean[]): Value {
  if (!gone.includes(true)) return v
  const { shape, quant } = v.type
  const inner = count(shape.slice(axis + 1))
  const kept = <T extends Data | Float64Array>(data: T, inner: number): T =>
    (data as Int8Array).filter((_, i) => !gone[Math.floor(i / inner) % gone.length]) as unknown as T
  const scales: Quant | undefined =
    quant && quant.axis === axis && quant.scale.length === gone.length
      ? { axis, scale: kept(quant.scale, 1), zero: kept(quant.zero, 1) }
      : quant
  const type = { ...v.type, shape: shape.map((d, i) => (i === axis ? gone.filter((g) => !g).length : d)) }
  return {
    ...v,
    type: scales ? { ...type, quant: scales } : type,
    data: kept(v.data!, inner),
    index: undefined,
  }
}

/** The bias of a layer without the outputs `gone`. What is `added` to each wraps as the sum itself does, so bits stay. */
function biasWithout(node: Node<Accumulating>, gone: readonly boolean[], added: Float64Array): Value | undefined {
  const given = node.inputs[2]
  const changes = added.some((a) => a !== 0)
  if (!changes && (!given || !gone.includes(true))) return given
  const before = given?.data as Int32Array | undefined
  const bias: Value = {
    ...given,
    name: given?.name ?? `${node.outputs[0].name}/bias`,
    type: { ...given?.type, dtype: 'i32', shape: [gone.length] },
    storage: 'const',
    data: Int32Array.from(added, (a, o) => (before?.[o] ?? 0) + a),
    index: undefined,
  }
  return without(bias, 0, gone)
}

/** The input channels that no sum needs: weights of 0 as far as outputs stay, or one value that the bias takes over. */
function unneeded(s: Sums, { weights, zx, zw }: Constants, free: Channels, x: Bounds): boolean[] {
  // A sum at the border lacks products, so that they would not add the same everywhere.
  const folds = (c: number) => x.least[c] === x.most[c] && (!s.padded || x.least[c] === zx)
  const gone = [...free.inputs[0]]
  const open = new Set(gone.flatMap((g, c) => (g && !folds(c) ? [c] : [])))
  for (let o = 0; o < s.channels && open.size > 0; o++) {
    if (free.output[o]) continue
    s.products(o, (i, c) => {
      if (weights[i] !== zw && open.delete(c)) gone[c] = false
    })
  }
  return gone
}

/** Weights with the outputs along one axis and, where each sum goes over all of them, input channels that repeat along another. */
export interface WeightAxes {
  readonly output: number
  readonly input?: number
}

/** A layer of sums without some of its channels. Without an input axis each input channel goes with the outputs it feeds. */
export function narrowSums(
  node: Node<Accumulating>,
  s: Sums,
  axes: WeightAxes,
  free: Channels,
  [x]: readonly (Bounds | undefined)[],
): Narrowed | undefined {
  const known = constantsOf(node)
  if (!known || !x) return undefined
  const each = s.channels / x.least.length
  const alone = { inputs: [free.inputs[0]], output: free.output }
  const { inputs, output }: Channels =
    axes.input === undefined
      ? together(node, alone, { output: (o) => Math.floor(o / each) }).gone
      : { inputs: [unneeded(s, known, free, x)], output: free.output }
  const gone: Channels = { inputs: free.inputs.map((f, i) => (i === 0 ? inputs[0] : f.map(() => false))), output }
  return {
    gone,
    node([from], to) {
      const w = node.inputs[1]!
      const added = new Float64Array(s.channels)
      if (axes.input !== undefined && inputs[0].includes(true))
        for (let o = 0; o < s.channels; o++)
          s.products(o, (i, c) => {
            if (inputs[0][c] && !output[o]) added[o] += (x.least[c] - known.zx) * (known.weights[i] - known.zw)
          })
      const rows = without(w, axes.output, output)
      const along =
        axes.input === undefined
          ? []
          : Array.from({ length: w.type.shape[axes.input] }, (_, k) => inputs[0][k % inputs[0].length])
      const filter = axes.input === undefined ? rows : without(rows, axes.input, along)
      return { ...(node as Node), inputs: [from, filter, biasWithout(node, output, added)], outputs: [to] }
    },
  }
}

/**
 * Channels that stand and fall together: those of one class go where all of them may. By default a class is a number: each
 * channel of the output is made of the same one of every input.
 */
export function together<A extends Attrs>(
  node: Node<A>,
  free: Channels,
  classes: { readonly input?: (c: number) => number; readonly output?: (c: number) => number } = {},
): Narrowed {
  const { input = (c) => c, output = (c) => c } = classes
  const needed = new Set<number>()
  const need = (marks: readonly boolean[], classOf: (c: number) => number) => {
    marks.forEach((f, c) => {
      if (!f) needed.add(classOf(c))
    })
  }
  for (const marks of free.inputs) need(marks, input)
  need(free.output, output)
  return {
    gone: {
      inputs: free.inputs.map((marks) => marks.map((_, c) => !needed.has(input(c)))),
      output: free.output.map((_, c) => !needed.has(output(c))),
    },
    node: (inputs, to) => ({ ...(node as unknown as Node), inputs, outputs: [to] }),
  }
}
