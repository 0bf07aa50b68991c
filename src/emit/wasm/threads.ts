// How threads share a run: functions of a module whose memory they share. In go the steps that may run at the same time, out
// come `part(thread, threads)`, which all call, and what it needs. Between levels they meet: whoever comes last lets the
// others go on, who look for that for a while and then sleep (a sense-reversing barrier; Mellor-Crummey & Scott 1991).

import type { Threads } from '../../plan/plan.ts'
import { type Func, FuncBody, NO_RESULT } from './encoder.ts'

/** Bytes of a line of the cache. */
export const LINE = 64
/** Words by which threads meet, each in a line of its own: who is there, how often all were, who sleeps. */
export const MEETING_BYTES = 3 * LINE

/** Looks at the word before a thread sleeps: some 40 microseconds, in which most layers end. */
const LOOKS = 100_000

/** Indices of the functions that these call. */
export interface Callees {
  /** `steps(first, last, stride)` */
  readonly steps: number
  /** The index of the first of these functions. */
  readonly own: number
}

/** `meet`, `part`, `work` and `run_with`, in this order. `at` is the address of the words by which threads meet. */
export function threadFuncs(threads: Threads, count: number, at: number, { steps, own }: Callees): Func[] {
  const [meetIndex, partIndex] = [own, own + 1]
  const part = partOf(threads, count, steps, meetIndex)
  const work = new FuncBody(['i32', 'i32'])
  work.op('loop', NO_RESULT)
  work.get(0)
  work.get(1)
  work.op('call', partIndex)
  work.op('br', 0)
  work.op('end')
  const runWith = new FuncBody(['i32'])
  runWith.i32(0)
  runWith.get(0)
  runWith.op('call', partIndex)
  return [meet(at).func('meet'), part.func('part'), work.func('work'), runWith.func('run_with')]
}

/** `meet(threads)`: returns when so many have called it. */
function meet(at: number): FuncBody {
  const [here, times, asleep] = [at, at + LINE, at + 2 * LINE]
  const f = new FuncBody(['i32'])
  const [now, looks] = [f.local('i32'), f.local('i32')]
  const load = (address: number) => {
    f.i32(address)
    f.access('i32.atomic.load', 4, 0, f.code.length)
  }
  const store = (address: number, value: () => void) => {
    f.i32(address)
    value()
    f.access('i32.atomic.store', 4, 0, f.code.length)
  }
  const add = (address: number, n: number) => {
    f.i32(address)
    f.i32(n)
    f.access('i32.atomic.rmw.add', 4, 0, f.code.length)
  }
  const changed = () => {
    load(times)
    f.get(now)
    f.op('i32.ne')
  }
  load(times)
  f.set(now)
  add(here, 1)
  f.i32(1)
  f.op('i32.add')
  f.get(0)
  f.op('i32.eq')
  f.op('if', NO_RESULT)
  store(here, () => f.i32(0))
  store(times, () => {
    f.get(now)
    f.i32(1)
    f.op('i32.add')
  })
  load(asleep)
  f.op('if', NO_RESULT)
  f.i32(times)
  f.i32(-1)
  f.access('memory.atomic.notify', 4, 0, f.code.length)
  f.op('drop')
  f.op('end')
  f.op('return')
  f.op('end')

  f.i32(LOOKS)
  f.set(looks)
  f.op('loop', NO_RESULT)
  changed()
  f.op('if', NO_RESULT)
  f.op('return')
  f.op('end')
  f.get(looks)
  f.i32(-1)
  f.op('i32.add')
  f.tee(looks)
  f.op('br_if', 0)
  f.op('end')

  add(asleep, 1)
  f.op('drop')
  f.op('loop', NO_RESULT)
  f.i32(times)
  f.get(now)
  f.i64(-1n)
  f.access('memory.atomic.wait32', 4, 0, f.code.length)
  f.op('drop')
  // who let the others of the time before go on may wake this one early
  load(times)
  f.get(now)
  f.op('i32.eq')
  f.op('br_if', 0)
  f.op('end')
  add(asleep, -1)
  f.op('drop')
  return f
}

/** Steps `first` to `end` - 1: side by side, or one after the other by the first thread. */
interface Group {
  readonly first: number
  readonly end: number
  readonly shared: boolean
}

function groupsOf({ levels }: Threads, count: number): Group[] {
  const groups: Group[] = []
  for (const [k, first] of levels.entries()) {
    const end = levels[k + 1] ?? count
    const shared = end - first > 1
    const last = groups.at(-1)
    if (last && !last.shared && !shared) groups[groups.length - 1] = { ...last, end }
    else groups.push({ first, end, shared })
  }
  return groups
}

/**
 * `part(thread, threads)`: a thread's steps of a run. Threads meet before every group and after the last, but not where
 * only the first has something to do: it begins and ends alone.
 */
function partOf(threads: Threads, count: number, steps: number, meetIndex: number): FuncBody {
  const [thread, all] = [0, 1]
  const f = new FuncBody(['i32', 'i32'])
  const together = () => {
    f.get(all)
    f.op('call', meetIndex)
  }
  const groups = groupsOf(threads, count)
  for (const [k, { first, end, shared }] of groups.entries()) {
    if (k > 0 || shared) together()
    if (!shared) {
      f.get(thread)
      f.op('i32.eqz')
      f.op('if', NO_RESULT)
    }
    f.i32(first)
    if (shared) {
      f.get(thread)
      f.op('i32.add')
    }
    f.i32(end)
    if (shared) f.get(all)
    else f.i32(1)
    f.op('call', steps)
    if (!shared) f.op('end')
  }
  if (groups.at(-1)?.shared) together()
  return f
}
