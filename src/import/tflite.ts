// Reads .tflite files. Only the walk is here: tensors become values, and each operator is handed to the spelling that
// its code names. The file may be hostile: whatever it holds, the answer is a graph that `verify` accepts or a
// ModelError. Source: the TensorFlow Lite schema; initial states as in TensorFlow Lite Micro.

import { ModelError } from '../errors.ts'
import { Builder } from '../ir/build.ts'
import { bytesOf, elemOf, type Graph, type TensorType, type Value } from '../ir/graph.ts'
import { FOLD_BYTES, MAX_BYTES, MAX_RANK } from '../ir/limits.ts'
import type { TfliteNode, TfliteSpelling } from '../ir/op.ts'
import { verify } from '../ir/verify.ts'
import { count, type Data, newData } from '../loops/ir.ts'
import { OPS } from '../ops/index.ts'
import { quantize } from '../ops/quantize/op.ts'
import { TFLITE_READINGS } from '../ops/readings.ts'
import { tfliteAssignVariable, tfliteCallOnce, tfliteReadVariable, tfliteVarHandle } from '../ops/state/tflite.ts'
import { DAMAGED, understood } from './fault.ts'
import { Table } from './flatbuffer.ts'
import { uniqueNames } from './names.ts'
import {
  BUFFER,
  CUSTOM,
  dtypeOfCode,
  IDENTIFIER,
  keyOf,
  MODEL,
  OPERATOR,
  OPERATOR_CODE,
  operatorName,
  QUANTIZATION,
  SUBGRAPH,
  TENSOR,
  TYPE_CODES,
  typeName,
} from './tflite_schema.ts'
import { initialState, optionsOf, quantOfTensor } from './tflite_tables.ts'

type Readable = TfliteSpelling & Required<Pick<TfliteSpelling, 'read'>>

/** By code, custom operators by name. */
const SPELLINGS: ReadonlyMap<number | string, Readable> = new Map(
  [...[...OPS.values()].flatMap((op) => op.spelled.tflite ?? []), ...TFLITE_READINGS]
    .filter((spelling): spelling is Readable => spelling.read !== undefined)
    .map((spelling) => [keyOf(spelling), spelling]),
)

/**
 * The graph that a .tflite file holds: subgraph 0, its operators in their order. Values carry the file's tensor names
 * (made unique) and numbers; a layer is named by its first output. Throws ModelError for anything that is damaged or
 * not supported.
 */
export function readTflite(bytes: Uint8Array): Graph {
  if (bytes.length < 8 || String.fromCharCode(...bytes.subarray(4, 8)) !== IDENTIFIER)
    throw new ModelError('.tflite file', `does not have "${IDENTIFIER}" at byte 4`, 'is this another kind of file?')
  const model = Table.root(bytes)
  const version = model.get(MODEL.version)
  if (version !== 3)
    throw new ModelError('.tflite file', `has schema version ${version}, supported is 3`, 'convert the model again')
  const main = model.get(MODEL.subgraphs)?.[0]
  if (!main) throw new ModelError('.tflite file', 'holds no subgraph', DAMAGED)
  const operators = operatorsOf(model, main)
  return new Importer(model, main, operators, FOLD_BYTES + 8 * bytes.length).graph()
}

/** One operator of the file with its spelling found and its tensor numbers read. */
interface Operator {
  readonly table: Table
  readonly spelling: Readable
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
}

