// The public interface of the library. All of it runs in Node, in browsers and in workers.

export { type Quantized, type QuantizeOptions, quantizeGraph } from './compress/quantize/quantize.ts'
export type { Samples } from './compress/quantize/run.ts'
export { projectFiles } from './emit/c/project.ts'
export { relaxedVariant, type WebOptions, webFiles } from './emit/js/files.ts'
export { type CompileOptions, compile, type OutputFile, type Program } from './emit/program.ts'
export { BudgetError, InputError, ModelError, MoteError, ToolError } from './errors.ts'
export { writeOnnx } from './export/onnx.ts'
export { writeTflite } from './export/tflite.ts'
export { readModel } from './import/read.ts'
export { type Description, describeTflite } from './import/tflite_metadata.ts'
export { Builder, type NodeOptions } from './ir/build.ts'
export { loadGraph, saveGraph } from './ir/file.ts'
export {
  type DType,
  type Graph,
  type Node,
  type Quant,
  quantOf,
  type Storage,
  type TensorType,
  type Value,
} from './ir/graph.ts'
export { printGraph } from './ir/print.ts'
export type { Data } from './loops/ir.ts'
export * as ops from './ops/all.ts'
export type { Rounding } from './ops/optimizer/qas.ts'
export type { LayerReport, Plan } from './plan/plan.ts'
export { instantiate } from './run/instantiate.ts'
export { instantiateLearner, type LearningModel } from './run/learn.ts'
export type { Port, RunningModel, Trace } from './run/model.ts'
export { reference } from './run/reference.ts'
export { type ChooseOptions, type ChosenScheme, chooseScheme } from './train/choose.ts'
export type { Contributions, Examples, Notes } from './train/contribution.ts'
export { applyDelta, encodeDelta, type Values } from './train/delta.ts'
export { differentiate } from './train/grad.ts'
export { importanceOf } from './train/importance.ts'
export { learnedModel } from './train/learned.ts'
export { type ExtraMemory, extraMemory } from './train/memory.ts'
export { Replay, type ReplayOptions } from './train/replay.ts'
export type { LayerSelection, Scheme, Selection } from './train/scheme.ts'
export { parseScheme } from './train/scheme_file.ts'
export { type SplitModel, splitModel } from './train/split.ts'
export {
  appliedScheme,
  gradientStep,
  type Learning,
  type Optimizer,
  type StepOptions,
  type TrainingStep,
  trainingStep,
} from './train/step.ts'
