// Reads .onnx files. Only the walk is here: initializers become constants, each node is handed to the spelling that its
// name and domain ask for, and what constants alone decide is computed at once, so that arithmetic on shapes is gone
// when the graph is there, and so is what nobody reads. The file may be hostile: whatever it holds, the answer is a
// graph that `verify` accepts or a ModelError. Source: the ONNX standard (https://onnx.ai/onnx/repo-docs/IR.html).

import { ModelError } from '../errors.ts'
import { Builder } from '../ir/build.ts'
import type { Graph, Tensor, Value } from '../ir/graph.ts'
import { FOLD_BYTES, MAX_BYTES } from '../ir/limits.ts'
import { withoutUnread } from '../ir/live.ts'
import type { OnnxAttr, OnnxNode, OnnxSpelling } from '../ir/op.ts'
import { verify } from '../ir/verify.ts'
import { remember } from '../ops/composed/qdq.ts'
import { OPS } from '../ops/index.ts'
import { axisOf } from '../ops/onnx.ts'
import { ONNX_READINGS } from '../ops/readings.ts'
import { reshape } from '../ops/shape/reshape.ts'
import { DAMAGED, understood } from './fault.ts'
import {
  decodeModel,
  type OnnxAttribute,
  type OnnxFunction,
  type OnnxGraph,
  type OnnxModel,
  type OnnxProtoNode,
  type OnnxTensor,
  type OnnxValueInfo,
} from './onnx_schema.ts'
import { checkShape, dtypeOfElement, type External, readTensor } from './onnx_tensor.ts'

export interface OnnxOptions {
  /** The bytes of a file that the model refers to, by the path that it gives. */
  readonly external?: External
  /** Shapes of inputs, by name, where the file leaves dimensions open. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>
  /** Inputs, by name, that always have this value: they become constants. */
  readonly constants?: Readonly<Record<string, Tensor>>
}

const OLDEST = 1
const NEWEST = 28
/** Calls of functions inside functions, and nodes that calls may add up to. */
const CALL_DEPTH = 32
const CALLED_NODES = 2 ** 16

function keyOf(name: string, domain = ''): string {
  return domain === '' || domain === 'ai.onnx' ? name : `${domain}.${name}`
}

/** Every operator that .onnx files may use, by name, with its domain in front where that is not the standard's. */
export function onnxSpellings(): ReadonlyMap<string, OnnxSpelling> {
  const all = [...[...OPS.values()].flatMap((op) => op.spelled.onnx ?? []), ...ONNX_READINGS]
  return new Map(all.map((spelling) => [keyOf(spelling.name, spelling.domain), spelling]))
}

const SPELLINGS = onnxSpellings()

/**
 * The graph that an .onnx file holds. Batch dimensions that the file leaves open are 1. Throws ModelError for anything
 * that is damaged or not supported.
 */
export function readOnnx(bytes: Uint8Array, options: OnnxOptions = {}): Graph {
  const model = decodeModel(bytes)
  if (!model.graph) throw new ModelError('.onnx file', 'holds no graph', 'is this another kind of file?')
  const opsets = opsetsOf(model.opsets)
  const functions = new Map(model.functions.map((f) => [functionKey(f.name ?? '', f.domain, f.overload), f]))
  refuseUnknown(model.graph, functions, opsets)
  return new Importer(model.graph, functions, opsets, options, FOLD_BYTES + 8 * bytes.length).graph()
}

type Functions = ReadonlyMap<string, OnnxFunction>

function functionKey(name: string, domain?: string, overload?: string): string {
  return JSON.stringify([keyOf(name, domain), overload ?? ''])
}

/** The model's own function that a node calls; it goes before an operator of the same name. */
function called(node: OnnxProtoNode, functions: Functions): OnnxFunction | undefined {
  return functions.get(functionKey(node.opType ?? '', node.domain, node.overload))
}