/** Throws ModelError that names every operator without a spelling. */
function operatorsOf(model: Table, main: Table): Operator[] {
  const codes = (model.get(MODEL.operator_codes) ?? []).map((table) => {
    const code = Math.max(table.get(OPERATOR_CODE.deprecated_builtin_code), table.get(OPERATOR_CODE.builtin_code))
    const custom = code === CUSTOM ? (table.get(OPERATOR_CODE.custom_code) ?? '') : undefined
    const name = custom === undefined ? operatorName(code) : `custom "${custom}"`
    return { name, spelling: SPELLINGS.get(custom ?? code) }
  })
  const missing = new Map<string, number>()
  const operators = (main.get(SUBGRAPH.operators) ?? []).flatMap((table, i): Operator[] => {
    const index = table.get(OPERATOR.opcode_index)
    if (index >= codes.length)
      throw new ModelError(`operator ${i}`, `has code number ${index}, the file has ${codes.length} codes`, DAMAGED)
    const { name, spelling } = codes[index]
    const outputs = table.get(OPERATOR.outputs) ?? []
    if (spelling) return [{ table, spelling, inputs: table.get(OPERATOR.inputs) ?? [], outputs }]
    if (!missing.has(name)) missing.set(name, outputs[0] ?? -1)
    return []
  })
  if (missing.size > 0) refuse(main, missing)
  return operators
}

function refuse(main: Table, missing: ReadonlyMap<string, number>): never {
  const [[name, tensor], ...others] = missing
  const table = main.get(SUBGRAPH.tensors)?.[tensor]
  const layer = table && (table.get(TENSOR.name) || `tensor_${tensor}`)
  const more = others.length > 0 ? `, nor are ${others.map(([other]) => other).join(', ')}` : ''
  const supported = [...SPELLINGS.values()].map((s) => s.name).sort()
  throw new ModelError(
    layer ? `layer "${layer}"` : 'model',
    `operator ${name} is not supported${more}`,
    `supported are ${supported.join(', ')}; leave such layers out of the model, or express them by these`,
  )
}

/** A tensor as the file describes it. */
interface Description {
  readonly name: string
  readonly table: Table
}

class Importer {
  private readonly model: Table
  private readonly main: Table
  private readonly constants: number
  private readonly operators: readonly Operator[]
  private readonly build: Builder
  private readonly buffers: readonly Table[]
  private readonly tensors: readonly Description[]
  /** The value of each tensor, once it is known. */
  private readonly values = new Map<number, Value>()
  private readonly producer = new Map<number, number>()
  /** uint8 tensors that are read as int8, 128 lower. */
  private readonly recentred = new Set<number>()
  /** Tensors of one element type that share a buffer share its copy. */
  private readonly copies = new Map<string, Data>()

  constructor(model: Table, main: Table, operators: readonly Operator[], constants: number) {
    this.model = model
    this.main = main
    this.constants = constants
    this.operators = operators
    this.build = new Builder(main.get(SUBGRAPH.name) || 'model', { constants })
    this.buffers = model.get(MODEL.buffers) ?? []
    const tables = main.get(SUBGRAPH.tensors) ?? []
    const names = uniqueNames(tables.map((table, i) => table.get(TENSOR.name) || `tensor_${i}`))
    this.tensors = tables.map((table, i) => ({ name: names[i], table }))
    operators.forEach(({ outputs }, i) => {
      for (const t of outputs) if (!this.producer.has(t)) this.producer.set(t, i)
    })
    for (const { spelling, inputs, outputs } of operators)
      if (!KEEPS_UINT8.has(spelling.name))
        for (const t of [...inputs, ...outputs]) if (this.isQuantisedUint8(t)) this.recentred.add(t)
  }

  private isQuantisedUint8(t: number): boolean {
    const table = this.tensors[t]?.table
    return (
      table?.get(TENSOR.type) === TYPE_CODES.u8 &&
      (table.get(TENSOR.quantization)?.get(QUANTIZATION.scale)?.length ?? 0) > 0
    )
  }

  /** A graph input: a recentred one is what the file says, followed by its int8 form. */
  private input(t: number, name: string): Value {
    if (!this.recentred.has(t)) return this.build.input(name, this.type(t), t)
    const type = this.type(t)
    const x = this.build.input(name, uint8Of(type), t)
    return this.build.one(quantize, [x], { dtype: 'i8' }, { types: [type], names: [`${name}/int8`], from: name })
  }

  /** A graph output: a recentred one becomes uint8 again. */
  private output(t: number): Value {
    const v = this.value(t, 'model')
    if (!this.recentred.has(t)) return v
    const { name } = this.tensors[t]
    const types = [uint8Of(v.type)]
    return this.build.one(quantize, [v], { dtype: 'u8' }, { types, names: [`${name}/uint8`], from: name })
  }

