// Functions that differ only in constants become one: what goes in are the functions of a program, what comes out are fewer of
// them, and for each given one which to call with which further arguments. Extents, strides and offsets of layers are such
// constants. A constant that follows from another by a factor and a term is computed from it where the function begins.

import { type Func, FuncBody, type Part } from './encoder.ts'

/** Function `index`, and the constants that it takes after the buffers' addresses. */
export interface Callee {
  readonly index: number
  readonly constants: readonly number[]
}

export interface Shared {
  readonly funcs: readonly Func[]
  /** For each function that was given. */
  readonly callees: readonly Callee[]
}

/** What functions that can be one have in common. */
function formOf({ params, results, locals, code }: Func): string {
  const parts = code.map((p) =>
    typeof p === 'number' ? p : p.is === 'local' ? `l${p.index}` : p.is === 'call' ? p.func.name : p.is,
  )
  return `${params}>${results}:${locals}:${parts}`
}

const numbersOf = (code: readonly Part[]): number[] =>
  code.flatMap((p) => (typeof p === 'number' || p.is === 'local' || p.is === 'call' ? [] : [p.value]))

/** factor * parameter + term. */
interface Linear {
  readonly param: number
  readonly factor: number
  readonly term: number
}

/** `values` from those of a parameter, for every function alike. */
function linear(values: readonly number[], param: readonly number[]): Omit<Linear, 'param'> | undefined {
  const other = param.findIndex((x) => x !== param[0])
  const factor = (values[other] - values[0]) / (param[other] - param[0])
  const term = values[0] - factor * param[0]
  const small = [factor, term].every((n) => Number.isInteger(n) && Math.abs(n) < 2 ** 31)
  return small && values.every((v, i) => v === factor * param[i] + term) ? { factor, term } : undefined
}

/** Equal functions and those that differ in constants, in the order of the first of each. */
export function share(given: readonly Func[]): Shared {
  const groups = new Map<string, number[]>()
  for (const [i, f] of given.entries()) {
    const form = formOf(f)
    groups.set(form, [...(groups.get(form) ?? []), i])
  }
  const funcs: Func[] = []
  const callees = new Array<Callee>(given.length)
  for (const members of groups.values()) {
    const one = merged(members.map((i) => given[i]))
    const index = funcs.push(one.func) - 1
    for (const [k, i] of members.entries()) callees[i] = { index, constants: one.constants[k] }
  }
  return { funcs, callees }
}

function merged(members: readonly Func[]): { readonly func: Func; readonly constants: readonly number[][] } {
  const [first] = members
  const rows = members.map((f) => numbersOf(f.code))
  const columns = rows[0].map((_, c) => rows.map((row) => row[c]))
  const differing = columns.filter((values) => values.some((v) => v !== values[0]))
  const distinct = [...new Map(differing.map((values) => [values.join(), values])).values()]
  const size = (values: readonly number[]) => values.reduce((n, v) => n + Math.abs(v), 0)
  const params: (readonly number[])[] = []
  const known = new Map<string, Linear>()
  for (const values of distinct.toSorted((a, b) => size(a) - size(b))) {
    const from = params.flatMap((p, param) => {
      const found = linear(values, p)
      return found ? [{ param, ...found }] : []
    })
    const own = from[0] ?? { param: params.push(values) - 1, factor: 1, term: 0 }
    known.set(values.join(), own)
  }
  const func =
    params.length > 0
      ? parametric(
          first,
          columns.map((v) => known.get(v.join())),
          params.length,
        )
      : first
  return { func, constants: members.map((_, k) => params.map((values) => values[k])) }
}

/** `f` with further parameters; where a constant is `from` one, it is computed. */
function parametric(f: Func, from: readonly (Linear | undefined)[], extra: number): Func {
  const given = f.params.length
  const localOf = (index: number) => (index < given ? index : index + extra)
  const params = [...f.params, ...Array.from({ length: extra }, () => 'i32' as const)]
  const head = new FuncBody([...params, ...f.locals])
  const derived = new Map<string, number>()
  const localFor = ({ param, factor, term }: Linear): number => {
    if (factor === 1 && term === 0) return given + param
    const key = `${param} ${factor} ${term}`
    const at = derived.get(key)
    if (at !== undefined) return at
    head.get(given + param)
    if (factor !== 1) {
      head.i32(factor)
      head.op('i32.mul')
    }
    if (term !== 0) {
      head.i32(term)
      head.op('i32.add')
    }
    const local = head.local('i32')
    head.set(local)
    derived.set(key, local)
    return local
  }
  const additions = new Map<number, Part[]>()
  const read = (l: Linear): Part[] => {
    const b = new FuncBody([])
    b.get(localFor(l))
    return b.code
  }
  const ADD = new FuncBody([])
  ADD.op('i32.add')
  let n = 0
  const body = f.code.map((part): readonly Part[] => {
    if (typeof part === 'number' || part.is === 'call') return [part]
    if (part.is === 'local') return [{ ...part, index: localOf(part.index) }]
    const l = from[n++]
    if (!l) return [part]
    if (part.is === 'i32') return read(l)
    // a term that is no longer added where it was must not be negative
    const inPlace = l.factor === 1 && l.term > 0 ? l.term : 0
    additions.set(part.address, [...read({ ...l, term: l.term - inPlace }), ...ADD.code])
    return [{ ...part, value: inPlace }]
  })
  const code = body.flatMap((parts, i) => [...(additions.get(i) ?? []), ...parts])
  return { ...f, params, locals: [...f.locals, ...head.func('').locals], code: [...head.code, ...code] }
}