function opsetsOf(imported: OnnxModel['opsets']): ReadonlyMap<string, number> {
  const opsets = new Map(imported.map((o) => [o.domain === 'ai.onnx' ? '' : (o.domain ?? ''), Number(o.version ?? 1)]))
  const version = opsets.get('')
  if (version !== undefined && (version < OLDEST || version > NEWEST))
    throw new ModelError(
      '.onnx file',
      `asks for opset ${version}, supported are ${OLDEST} to ${NEWEST}`,
      'convert the model to opset 17',
    )
  return opsets
}

/** Nodes of a graph or function and of the branches inside it. */
function* allNodes(graph: Pick<OnnxGraph, 'nodes'>): Generator<OnnxProtoNode> {
  for (const node of graph.nodes) {
    yield node
    for (const a of node.attributes) if (a.g) yield* allNodes(a.g)
  }
}

function layerName(node: OnnxProtoNode): string {
  return node.name || node.outputs.find((o) => o !== '') || node.opType || 'node'
}

/** Throws ModelError that names every operator without a spelling, before any of the work. */
function refuseUnknown(graph: OnnxGraph, functions: Functions, opsets: ReadonlyMap<string, number>): void {
  const missing = new Map<string, string>()
  const reached = new Set<OnnxFunction>()
  const walk = (nodes: Pick<OnnxGraph, 'nodes'>) => {
    for (const node of allNodes(nodes)) {
      const key = keyOf(node.opType ?? '', node.domain)
      const own = called(node, functions)
      if (own) reached.add(own)
      else if (key !== 'If' && !SPELLINGS.has(key) && !missing.has(key)) missing.set(key, layerName(node))
    }
  }
  walk(graph)
  // What is added to a set while it is iterated is visited too.
  for (const f of reached) walk(f)
  const [first, ...others] = missing
  if (!first) return
  const [key, layer] = first
  const more = others.length > 0 ? `, nor are ${others.map(([other]) => other).join(', ')}` : ''
  throw new ModelError(
    `layer "${layer}"`,
    `operator ${key} (opset ${opsets.get('') ?? 'none'}) is not supported${more}`,
    `supported are ${[...SPELLINGS.keys(), 'If'].sort().join(', ')}; leave such layers out of the model, or express them by these`,
  )
}

/** What surrounds the nodes of the model, or of one call of a function. */
interface Frame {
  readonly opsets: ReadonlyMap<string, number>
  /** Of a call: the caller's attributes and the function's defaults, by name. */
  readonly attributes: ReadonlyMap<string, OnnxAttribute>
  /** What the function's own names are called in the graph: results of the call have the caller's names. */
  readonly named: (name: string) => string
  readonly depth: number
}

/** What names mean at one place: values that are known or left out, and initializers that nobody has read yet. */
class Scope {
  readonly frame: Frame
  private readonly outer: Scope | undefined
  private readonly values = new Map<string, Value | undefined>()
  private readonly initializers = new Map<string, OnnxTensor>()

  constructor(frame: Frame, initializers: readonly OnnxTensor[], outer?: Scope) {
    this.frame = frame
    this.outer = outer
    for (const t of initializers) this.initializers.set(t.name ?? '', t)
  }

  has(name: string): boolean {
    return this.values.has(name) || this.initializers.has(name)
  }

  /** An absent value is an input of a function that the caller leaves out. */
  set(name: string, value: Value | undefined): void {
    this.values.set(name, value)
  }

  leavesOut(name: string): boolean {
    if (this.has(name)) return !this.initializers.has(name) && this.values.get(name) === undefined
    return this.outer?.leavesOut(name) ?? false
  }

  find(name: string, make: (t: OnnxTensor) => Value): Value | undefined {
    const known = this.values.get(name)
    if (known) return known
    const t = this.initializers.get(name)
    if (!t) return this.outer?.find(name, make)
    const value = make(t)
    this.values.set(name, value)
    return value
  }
}