  /** The variable that each handle of this subgraph stands for, by tensor. */
  private handles(): Map<number, string> {
    return new Map(
      this.of(tfliteVarHandle).map(({ table, spelling, outputs }) => {
        const { shared_name: name } = optionsOf(table, spelling, spelling.name)
        return [outputs[0], String(name ?? '')]
      }),
    )
  }

  private of({ code }: Pick<TfliteSpelling, 'code'>): Operator[] {
    return this.operators.filter(({ spelling }) => spelling.code === code)
  }

  /** What this subgraph writes to variables, or reads of them. */
  private accesses(spelling: TfliteSpelling): { name: string; tensor: number }[] {
    const handles = this.handles()
    return this.of(spelling).map(({ inputs, outputs }) => {
      const tensor = spelling === tfliteAssignVariable ? inputs[1] : outputs[0]
      const name = handles.get(inputs[0])
      this.tensor(tensor, spelling.name)
      return { name: name ?? refused(spelling.name, `reads tensor ${inputs[0]}, which is no handle`, DAMAGED), tensor }
    })
  }

  /** The subgraphs that give variables their first content. */
  private initial(): Importer[] {
    return this.of(tfliteCallOnce).map(({ table, spelling }) => {
      const index = Number(optionsOf(table, spelling, spelling.name).init_subgraph_index)
      const graph =
        this.model.get(MODEL.subgraphs)?.[index] ??
        refused(spelling.name, `runs subgraph ${index}, which is none`, DAMAGED)
      const operators = operatorsOf(this.model, graph)
      const other = operators.find(({ spelling: { code } }) => !INITIAL.has(code))
      if (other)
        refused(spelling.name, `runs ${other.spelling.name}, supported are constants that are assigned to variables`)
      return new Importer(this.model, graph, operators, this.constants)
    })
  }

  /** Makes each variable a state: its handles stand for it. */
  private resolveVariables(): void {
    const handles = this.handles()
    if (handles.size === 0) return
    const initial = this.initial().flatMap((part) =>
      part.accesses(tfliteAssignVariable).map(({ name, tensor }) => {
        const data = part.data(tensor) ?? refused('CALL_ONCE', `assigns to "${name}" what is no constant`)
        return { name, type: part.type(tensor), data }
      }),
    )
    const seen = [
      ...initial,
      ...[tfliteAssignVariable, tfliteReadVariable].flatMap((spelling) =>
        this.accesses(spelling).map(({ name, tensor }) => ({ name, type: this.type(tensor), data: undefined })),
      ),
    ]
    const states = new Map<string, Value>()
    for (const { name, type, data } of seen)
      if (!states.has(name)) states.set(name, this.build.state(name || 'variable', type, data ?? initialState(type)))
    for (const [t, name] of handles) {
      const state = states.get(name)
      if (state) this.values.set(t, state)
    }
  }

  graph(): Graph {
    for (const t of this.main.get(SUBGRAPH.inputs) ?? []) {
      const { name } = this.tensor(t, 'model')
      if (this.values.has(t)) throw new ModelError(`input "${name}"`, 'is listed twice', DAMAGED)
      this.values.set(t, this.input(t, name))
    }
    this.resolveVariables()
    this.operators.forEach(({ spelling: { code } }, i) => {
      if (code !== tfliteVarHandle.code && code !== tfliteCallOnce.code) this.node(i)
    })
    const outputs = (this.main.get(SUBGRAPH.outputs) ?? []).map((t) => this.output(t))
    if (outputs.length === 0) throw new ModelError('model', 'has no outputs', DAMAGED)
    return verify(this.build.graph(outputs))
  }

  private tensor(t: number, where: string): Description {
    return (
      this.tensors[t] ?? refused(where, `refers to tensor ${t}, the file has ${this.tensors.length} tensors`, DAMAGED)
    )
  }

