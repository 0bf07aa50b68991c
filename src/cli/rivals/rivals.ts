// `mote bench --against`: a model in other runtimes, beside mote's program in the same engine and in the same turns. Rivals are
// packages that the user installs; one that is missing or fails is named with its reason.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { relaxedVariant, webFiles } from '../../emit/js/files.ts'
import { jsPorts } from '../../emit/js/ports.ts'
import { compile } from '../../emit/program.ts'
import { writeOnnx } from '../../export/onnx.ts'
import { writeTflite } from '../../export/tflite.ts'
import { Builder } from '../../ir/build.ts'
import { type Graph, inputsOf, type Node, type TensorType, type Value } from '../../ir/graph.ts'
import type { Data } from '../../loops/ir.ts'
import { dequantize, quantize } from '../../ops/quantize/op.ts'
import { isFast } from '../../targets/target.ts'
import type { Given, Opener } from './contest.ts'
import { openLiteRt, openMote, openOnnxRuntime, openTfjsTflite } from './contest.ts'
import { type Contestant, type Engine, type EngineScore, packageFolder } from './engines.ts'

interface Rival {
  readonly package: string
  readonly format: 'onnx' | 'tflite'
  readonly engines: readonly Engine['kind'][]
  readonly open: Opener
  /** Takes numbers in float32 only: the model is given with float32 at its edges. */
  readonly floatEdges?: true
}

export const RIVALS: Readonly<Record<string, Rival>> = {
  onnxruntime: { package: 'onnxruntime-node', format: 'onnx', engines: ['node'], open: openOnnxRuntime },
  'onnxruntime-web': { package: 'onnxruntime-web', format: 'onnx', engines: ['page'], open: openOnnxRuntime },
  litert: { package: '@litertjs/core', format: 'tflite', engines: ['page'], open: openLiteRt, floatEdges: true },
  'tfjs-tflite': { package: '@tensorflow/tfjs-tflite', format: 'tflite', engines: ['page'], open: openTfjsTflite },
}

const real = ({ shape }: TensorType): TensorType => ({ dtype: 'f32', shape })

const isStored = (v: Value) => v.type.dtype === 'i8' && v.type.quant?.scale.length === 1

/** The same net with float32 in and out, where it has int8. */
function withFloatEdges(graph: Graph): Graph {
  if (![...graph.inputs, ...graph.outputs].some(isStored)) return graph
  const build = Builder.after({ ...graph, inputs: [], nodes: [] })
  const to = new Map<Value, Value>()
  for (const v of graph.inputs) {
    const x = build.input(`${v.name}/real`, isStored(v) ? real(v.type) : v.type)
    to.set(v, isStored(v) ? build.one(quantize, [x], { dtype: v.type.dtype }, { types: [v.type] }) : x)
  }
  const inner = build.graph([])
  const nodes = graph.nodes.map((n) => ({ ...n, inputs: n.inputs.map((v) => v && (to.get(v) ?? v)) }))
  const end = Builder.after({ ...inner, nodes: [...inner.nodes, ...nodes] })
  const outputs = graph.outputs.map((v) =>
    isStored(v) ? end.one(dequantize, [to.get(v) ?? v], {}, { types: [real(v.type)] }) : v,
  )
  return end.graph(outputs)
}

function writable(node: Node): boolean {
  try {
    const inputs = inputsOf(node).filter((v) => v.storage === 'temp')
    writeOnnx({ name: 'one', inputs, nodes: [node], outputs: node.outputs })
    return true
  } catch {
    return false
  }
}

const realValue = (v: Value, name: string): Value => ({
  name: `${v.name}/${name}`,
  type: real(v.type),
  storage: 'temp',
})

/** A node of int8 in float32, between a dequantisation and a quantisation. */
function between(node: Node): Node[] {
  const { from } = node
  const before: Node[] = []
  const inputs = node.inputs.map((v): Value | undefined => {
    if (!v || !isStored(v)) return v
    const x = realValue(v, `real for ${node.outputs[0].name}`)
    before.push({ op: dequantize as unknown as Node['op'], attrs: {}, inputs: [v], outputs: [x], from })
    return x
  })
  const outputs = node.outputs.map((v) => realValue(v, 'real'))
  const after = node.outputs.map((v, i): Node => {
    const attrs = { dtype: v.type.dtype, ties: 'even' }
    return { op: quantize as unknown as Node['op'], attrs, inputs: [outputs[i]], outputs: [v], from }
  })
  return [...before, { ...node, inputs, outputs }, ...after]
}

