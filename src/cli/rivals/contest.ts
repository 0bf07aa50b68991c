// Times several runtimes of one model in one JavaScript engine, in turns. The functions here are sent to the engine as their
// own text, so each stands alone: no imports, no names from outside.

/** How numbers go into a runtime and come out. */
export interface Given {
  /** Addresses of the runtime's package folders, by the package's name. */
  readonly packages: Readonly<Record<string, string>>
  /** Address of the model's file, or of mote's loader. */
  readonly model: string
  readonly inputs: readonly {
    readonly name: string
    readonly dtype: string
    readonly shape: readonly number[]
    readonly values: readonly number[]
  }[]
  readonly outputs: readonly string[]
  /** Loads a JavaScript module, or a classic script, by its address. */
  importModule(address: string): Promise<Record<string, unknown>>
  importScript(address: string): Promise<void>
  bytes(address: string): Promise<Uint8Array>
}

export interface Opened {
  /** Other numbers than those of `Given`, from now on. */
  give(inputs: readonly ArrayLike<number>[]): void
  run(): unknown
  outputs(): Promise<number[][]> | number[][]
  /** Bytes of WebAssembly memory, where they can be seen. */
  memory?(): number
}

export type Opener = (given: Given) => Promise<Opened>

export interface Settings {
  readonly samples: number
  /** One sample lasts at least so long: as many runs as that takes. */
  readonly sampleMs: number
}

export interface Score {
  readonly name: string
  readonly error?: string
  readonly loadMs?: number
  readonly firstMs?: number
  readonly us?: readonly number[]
  readonly runs?: number
  readonly outputs?: readonly (readonly number[])[]
  readonly memoryBytes?: number
}

/** Loads all, warms them up, and times them in turns. What fails is named and left out. */
export async function contest(
  contestants: readonly { readonly name: string; readonly open: () => Promise<Opened> }[],
  { samples, sampleMs }: Settings,
): Promise<Score[]> {
  const scores: Record<string, unknown>[] = []
  const running: { score: Record<string, unknown>; opened: Opened; runs: number; us: number[] }[] = []
  for (const { name, open } of contestants) {
    const score: Record<string, unknown> = { name }
    scores.push(score)
    try {
      const start = performance.now()
      const opened = await open()
      const loaded = performance.now()
      await opened.run()
      const first = performance.now()
      score.loadMs = loaded - start
      score.firstMs = first - loaded
      score.outputs = await opened.outputs()
      let runs = 0
      while (performance.now() - first < 200 || runs < 3) {
        await opened.run()
        runs++
      }
      const each = (performance.now() - first) / runs
      running.push({ score, opened, runs: Math.max(1, Math.ceil(sampleMs / each)), us: [] })
    } catch (error) {
      score.error = error instanceof Error ? `${error.message}` : String(error)
    }
  }
  for (let s = 0; s < samples; s++)
    for (const r of running) {
      const start = performance.now()
      for (let k = 0; k < r.runs; k++) {
        const pending = r.opened.run()
        if (pending instanceof Promise) await pending
      }
      r.us.push(((performance.now() - start) * 1000) / r.runs)
    }
  for (const { score, opened, runs, us } of running) {
    score.us = us
    score.runs = runs * us.length
    if (opened.memory) score.memoryBytes = opened.memory()
  }
  return scores as unknown as Score[]
}

/** What mote's compiler wrote. */
export const openMote: Opener = async ({ importModule, model, inputs, outputs }) => {
  const { load } = (await importModule(model)) as { load(): Promise<{ run(given: object): Record<string, unknown> }> }
  const types: Record<string, { from(values: ArrayLike<number>): unknown }> = {
    ...{ float32: Float32Array, int8: Int8Array, uint8: Uint8Array, int16: Int16Array, int32: Int32Array },
  }
  const program = await load()
  let given: object = {}
  const give = (all: readonly ArrayLike<number>[]) => {
    given = Object.fromEntries(inputs.map(({ name, dtype }, i) => [name, types[dtype].from(all[i])]))
  }
  give(inputs.map(({ values }) => values))
  let last: Record<string, unknown> = {}
  return {
    give,
    run() {
      last = program.run(given)
    },
    outputs: () => outputs.map((name) => Array.from(last[name] as Iterable<number>)),
  }
}