  private node(i: number): void {
    const { table, spelling, inputs, outputs } = this.operators[i]
    const names = outputs.map((t) => this.tensor(t, `operator ${i} (${spelling.name})`).name)
    const from = names[0] ?? `${spelling.name}_${i}`
    const where = `${spelling.name} "${from}"`
    const own = new Set<number>()
    for (const [k, t] of outputs.entries()) {
      if (this.values.has(t) || own.has(t))
        throw new ModelError(where, `computes "${names[k]}", which is an input or computed already`, DAMAGED)
      if (this.tensors[t].table.get(TENSOR.is_variable) || (this.bytes(t)?.length ?? 0) > 0)
        throw new ModelError(where, `computes "${names[k]}", which is a constant or a variable`, DAMAGED)
      own.add(t)
    }
    if ((outputs.length === 0) !== (spelling.silent === true))
      throw new ModelError(where, outputs.length ? 'has outputs' : 'has no outputs', DAMAGED)
    if (inputs.length === 0 || inputs[0] === -1) throw new ModelError(where, 'has no first input', DAMAGED)
    this.build.from = from
    const node: TfliteNode = {
      inputs: inputs.map((t) => (t === -1 ? undefined : this.value(t, where, i))),
      options: optionsOf(table, spelling, where),
      unsigned: outputs.length > 0 && this.recentred.has(outputs[0]),
      result: { types: outputs.map((t) => this.type(t)), names, indices: outputs, from },
    }
    const results = understood(where, 'options', () => spelling.read(this.build, node))
    if (results.length < outputs.length)
      throw new ModelError(where, `has ${outputs.length} outputs, this operator computes ${results.length}`, DAMAGED)
    outputs.forEach((t, k) => {
      this.values.set(t, results[k])
    })
  }

  /** The value of a tensor that is read: by operator `reader`, or by the model's outputs. */
  private value(t: number, where: string, reader = this.operators.length): Value {
    const { name, table } = this.tensor(t, where)
    let v = this.values.get(t)
    if (v) return v
    if (table.get(TENSOR.is_variable)) {
      const type = this.type(t)
      v = this.build.state(name, type, initialState(type), t)
    } else {
      const data = this.data(t)
      if (!data) {
        const by = this.producer.get(t)
        if (by !== undefined && by >= reader)
          throw new ModelError(
            where,
            `reads "${name}" before ${this.operators[by].spelling.name} computes it`,
            'operators must be stored in the order of their execution',
          )
        throw new ModelError(where, `reads "${name}", which has no data and which nothing computes`, DAMAGED)
      }
      v = this.build.const(name, this.type(t), data, t)
    }
    this.values.set(t, v)
    return v
  }

  private type(t: number): TensorType {
    const { name, table } = this.tensors[t]
    const where = `tensor "${name}"`
    const code = table.get(TENSOR.type)
    const stored = dtypeOfCode(code)
    const dtype = this.isPacked(t) ? 'i8' : stored
    if (!stored || !dtype)
      throw new ModelError(
        where,
        `has elements of type ${typeName(code)}; supported are ${Object.keys(TYPE_CODES).join(', ')}`,
      )
    const shape = table.get(TENSOR.shape) ?? []
    if (shape.length > MAX_RANK)
      throw new ModelError(where, `has ${shape.length} dimensions, supported are up to ${MAX_RANK}`)
    if (shape.some((d) => d < 0))
      throw new ModelError(where, `has the unknown shape [${shape}]`, 'convert the model with fixed input shapes')
    if (table.get(TENSOR.sparsity))
      throw new ModelError(where, 'is stored sparse', 'convert the model without sparse storage')
    if (bytesOf({ dtype, shape }) > MAX_BYTES)
      throw new ModelError(where, `has shape [${shape}], that is more than ${MAX_BYTES} bytes`)
    const quant = ['f64', 'f32', 'f16', 'u64', 'u32', 'bool'].includes(dtype)
      ? undefined
      : quantOfTensor(table, { dtype: stored, shape }, where)
    if (quant && this.recentred.has(t))
      return { dtype: 'i8', shape, quant: { ...quant, zero: quant.zero.map((z) => z - 128) } }
    return { dtype, shape, ...(quant && { quant }) }
  }