/** The same net as ONNX can say it; its rounding differs from TensorFlow Lite's in the last bit here and there. */
function asOnnx(graph: Graph): Graph {
  const nodes = graph.nodes.flatMap((node): Node[] => {
    if (!node.outputs.some(isStored)) return [node]
    if (node.op.quantize?.(node)?.scaling) return [{ ...node, attrs: { ...node.attrs, scaling: 'float' } }]
    return writable(node) ? [node] : between(node)
  })
  return { ...graph, nodes }
}

const DTYPES: Readonly<Record<string, string>> = { f32: 'float32', i8: 'int8', u8: 'uint8', i16: 'int16', i32: 'int32' }

function given(types: readonly TensorType[], names: readonly string[], inputs: readonly Data[]): Given['inputs'] {
  return types.map(({ dtype, shape }, i) => ({
    name: names[i],
    dtype: DTYPES[dtype] ?? dtype,
    shape,
    values: Array.from(inputs[i] as ArrayLike<number | bigint>, Number),
  }))
}

export interface RivalScore extends EngineScore {
  readonly engine: string
  /** The model was given with float32 at its edges. */
  readonly floatEdges?: boolean
}

/** A model, and the file that it came from. */
export interface Contested {
  readonly graph: Graph
  readonly file?: { readonly format: 'onnx' | 'tflite'; readonly bytes: Uint8Array }
}

/** What a rival reads: the user's own file where it can, else one that is written for it. */
function fileFor({ graph, file }: Contested, own: Graph, { format }: Rival): Uint8Array {
  if (own === graph && file?.format === format) return file.bytes
  return format === 'onnx' ? writeOnnx(asOnnx(own)) : writeTflite(own)
}

/** mote's program with fused multiply-adds, where a model has sums of float32. */
export const MOTE_FAST = 'mote, fast'

/** Every engine's scores: mote's first, then the rivals that the engine can run. */
export async function compare(
  contested: Contested,
  inputs: readonly Data[],
  rivals: readonly string[],
  engines: readonly Engine[],
  progress: (what: string) => void,
): Promise<RivalScore[]> {
  const { graph } = contested
  const folder = mkdtempSync(join(tmpdir(), 'mote-'))
  try {
    const program = compile(graph, { name: 'model' })
    for (const { name, data } of webFiles(program, { variants: relaxedVariant(graph) }))
      writeFileSync(join(folder, name), data)
    const ports = jsPorts(program.plan.graph, {})
    const types = graph.inputs.map((v) => v.type)
    const mote: Contestant = {
      ...{ name: 'mote', open: openMote, packages: {}, model: join(folder, 'model.js') },
      inputs: given(
        types,
        ports.inputs.map((p) => p.key),
        inputs,
      ),
      outputs: ports.outputs.map((p) => p.key),
    }
    const ours = [mote]
    if (compile(graph, { fast: true }).plan.steps.some((step) => isFast(step.recipe))) {
      for (const { name, data } of webFiles(
        { ...program, name: 'fast' },
        { variants: relaxedVariant(graph, { fast: true }) },
      ))
        writeFileSync(join(folder, name), data)
      ours.push({ ...mote, name: MOTE_FAST, model: join(folder, 'fast.js') })
    }
    const scores: RivalScore[] = []
    for (const engine of engines) {
      const contestants = [...ours]
      for (const name of rivals) {
        const rival = RIVALS[name]
        if (!rival.engines.includes(engine.kind)) continue
        const installed = packageFolder(rival.package)
        const fail = (error: string) => scores.push({ engine: engine.name, name, error })
        if (!installed) {
          fail(`not installed: npm install --no-save ${rival.package}`)
          continue
        }
        try {
          const own = rival.floatEdges ? withFloatEdges(graph) : graph
          const model = join(folder, `${name}.${rival.format}`)
          writeFileSync(model, fileFor(contested, own, rival))
          const reals = graph.inputs.map((v, i) => {
            if (own === graph || v.type.dtype !== 'i8' || !v.type.quant) return inputs[i]
            const { scale, zero } = v.type.quant
            return Float32Array.from(inputs[i] as Int8Array, (q) => scale[0] * (q - zero[0]))
          })
          contestants.push({
            ...{ name, open: rival.open, packages: { [rival.package]: installed }, model },
            inputs: given(
              own.inputs.map((v) => v.type),
              own.inputs.map((v) => v.name),
              reals,
            ),
            outputs: own.outputs.map((v) => v.name),
          })
        } catch (error) {
          fail(error instanceof Error ? error.message : String(error))
        }
      }
      progress(`${graph.name} in ${engine.name}: ${contestants.map((c) => c.name).join(', ')} …`)
      const samples = { samples: 30, sampleMs: 5 }
      const found = await engine.run(contestants, samples)
      scores.push(...found.map((s) => ({ ...s, engine: engine.name, floatEdges: RIVALS[s.name]?.floatEdges })))
    }
    return scores
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
