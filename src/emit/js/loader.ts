// The loader of a WebAssembly program as JavaScript: one module without dependencies, for pages, bundlers, workers and Node.
// Beside it two small ones that run the same program in a worker: the page's side and the worker's.

import { type LearnOptions, learnMethods, learnSetup } from './learn.ts'
import { facts, type JsPort, type JsPorts } from './ports.ts'
import type { ThreadOptions } from './threads.ts'
import { WEIGHTS_HEADER } from './weights.ts'

/** A second module of the same model, for engines in which `probe`, a small module, has an export `ok` that returns 1. */
export interface Variant {
  readonly wasm: Uint8Array
  readonly probe: Uint8Array
  /** Pages of its memory, where threads share it. */
  readonly pages?: number
}

export interface LoaderOptions {
  readonly labels?: readonly string[]
  /** The weights are a file of their own. */
  readonly separate: boolean
  /** Second modules by what comes between the program's name and `.wasm`; the first whose probe is content is taken. */
  readonly variants: Readonly<Record<string, Variant>>
  /** Runs are shared by threads. */
  readonly threads?: ThreadOptions
  /** The program learns. */
  readonly learning?: LearnOptions
}

/** Plain data as JavaScript: text in single quotes, keys without. */
export function literal(data: unknown): string {
  if (typeof data === 'string')
    return `'${JSON.stringify(data).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`
  if (Array.isArray(data)) return `[${data.map(literal).join(', ')}]`
  if (typeof data !== 'object' || data === null) return String(data)
  const fields = Object.entries(data).map(([key, x]) => `${key}: ${literal(x)}`)
  return `{ ${fields.join(', ')} }`
}

const table = (ports: readonly JsPort[]) => ports.map((p) => `  ${p.key}: ${literal(facts(p))},\n`).join('')

/** By element type: the array, and the range of elements that are quantised. */
function arrays({ inputs, outputs }: JsPorts): string {
  const rows = new Map<string, string>()
  for (const { dtype, array, range } of [...inputs, ...outputs])
    if (range || !rows.has(dtype)) rows.set(dtype, [array, ...(range ? [range.min, range.max] : [])].join(', '))
  return [...rows].map(([dtype, row]) => `${dtype}: [${row}]`).join(', ')
}

/** What a loader may have, in bytes: what it says at length is said without spaces where it would have more. */
const MOST = 3072

const tabbed = (text: string) => text.replace(/^(?: {2})+/gm, (spaces) => '\t'.repeat(spaces.length / 2))

const squeezed = (text: string) =>
  text
    .replace(
      /(\/\/.*|'(?:[^'\\]|\\.)*'|`[^`]*`)|[ \t]*([=<>!?:{}()[\],+*/&|]+)[ \t]*/g,
      (_, kept, marks) => kept ?? marks,
    )
    .replace(/\n\s+/g, '\n')

function fitted(text: string): string {
  const written = tabbed(text)
  return new TextEncoder().encode(written).length > MOST ? squeezed(text) : written
}

/** Element = zero + real / scale in float32, rounded half away from zero and saturated, as `quantizeReal` has it. */
const QUANTIZE = `
const { fround, max, min, sign, trunc } = Math
export const quantize = ({ dtype, scale, zero }, reals) => {
  const [Type, low, high] = types[dtype]
  return Type.from(reals, (x) => {
    x = fround(fround(x) / fround(scale))
    return min(high, max(low, zero + trunc(x + sign(x) / 2)))
  })
}
export const dequantize = ({ scale, zero }, stored) => Float32Array.from(stored, (x) => fround(scale) * (x - zero))
`

const RUNS = `
function runs(probe) {
  try {
    const code = Uint8Array.from(atob(probe), (c) => c.charCodeAt())
    return new WebAssembly.Instance(new WebAssembly.Module(code)).exports.ok() === 1
  } catch {}
}
`

const CHECKED_WEIGHTS = `
  const [layout, hash] = new Int32Array(Uint8Array.from(data.subarray(8, ${WEIGHTS_HEADER})).buffer)
  const bytes = data.subarray(${WEIGHTS_HEADER})
  same('weights of another model: layout', layout, exports.layout.value)
  same('damaged weights: hash', bytes.reduce((n, b) => Math.imul(n ^ b, 0x1000193), 0x811c9dc5 | 0), hash)
  new Uint8Array(exports.memory.buffer).set(bytes)`

const shared = (name: string) => `
  const { start } = await import('./${name}.pool.js')
  const pool = await start(made.module ?? code, memory, threads, fallback)
  if (pool[0]) run = () => exports.run_with(pool.length + 1)`

/** Lines of `load` that open what it was given. */
function instanceText(separate: boolean, threads?: ThreadOptions): string {
  const open = separate ? 'const [code, data] = await Promise.all([open(module), open(weights)])\n  ' : ''
  if (!threads) return `${open}const made = await WebAssembly.instantiate(${separate ? 'code' : 'await open(module)'})`
  const { pages } = threads
  return `${open || 'const code = await open(module)\n  '}const memory = new WebAssembly.Memory({ initial: ${pages}, maximum: ${pages}, shared: true })
  const made = await WebAssembly.instantiate(code, { env: { memory } })`
}

/**
 * `<name>.js`. `face` is what the module exports as `interface`. What fetch gives is known by its headers: in Node the mere
 * name `Response` loads a client for HTTP, which takes 20 ms.
 */