/** ONNX Runtime, native or WebAssembly: the module has sessions alike. */
export const openOnnxRuntime: Opener = async ({ importModule, bytes, packages, model, inputs, outputs }) => {
  const native = packages['onnxruntime-node']
  const address = native ? `${native}/dist/index.js` : `${packages['onnxruntime-web']}/dist/ort.wasm.min.mjs`
  interface Session {
    readonly inputNames: readonly string[]
    readonly outputNames: readonly string[]
    run(feeds: object): Promise<Record<string, { data: Iterable<number> }>>
  }
  const module = await importModule(address)
  const ort = (module.InferenceSession ? module : module.default) as {
    env: { wasm: { numThreads: number; wasmPaths: string } }
    Tensor: new (dtype: string, data: unknown, shape: readonly number[]) => unknown
    InferenceSession: { create(bytes: Uint8Array, options: object): Promise<Session> }
  }
  if (!native) {
    ort.env.wasm.numThreads = 1
    ort.env.wasm.wasmPaths = `${packages['onnxruntime-web']}/dist/`
  }
  const arrays: Record<string, { from(values: ArrayLike<number>): unknown }> = {
    ...{ float32: Float32Array, int8: Int8Array, uint8: Uint8Array, int16: Int16Array, int32: Int32Array },
  }
  const options = {
    ...{ graphOptimizationLevel: 'all', executionProviders: [native ? 'cpu' : 'wasm'] },
    ...{ intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 },
  }
  const session = await ort.InferenceSession.create(await bytes(model), options)
  let feeds: object = {}
  const give = (all: readonly ArrayLike<number>[]) => {
    const tensors = inputs.map(({ dtype, shape }, i) => new ort.Tensor(dtype, arrays[dtype].from(all[i]), shape))
    feeds = Object.fromEntries(session.inputNames.map((name, i) => [name, tensors[i]]))
  }
  give(inputs.map(({ values }) => values))
  let last: Record<string, { data: Iterable<number> }> = {}
  return {
    give,
    async run() {
      last = await session.run(feeds)
    },
    outputs: () => outputs.map((_, i) => Array.from(last[session.outputNames[i]].data, Number)),
  }
}

/** LiteRT.js; it takes float32, int32 and uint8. */
export const openLiteRt: Opener = async ({ importModule, bytes, packages, model, inputs }) => {
  interface Tensor {
    delete(): void
    toTypedArray(): Iterable<number>
  }
  const root = packages['@litertjs/core']
  const { loadLiteRt, loadAndCompile, Tensor } = (await importModule(`${root}/dist/index.js`)) as unknown as {
    loadLiteRt(address: string, options: object): Promise<void>
    loadAndCompile(bytes: Uint8Array, options: object): Promise<{ run(inputs: Tensor[]): Promise<Tensor[]> | Tensor[] }>
    Tensor: new (data: unknown, shape: readonly number[]) => Tensor
  }
  await loadLiteRt(`${root}/wasm/`, { threads: false })
  const compiled = await loadAndCompile(await bytes(model), { accelerator: 'wasm', cpuOptions: { numThreads: 1 } })
  const arrays: Record<string, { from(values: ArrayLike<number>): unknown }> = {
    ...{ float32: Float32Array, uint8: Uint8Array, int32: Int32Array },
  }
  let tensors: Tensor[] = []
  const give = (all: readonly ArrayLike<number>[]) => {
    for (const tensor of tensors) tensor.delete()
    tensors = inputs.map(({ dtype, shape }, i) => {
      if (!arrays[dtype]) throw new Error(`LiteRT.js takes no ${dtype}`)
      return new Tensor(arrays[dtype].from(all[i]), shape)
    })
  }
  give(inputs.map(({ values }) => values))
  let last: Tensor[] = []
  return {
    give,
    async run() {
      for (const tensor of last) tensor.delete()
      last = await compiled.run(tensors)
    },
    outputs: () => last.map((tensor) => Array.from(tensor.toTypedArray())),
  }
}

/** The runner under tfjs-tflite, without TensorFlow.js around it. */
export const openTfjsTflite: Opener = async ({ importScript, bytes, packages, model, inputs }) => {
  const root = `${packages['@tensorflow/tfjs-tflite']}/wasm/`
  await importScript(`${root}tflite_web_api_client.js`)
  interface Elements extends Iterable<number> {
    readonly constructor: { from(values: ArrayLike<number>): Elements }
    set(values: Elements): void
  }
  interface Info {
    data(): Elements
  }
  const { tfweb } = globalThis as unknown as {
    tfweb: {
      tflite_web_api: { setWasmPath(path: string): void }
      TFLiteWebModelRunner: {
        create(
          model: ArrayBufferLike,
          options: object,
        ): Promise<{ getInputs(): Info[]; getOutputs(): Info[]; infer(): boolean }>
      }
    }
  }
  tfweb.tflite_web_api.setWasmPath(root)
  const runner = await tfweb.TFLiteWebModelRunner.create((await bytes(model)).slice().buffer, { numThreads: 1 })
  const ports = runner.getInputs()
  let given: Elements[] = []
  const give = (all: readonly ArrayLike<number>[]) => {
    given = ports.map((info, i) => info.data().constructor.from(all[i]))
  }
  give(inputs.map(({ values }) => values))
  return {
    give,
    run() {
      for (const [i, info] of ports.entries()) info.data().set(given[i])
      if (!runner.infer()) throw new Error('infer answers false')
    },
    outputs: () => runner.getOutputs().map((info) => Array.from(info.data())),
  }
}