class Importer {
  private readonly main: OnnxGraph
  private readonly functions: Functions
  private readonly opsets: ReadonlyMap<string, number>
  private readonly options: OnnxOptions
  private readonly build: Builder
  private calledNodes = 0

  constructor(
    main: OnnxGraph,
    functions: Functions,
    opsets: ReadonlyMap<string, number>,
    options: OnnxOptions,
    fold: number,
  ) {
    this.main = main
    this.functions = functions
    this.opsets = opsets
    this.options = options
    this.build = new Builder(main.name || 'model', { fold, constants: options.external ? MAX_BYTES : 2 * fold })
  }

  graph(): Graph {
    if (this.main.sparse.length > 0)
      throw new ModelError('model', 'holds sparse constants', 'convert the model without sparse storage')
    const frame: Frame = { opsets: this.opsets, attributes: new Map(), named: (name) => name, depth: 0 }
    const scope = new Scope(frame, this.main.initializers)
    for (const info of this.main.inputs) this.input(info, scope)
    for (const node of this.main.nodes) this.node(node, scope)
    const outputs = this.main.outputs.map((info) => this.output(info.name ?? '', scope))
    if (outputs.length === 0) throw new ModelError('model', 'has no outputs', DAMAGED)
    return verify(withoutUnread(this.build.graph(outputs)))
  }

  /** Inputs that are also initializers have a default: they are constants. */
  private input(info: OnnxValueInfo, scope: Scope): void {
    const name = info.name ?? ''
    if (scope.has(name)) return
    const where = `input "${name}"`
    const fixed = this.options.constants
    if (fixed && Object.hasOwn(fixed, name)) {
      this.define(scope, name, this.build.const(name, fixed[name].type, fixed[name].data))
      return
    }
    const tensor = info.type?.tensor
    if (!tensor)
      throw new ModelError(where, 'is no tensor (a sequence, map or optional)', 'convert the model to tensors')
    const dtype = dtypeOfElement(tensor.elem, where)
    const dims = tensor.shape?.dims
    const own = this.options.shapes && Object.hasOwn(this.options.shapes, name)
    const given = own ? this.options.shapes?.[name] : undefined
    if (given) {
      const fits =
        !dims ||
        (dims.length === given.length && dims.every((d, i) => d.value === undefined || Number(d.value) === given[i]))
      if (!fits)
        throw new ModelError(
          where,
          `has shape [${dims.map((d) => d.value ?? d.param ?? '?')}], asked for is [${given}]`,
        )
      this.define(scope, name, this.build.input(name, { dtype, shape: checkShape(dtype, given.map(BigInt), where) }))
      return
    }
    const open = `--shape ${name || 'input'}=${(dims ?? []).map((d) => d.value ?? '?').join(',') || '1,3,224,224'}`
    if (!dims) throw new ModelError(where, 'has no shape', `give it: ${open}`)
    const shape = dims.map((d, i) => {
      if (d.value !== undefined && d.value > 0n) return d.value
      if (d.value === 0n && d.param === undefined) return 0n
      if (i === 0) return 1n
      throw new ModelError(
        where,
        `leaves dimension ${i} open (${d.param ?? 'no name'})`,
        `give its shape: ${open.replace('?', '1')}`,
      )
    })
    this.define(scope, name, this.build.input(name, { dtype, shape: checkShape(dtype, shape, where) }))
  }

  private define(scope: Scope, name: string, value: Value): void {
    if (scope.has(name)) throw new ModelError(`value "${name}"`, 'is computed twice', DAMAGED)
    scope.set(name, value)
  }