export function loaderText(name: string, ports: JsPorts, face: number, options: LoaderOptions): string {
  const { labels, separate, variants, threads, learning } = options
  const quantised = [...ports.inputs, ...ports.outputs].some((p) => p.scale !== undefined)
  const url = (file: string) => `new URL('./${file}', import.meta.url)`
  const choice = Object.entries(variants).map(
    ([suffix, { probe }]) => `runs('${btoa(String.fromCharCode(...probe))}') ? ${url(`${name}.${suffix}.wasm`)} : `,
  )
  return fitted(`// Runs ${name}.wasm. Written by mote

export const inputs = {
${table(ports.inputs)}}
export const outputs = {
${table(ports.outputs)}}
${labels ? `export const labels = ${literal(labels)}\n` : ''}const types = { ${arrays(ports)} }
${quantised ? QUANTIZE : ''}${choice.length > 0 ? RUNS : ''}
async function open(x) {
  x = await x
  if (typeof x === 'string' || x instanceof URL) {
    const fs = /^file:/.test(x) && globalThis.process?.getBuiltinModule?.('fs')
    x = fs ? fs.readFileSync(new URL(x)) : await fetch(x)
  }
  if (x.headers) {
    const type = x.headers.get('content-type')
    if (!x.ok || /html/.test(type)) throw Error(\`\${x.url} answers \${x.status} \${type}\`)
    if (/^application.wasm/.test(type)) return WebAssembly.compileStreaming(x)
    x = new Uint8Array(await x.arrayBuffer())
  }
  return x
}

function same(what, a, b) {
  if (a !== b) throw Error(\`\${what} \${a}, expected \${b}\`)
}

const views = ({ memory, ...at }, kind, ports) =>
  Object.entries(ports).map(([key, { dtype, length }], i) => [
    key,
    new types[dtype][0](memory.buffer, at[kind + ${learning ? "(kind === 'output' ? i + 1 : i)" : 'i'}].value, length),
  ])

export async function load({
  module = ${choice.join('')}${url(`${name}.wasm`)},${separate ? `\n  weights = ${url(`${name}.weights`)},` : ''}${threads ? '\n  threads,\n  fallback,' : ''}
} = {}) {
  ${instanceText(separate, threads)}
  const { exports } = made.instance ?? made
  same('${name}.wasm is of another model: interface', exports.interface.value, ${face})${separate ? CHECKED_WEIGHTS : ''}
  let { reset${learning ? '' : ', run'} } = exports
  let [to, from] = [views(exports, 'input', inputs), views(exports, 'output', outputs)]
  exports.init()${threads ? shared(name) : ''}${learning ? learnSetup(learning) : ''}
  return {
    run(given) {
      for (const [key, view] of to) {
        const x = given[key]
        const said = (y) => y && \`\${y.constructor.name} of \${y.length}\`
        if (!(x instanceof view.constructor) || x.length !== view.length)
          throw TypeError(\`input "\${key}" takes \${said(view)}, got \${said(x)}\`)
        view.set(x)
      }
      run()
      return Object.fromEntries(from.map(([key, view]) => [key, view.slice()]))
    },
    ${learning ? `${learnMethods(learning).trimStart()}\n    ` : ''}reset: () => reset(),
    dispose() {
      to = from = []
      reset = run = () => {
        throw Error('the model was disposed')
      }${threads ? '\n      for (const worker of pool.splice(0)) worker.terminate()' : ''}
    },
  }
}
`)
}

/** `<name>.worker.js`: the page's side. */
export function pageSideText(name: string, learns = false): string {
  return `// Runs ${name}.wasm in a worker, as ${name}.js does here. Written by mote; ${name}.worker.d.ts has the types.

export async function load(from) {
  const worker = new Worker(new URL('./${name}.thread.js', import.meta.url), { type: 'module' })
  const waiting = []
  let ended
  const end = (why) => {
    ended = new Error(why)
    for (const [, no] of waiting.splice(0)) no(ended)
    worker.terminate()
  }
  const ask = (...message) =>
    new Promise((yes, no) => {
      if (ended) return no(ended)
      worker.postMessage(message)
      waiting.push([yes, no])
    })
  worker.onmessage = ({ data: { answer, fault } }) => {
    const [yes, no] = waiting.shift()
    if (fault) no(new Error(fault))
    else yes(answer)
  }
  worker.onerror = ({ message }) => end(\`${name}.thread.js: \${message ?? 'cannot be loaded'}\`)
  try {
    await ask('load', from)
  } catch (fault) {
    end(fault.message)
    throw fault
  }
  return {
    run: (given) => ask('run', given),${
      learns
        ? `
    train: (...given) => ask('train', ...given),
    save: () => ask('save'),
    restore: (bytes) => ask('restore', bytes),`
        : ''
    }
    reset: () => ask('reset'),
    dispose: () => end('the model was disposed'),
  }
}
`
}

/** `<name>.thread.js`: the worker's side. */
export function threadText(name: string): string {
  return `// The worker of ${name}.worker.js. Written by mote.

import { load } from './${name}.js'

let model
self.onmessage = async ({ data: [call, ...given] }) => {
  try {
    let answer
    if (call === 'load') model = await load(...given)
    else answer = model[call](...given)
    const arrays = answer?.buffer ? [answer] : Object.values(answer ?? {})
    self.postMessage({ answer }, arrays.map((x) => x.buffer))
  } catch ({ message }) {
    self.postMessage({ fault: message })
  }
}
`
}
