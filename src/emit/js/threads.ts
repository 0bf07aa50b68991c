// Threads of a WebAssembly program as JavaScript: what its loader does to share a run with others, and what these do. All
// of them have an instance of the module on one memory; how they meet is in the module.

/** The most threads of a program, and the pages of its memory. */
export interface ThreadOptions {
  readonly most: number
  readonly pages: number
}

/** `<name>.pool.js`: starts threads beside the one that calls `run`; a loader imports it before its first run. */
export function poolText(name: string, { most }: ThreadOptions): string {
  return `// Starts threads that share the runs of ${name}.wasm. Written by mote.

const builtin = (what) => globalThis.process?.getBuiltinModule?.(what)

export async function start(code, memory, threads, fallback) {
  const isolated = globalThis.crossOriginIsolated ?? typeof SharedArrayBuffer === 'function'
  const cores = builtin('os')?.availableParallelism() ?? navigator.hardwareConcurrency
  const count = fallback && !isolated ? 1 : threads ?? Math.min(${most}, cores)
  if (!(count >= 1 && count <= ${most})) throw RangeError(\`threads go from 1 to ${most}, got \${count}\`)
  if (count === 1) return []
  if (globalThis.document) throw Error('a page must not wait for its threads: import ./${name}.worker.js')
  if (!isolated)
    throw Error('threads need a cross-origin isolated page: send Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp with it and its workers, over https, or ask for one thread')
  const { Worker } = builtin('worker_threads') ?? globalThis
  const pool = Array.from({ length: count - 1 }, () =>
    new Worker(new URL('./${name}.member.js', import.meta.url), { type: 'module' }))
  try {
    await Promise.all(pool.map((worker, i) => new Promise((yes, no) => {
      const on = (what, then) => (worker.on ?? worker.addEventListener).call(worker, what, then)
      on('message', yes)
      on('error', ({ message }) => no(Error(\`${name}.member.js: \${message ?? 'cannot be loaded'}\`)))
      worker.postMessage([code, memory, i + 1, count])
    })))
  } catch (fault) {
    for (const worker of pool) worker.terminate()
    throw fault
  }
  for (const worker of pool) worker.unref?.()
  return pool
}
`
}

/** `<name>.member.js`: one thread of the pool. */
export function memberText(name: string): string {
  return `// A thread that shares the runs of ${name}.wasm. Written by mote.

const port = globalThis.process?.getBuiltinModule?.('worker_threads').parentPort ?? self
port.onmessage = ({ data: [code, memory, thread, threads] }) => {
  const { exports } = new WebAssembly.Instance(code, { env: { memory } })
  port.postMessage('ready')
  exports.work(thread, threads)
}
`
}

/** What `load` takes beside files, in the types of the loader and of the worker. */
export const threadTypes = (name: string, { most }: ThreadOptions) => `
  /**
   * Threads that share a run, from 1 to ${most}; by default as many as there are processors. More than one need a page that is
   * cross-origin isolated, and in a page ${name}.worker.js.
   */
  readonly threads?: number
  /** One thread where the page is not isolated, instead of an error. */
  readonly fallback?: boolean`