  private node(node: OnnxProtoNode, scope: Scope): void {
    const from = scope.frame.named(layerName(node))
    const where = `${node.opType} "${from}"`
    if (scope.frame.depth > 0 && ++this.calledNodes > CALLED_NODES)
      throw new ModelError(where, `takes the nodes of called functions beyond ${CALLED_NODES}`, DAMAGED)
    const last = node.outputs.findLastIndex((o) => o !== '')
    if (last < 0) return
    const names = node.outputs.slice(0, last + 1)
    this.build.from = from
    const inputs = node.inputs.map((name) =>
      name === '' || scope.leavesOut(name) ? undefined : this.value(name, scope, where),
    )
    while (inputs.length > 0 && inputs.at(-1) === undefined) inputs.pop()
    const key = keyOf(node.opType ?? '', node.domain)
    const own = called(node, this.functions)
    const results = own
      ? this.call(own, node, inputs, scope, where)
      : key === 'If'
        ? this.branch(node, inputs[0], scope, where)
        : this.read(SPELLINGS.get(key)!, node, inputs, names, scope.frame, where)
    names.forEach((name, i) => {
      if (name === '') return
      if (!results[i])
        throw new ModelError(
          where,
          `names output ${i}, "${name}"; supported ${results.length === 1 ? 'is only the first' : `are the first ${results.length}`}`,
        )
      this.define(scope, name, results[i])
    })
  }

  private read(
    spelling: OnnxSpelling,
    node: OnnxProtoNode,
    inputs: readonly (Value | undefined)[],
    given: readonly string[],
    frame: Frame,
    where: string,
  ): readonly Value[] {
    const from = frame.named(layerName(node))
    const names = given.map((name) => (name === '' ? '' : frame.named(name)))
    const attrs = Object.fromEntries(
      attributesOf(node, frame).map((a) => [a.name ?? '', this.attribute(a, names[0], where)]),
    )
    const opset = frame.opsets.get(node.domain === 'ai.onnx' ? '' : (node.domain ?? '')) ?? 1
    const operands = opset < 7 ? this.aligned(inputs, attrs, names[0], where) : inputs
    const read: OnnxNode = { inputs: operands, attrs, opset, outputs: names.length, result: { names, from } }
    return understood(where, 'attributes', () => {
      const values = spelling.read(this.build, read)
      remember(spelling, read, values)
      return values
    })
  }

  /** Before opset 7 an attribute says from which axis of the first operand on the second one broadcasts. */
  private aligned(
    inputs: readonly (Value | undefined)[],
    { broadcast, axis }: OnnxNode['attrs'],
    name: string,
    where: string,
  ): readonly (Value | undefined)[] {
    const [a, b] = inputs
    if (!a || !b || inputs.length > 2 || broadcast !== 1 || typeof axis !== 'number') return inputs
    const [first, second] = [a.type.shape, b.type.shape]
    const after = first.length - axisOf(axis, first.length, where) - second.length
    if (after < 0) throw new ModelError(where, `broadcasts [${second}] from axis ${axis} of [${first}] on`, DAMAGED)
    if (after === 0) return inputs
    const shape = [...second, ...new Array<number>(after).fill(1)]
    return [a, this.build.one(reshape, [b], { shape }, { names: [`${name}/aligned`] })]
  }

  /** The nodes of a function of the model's own stand where it is called. */
  private call(
    f: OnnxFunction,
    node: OnnxProtoNode,
    inputs: readonly (Value | undefined)[],
    { frame }: Scope,
    where: string,
  ): (Value | undefined)[] {
    if (frame.depth >= CALL_DEPTH)
      throw new ModelError(where, `calls functions ${CALL_DEPTH} deep, is it recursive?`, DAMAGED)
    if (inputs.length > f.inputs.length)
      throw new ModelError(where, `is given ${inputs.length} inputs, the function has ${f.inputs.length}`, DAMAGED)
    const from = frame.named(layerName(node))
    const results = new Map(f.outputs.map((name, i) => [name, node.outputs[i] ?? '']))
    const given = [...f.defaults, ...attributesOf(node, frame)]
    const inner = new Scope(
      {
        opsets: opsetsOf(f.opsets),
        attributes: new Map(given.map((a) => [a.name ?? '', a])),
        named: (name) => (results.get(name) ? frame.named(results.get(name)!) : `${from}/${name}`),
        depth: frame.depth + 1,
      },
      [],
    )
    f.inputs.forEach((name, i) => {
      inner.set(name, inputs[i])
    })
    for (const n of f.nodes) this.node(n, inner)
    return f.outputs.map((name, i) => (node.outputs[i] ? this.value(name, inner, where) : undefined))
  }