  /** The stored bytes of a tensor; undefined or empty where it has none. */
  private bytes(t: number): Uint8Array | undefined {
    const { name, table } = this.tensors[t]
    if (table.get(TENSOR.external_buffer) !== 0)
      throw new ModelError(`tensor "${name}"`, 'has its data in another file', 'convert the model into one file')
    const index = table.get(TENSOR.buffer)
    if (index === 0 && this.buffers.length === 0) return undefined
    if (index >= this.buffers.length)
      throw new ModelError(
        `tensor "${name}"`,
        `has its data in buffer ${index}, the file has ${this.buffers.length} buffers`,
        DAMAGED,
      )
    const buffer = this.buffers[index]
    const offset = buffer.get(BUFFER.offset)
    return offset > 1 ? buffer.outside(offset, buffer.get(BUFFER.size)) : buffer.get(BUFFER.data)
  }

  /** Whether a constant has elements below 8 bits: they become int8. */
  private isPacked(t: number): boolean {
    const dtype = dtypeOfCode(this.tensors[t].table.get(TENSOR.type))
    return (dtype === 'i4' || dtype === 'i2') && (this.bytes(t)?.length ?? 0) > 0
  }

  /** The stored bytes of a tensor, of a packed constant one for each element. */
  private elements(t: number): Uint8Array {
    const bytes = this.bytes(t) ?? new Uint8Array(0)
    if (!this.isPacked(t)) return bytes
    const { table, name } = this.tensors[t]
    const bits = dtypeOfCode(table.get(TENSOR.type)) === 'i4' ? 4 : 2
    const n = count(table.get(TENSOR.shape) ?? [])
    const each = 8 / bits
    if (bytes.length !== Math.ceil(n / each))
      throw new ModelError(
        `tensor "${name}"`,
        `has ${n} elements of ${bits} bits, that is ${Math.ceil(n / each)} bytes, its data has ${bytes.length}`,
        DAMAGED,
      )
    const top = 32 - bits
    return Uint8Array.from(
      { length: n },
      (_, i) => ((bytes[Math.floor(i / each)] >> (bits * (i % each))) << top) >> top,
    )
  }

  /** The data of a constant, copied and aligned; undefined where the tensor has none. */
  private data(t: number): Data | undefined {
    const bytes = this.elements(t)
    const type = this.type(t)
    if (bytes.length === 0 && bytesOf(type) > 0) return undefined
    if (bytes.length !== bytesOf(type))
      throw new ModelError(
        `tensor "${this.tensors[t].name}"`,
        `is ${type.dtype}[${type.shape}], that is ${bytesOf(type)} bytes, its data has ${bytes.length}`,
        DAMAGED,
      )
    const elem = elemOf(type.dtype)
    const key = `${this.tensors[t].table.get(TENSOR.buffer)} ${elem}`
    let data = this.copies.get(key)
    if (!data) {
      data = newData(elem ?? 'u8', elem ? count(type.shape) : bytes.length)
      new Uint8Array(data.buffer).set(this.recentred.has(t) ? bytes.map((b) => b ^ 0x80) : bytes)
      this.copies.set(key, data)
    }
    return data
  }
}

/** What a subgraph of first contents may hold. */
const INITIAL: ReadonlySet<number> = new Set([tfliteVarHandle.code, tfliteAssignVariable.code])

/** Operators whose uint8 stays what it is: the way in and out of models that are int8 inside, and averages, which round. */
const KEEPS_UINT8: ReadonlySet<string> = new Set(['QUANTIZE', 'DEQUANTIZE', 'CAST', 'AVERAGE_POOL_2D'])

/** The type that a recentred tensor has in the file. */
function uint8Of({ shape, quant }: TensorType): TensorType {
  return { dtype: 'u8', shape, quant: { ...quant!, zero: quant!.zero.map((z) => z + 128) } }
}

function refused(where: string, what: string, hint?: string): never {
  throw new ModelError(where, what, hint)
}
