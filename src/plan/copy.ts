// Tells from its loops whether a kernel does nothing but copy one buffer to another in the same element order, so that
// with both at one place the step is idle. Addresses are compared as linear forms of the loop variables.

import type { Value } from '../ir/graph.ts'
import type { Call } from '../ir/op.ts'
import type { Buf, Expr, Stmt } from '../loops/ir.ts'

/** Coefficients by loop variable; the constant under ''. */
type Linear = ReadonlyMap<string, number>

function combine(a: Linear, b: Linear, factor: number): Linear {
  const out = new Map(a)
  for (const [v, c] of b) out.set(v, (out.get(v) ?? 0) + factor * c)
  return out
}

function linear(e: Expr, extents: ReadonlyMap<string, number>): Linear | undefined {
  if (e.k === 'const') return new Map([['', e.value]])
  if (e.k === 'var') return extents.has(e.name) ? new Map([[e.name, 1]]) : undefined
  if (e.k !== 'op' || e.args.length !== 2) return undefined
  const [a, b] = e.args.map((x) => linear(x, extents))
  if (!a || !b) return undefined
  switch (e.op) {
    case 'add':
      return combine(a, b, 1)
    case 'sub':
      return combine(a, b, -1)
    case 'mul': {
      const factor = [...b.keys()].every((v) => v === '') ? b : [...a.keys()].every((v) => v === '') ? a : undefined
      return factor && combine(new Map(), factor === b ? a : b, factor.get('') ?? 0)
    }
    default:
      return undefined
  }
}

function address(buf: Buf, at: readonly Expr[], extents: ReadonlyMap<string, number>): Linear | undefined {
  let sum: Linear = new Map()
  for (let d = 0; d < at.length; d++) {
    const index = linear(at[d], extents)
    if (!index) return undefined
    sum = combine(combine(new Map(), sum, buf.shape[d]), index, 1)
  }
  return sum
}

function sameAddress(a: Linear, b: Linear, extents: ReadonlyMap<string, number>): boolean {
  const differs = combine(a, b, -1)
  return [...differs].every(([v, c]) => c === 0 || extents.get(v) === 1)
}

/** All that `call` does is to store elements of `from` into `to`, each at the address it was loaded from. */
export function isCopy(call: Call, from: Value, to: Value): boolean {
  const boundTo = (buf: string): { buf: Buf; value: Value | undefined } | undefined => {
    const k = call.kernel.bufs.findIndex((b) => b.name === buf)
    const arg = call.args[k]
    return arg && { buf: call.kernel.bufs[k], value: 'value' in arg ? arg.value : undefined }
  }
  const copies = (s: Stmt, extents: ReadonlyMap<string, number>): boolean => {
    switch (s.s) {
      case 'block':
        return s.body.every((t) => copies(t, extents))
      case 'for':
        return copies(s.body, new Map([...extents, [s.v, s.extent]]))
      case 'store': {
        if (s.value.k !== 'load') return false
        const [source, sink] = [boundTo(s.value.buf), boundTo(s.buf)]
        if (source?.value !== from || sink?.value !== to || source.buf.elem !== sink.buf.elem) return false
        const [read, write] = [address(source.buf, s.value.at, extents), address(sink.buf, s.at, extents)]
        return !!read && !!write && sameAddress(read, write, extents)
      }
      default:
        return false
    }
  }
  return copies(call.kernel.body, new Map())
}