  /** The branch that a constant condition takes stands where the `If` stood. */
  private branch(node: OnnxProtoNode, cond: Value | undefined, scope: Scope, where: string): Value[] {
    if (cond?.storage !== 'const' || cond.data?.length !== 1)
      throw new ModelError(
        where,
        'chooses a branch while the model runs',
        'only conditions that are constant are supported',
      )
    const taken = cond.data[0] ? 'then_branch' : 'else_branch'
    const graph = attributesOf(node, scope.frame).find((a) => a.name === taken)?.g
    if (!graph) throw new ModelError(where, `has no ${taken}`, DAMAGED)
    if (graph.sparse.length > 0)
      throw new ModelError(where, 'holds sparse constants', 'convert the model without sparse storage')
    const inner = new Scope(scope.frame, graph.initializers, scope)
    for (const n of graph.nodes) this.node(n, inner)
    return graph.outputs.map((info) => this.value(info.name ?? '', inner, where))
  }

  private value(name: string, scope: Scope, where: string): Value {
    const found = scope.find(name, (t) => {
      const { type, data } = readTensor(t, `tensor "${name}"`, this.options.external)
      return this.build.const(name, type, data)
    })
    if (!found) throw new ModelError(where, `reads "${name}", which nothing has computed before`, DAMAGED)
    return found
  }

  /** An output is a value of the file's name: a copy where it is an input, a constant, or another output. */
  private output(name: string, scope: Scope): Value {
    const v = this.value(name, scope, 'model')
    if (v.name === name && v.storage !== 'const') return v
    return this.build.one(reshape, [v], { shape: v.type.shape }, { names: [name], from: name })
  }

  private attribute(a: OnnxAttribute, owner: string, where: string): OnnxAttr {
    const text = (s: Uint8Array) => new TextDecoder().decode(s)
    if (a.g) throw new ModelError(where, `attribute "${a.name}" is a graph, supported is that only for If`)
    if (a.t) {
      const { type, data } = readTensor(a.t, `${where}, attribute "${a.name}"`, this.options.external)
      return this.build.const(a.name === 'value' ? owner : `${owner}/${a.name}`, type, data)
    }
    switch (a.type ?? kindOf(a)) {
      case 1:
        return a.f ?? 0
      case 2:
        return Number(a.i ?? 0n)
      case 3:
        return text(a.s ?? new Uint8Array(0))
      case 6:
        return [...a.floats]
      case 7:
        return a.ints.map(Number)
      case 8:
        return a.strings.map(text)
      default:
        throw new ModelError(
          where,
          `attribute "${a.name}" is of kind ${a.type}; supported are numbers, texts and tensors`,
        )
    }
  }
}

/** A node's attributes, those that refer to attributes of the function around it replaced; absent where the call has none. */
function attributesOf(node: OnnxProtoNode, { attributes }: Frame): OnnxAttribute[] {
  return node.attributes.flatMap((a) => {
    if (!a.ref) return [a]
    const given = attributes.get(a.ref)
    return given ? [{ ...given, name: a.name }] : []
  })
}

/** The kind of an attribute in files too old to say. */
function kindOf(a: OnnxAttribute): number {
  if (a.f !== undefined) return 1
  if (a.i !== undefined) return 2
  if (a.s !== undefined) return 3
  if (a.floats.length > 0) return 6
  return a.strings.length > 0 ? 8 : 7
}
