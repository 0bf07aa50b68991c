// How the backward pass of a training step is to go so that it fits a limit, or needs the least memory: which blocks go by groups
// of channels, and by how many at a time. Where the fullest step is, the block that is at work there goes by smaller groups;
// where none is, that which keeps the most there is computed again; and where that is not enough, the first layers go by strips.

import { InputError } from '../errors.ts'
import { type Graph, type Node, type Value, valuesRead } from '../ir/graph.ts'
import { lifetimes, liveBytes } from '../ir/live.ts'
import { maskGradient } from '../ops/qas/mask_gradient.ts'
import { sum } from '../ops/reduce/op.ts'
import { type Block, backwardFrom, blocksOf, byChannels, updatesEarly } from './blocks.ts'
import { inPlaceByChannel } from './in_place.ts'
import { type Staged, type StageOptions, stage } from './stage.ts'
import { byStrips } from './strips.ts'

/** Channels of a group, from the fastest to the smallest. */
const SIZES = [128, 64, 48, 32, 24, 16, 12, 8, 4, 2, 1]

/** Groups are not made smaller for less than this. */
const NEAR = 1.02

type Groups = ReadonlyMap<Block, number>

/** Strips of rows from the backward pass of a block on, which is that of the layers before it too. */
interface Strips {
  readonly block: Block
  readonly count: number
}

/** Strips are no more than this. */
const MOST_STRIPS = 4

interface Tried {
  readonly graph: Graph
  readonly bytes: number
  /** The step at which so many bytes are live in the backward pass. */
  readonly step: number
}

function tryGroups(graph: Graph, groups: Groups, strips?: Strips): Tried | undefined {
  const whole = byChannels(graph, groups)
  const made = strips ? stripsOf(whole, strips) : whole
  if (!made) return undefined
  const placed = inPlaceByChannel(made)
  const from = backwardFrom(placed)
  const live = liveBytes(placed).slice(1)
  const bytes = Math.max(...live.slice(from))
  return { graph: placed, bytes, step: live.indexOf(bytes, from) }
}

function stripsOf(graph: Graph, { block, count }: Strips): Graph | undefined {
  const own = new Set(block.backward.map((n) => n.from))
  const back = backwardFrom(graph)
  return byStrips(graph, back + graph.nodes.slice(back).findIndex((n) => own.has(n.from)), count)
}

/** The block that `node` works for, by what the nodes of its backward pass are called. */
function blockAt(blocks: readonly Block[], node: Node | undefined): Block | undefined {
  if (!node) return undefined
  const narrow = [maskGradient, sum].includes(node.op as never)
  return blocks.find((b) => b.backward.some((n) => n.from === node.from && (n.op === node.op || !narrow)))
}

/** The block that goes as a whole and keeps the most at a step. */
function keeping({ graph, step }: Tried, blocks: readonly Block[]): Block | undefined {
  const held = lifetimes(graph).filter((t) => t.first < step && t.last > step)
  const of = (b: Block) => {
    const own = new Set(b.layers.flatMap((n) => n.outputs.map((v) => v.name)))
    return held.reduce((n, t) => n + (t.values.some((v) => own.has(v.name)) ? t.bytes : 0), 0)
  }
  const [most] = [...blocks].sort((a, b) => of(b) - of(a))
  return most && of(most) > 0 ? most : undefined
}

/**
 * The training step with its backward pass by groups of channels where that takes less memory: the fewest groups found that fit
 * `limit` bytes, or those of the least memory. The forward pass stays as it is; params are not counted. Results are the same but for
 * the order in which float32 gradients are added up.
 */
export function inLessMemory(given: Graph, limit = 0): Graph {
  const graph = updatesEarly(given)
  const blocks = blocksOf(graph)
  let groups: Groups = new Map()
  // strips go to the end, and are of use where the end are the largest images
  const learnsAll = blocks[0]?.layers.some((n) => n.inputs.includes(graph.inputs[0]))
  let strips: Strips | undefined
  let now = tryGroups(graph, groups)!
  const tried = [now]
  while (now.bytes > limit) {
    const size = (b: Block) => groups.get(b) ?? b.channels
    const smaller = (b: Block) => SIZES.find((s) => s < size(b))
    const working = blockAt(blocks, now.graph.nodes[now.step])
    const whole = blocks.filter((b) => !groups.has(b))
    const next = working && smaller(working) ? working : keeping(now, whole)
    if (next) groups = new Map(groups).set(next, smaller(next) ?? 1)
    else if (working && learnsAll) {
      const block: Block = strips?.block ?? working
      strips = { block, count: 2 * (strips?.count ?? 1) }
      // with fewer rows at a time, more channels
      const first = new Set(blocks.slice(0, blocks.indexOf(block) + 1))
      groups = new Map([...groups].map(([b, n]) => [b, first.has(b) ? 4 * n : n]))
    }
    const found: Tried | undefined =
      next || (working && learnsAll && strips!.count <= MOST_STRIPS) ? tryGroups(graph, groups, strips) : undefined
    if (!found) break
    now = found
    tried.push(now)
  }
  const least = Math.min(...tried.map((t) => t.bytes))
  return tried.find((t) => t.bytes <= Math.max(limit, least * NEAR))!.graph
}

/** What comes before the backward pass as a graph of its own; its last outputs are what is read later. */
function forwardOf(graph: Graph): Graph {
  const at = backwardFrom(graph)
  const nodes = graph.nodes.slice(0, at)
  const made = new Set<Value>([...graph.inputs, ...nodes.flatMap((n) => n.outputs)])
  const later = new Set(graph.nodes.slice(at).flatMap(valuesRead))
  const kept = [...later].filter((v) => made.has(v) && !graph.outputs.includes(v))
  return { ...graph, nodes, outputs: [...graph.outputs, ...kept] }
}

/**
 * A training step in less memory: its forward pass by pieces (`stage`), its backward pass by groups of channels, at the least price
 * with which each fits `sram` bytes, or in the least memory where that is not given. Throws InputError where the input is to be
 * streamed and the forward pass does not go by rows from it, or it is read again later.
 */
export function stepInLess(given: Graph, options: StageOptions): Staged {
  const graph = inLessMemory(given, options.sram ?? 0)
  const staged = stage(forwardOf(graph), options)
  if (!staged && options.input === 'streamed')
    throw new InputError(
      'input',
      'streamed needs one image as input, first layers that go by rows, and none of these to learn',
      'hold the input',
    )
  if (!staged) return { graph, stages: [] }
  const nodes = [...staged.graph.nodes, ...graph.nodes.slice(backwardFrom(graph))]
  return { graph: { ...graph, nodes }, stages: staged.stages }
}
