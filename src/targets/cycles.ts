// Estimates of cycles from the instructions that ran: a stated model of each core, without waits of memory and caches. Cortex-M3
// and M4: the tables of their technical reference manuals (Arm 100165 and 100166, section 3.3.1) and the pairing of loads
// below them. Cortex-M7: two instructions a cycle in order; Arm publishes no table, the rules are those that measurements show
// (quinapalus.com/cm7cycles.html). Cortex-M55: vector instructions in two beats a cycle, overlapping where their units differ
// (Arm, Helium optimization guide).

/** As objdump writes it. */
export interface Instruction {
  readonly mnemonic: string
  readonly operands: string
  /** Bytes. */
  readonly size: number
}

/** Instructions in a row that ran `runs` times; `taken`: how often what ran next was not what stands behind them. */
export interface Block {
  readonly instructions: readonly Instruction[]
  readonly runs: number
  readonly taken: number
}

type Class = 'alu' | 'multiply' | 'divide' | 'load' | 'store' | 'branch' | 'float' | 'vector'

/** Counts of instructions by class; every vector instruction is one of `vector` alone, and its words are counted as well. */
export interface Mix {
  readonly instructions: Readonly<Record<Class, number>>
  /** 32-bit words moved: an LDM of eight registers is one instruction and eight words. */
  readonly loadWords: number
  readonly storeWords: number
  readonly taken: number
}

/** An instruction as the models see it. */
interface Work {
  readonly kind: Class
  /** Of what a vector instruction does. */
  readonly unit?: 'memory' | 'multiply' | 'alu'
  readonly moves?: 'load' | 'store'
  readonly words: number
  readonly several: boolean
  readonly name: string
  readonly operands: string
}

const CONDITION = '(eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|al)?'
const BRANCH = new RegExp(`^(b|bl|bx|blx|cbz|cbnz)${CONDITION}$`)
const LOOP = /^(le|letp|wls|wlstp|dls|dlstp|lctp)$/
const LOAD = /^(v?ldr|v?ldm|vld[24]|v?pop|tb[bh])/
const STORE = /^(v?str|v?stm|vst[24]|v?push)/
const MULTIPLY = /^(mul|ml[as]|sm(ul|la|ls|ml|mul|ua|us)|um(ul|la|aal))/
const VECTOR_MULTIPLY = /^v(q?r?d?mul|ml|q?r?dml|fm|cmul|cmla|q?dmull)/

/** Registers in braces, in words. */
function listed(operands: string): number {
  const parts = /\{(.*)\}/.exec(operands)?.[1].split(',') ?? []
  return parts.reduce((n, part) => {
    const [from, to] = part.trim().split('-')
    const registers = to ? Number(to.slice(1)) - Number(from.slice(1)) + 1 : 1
    return n + registers * (from.startsWith('d') ? 2 : from.startsWith('q') ? 4 : 1)
  }, 0)
}

/** 32-bit words of a vector load or store: lanes of the register's type, each as wide as the memory's. */
function vectorWords(mnemonic: string): number {
  const [, width, bits] = /^v(?:ldr|str)([bhwd])t?e?\.[suif]?(\d+)/.exec(mnemonic) ?? []
  if (!width) return 4
  const bytes = { b: 1, h: 2, w: 4, d: 8 }[width]!
  return Math.ceil(((128 / Number(bits)) * bytes) / 4)
}

function workOf({ mnemonic, operands }: Instruction): Work {
  const name = mnemonic.replace(/\.[nw]$/, '')
  const several = operands.includes('{')
  const vector = /\bq[0-7]\b/.test(operands) || /^v(pst|pt|pnot|ctp)/.test(name)
  const moves = LOAD.test(name) ? 'load' : STORE.test(name) ? 'store' : undefined
  const words = !moves
    ? 0
    : vector
      ? vectorWords(name)
      : several
        ? listed(operands)
        : /^(ldrd|strd)|^v.*\bd\d/.test(`${name} ${operands}`)
          ? 2
          : 1
  const as = { words, several, name, operands, moves } as const
  if (vector) return { ...as, kind: 'vector', unit: moves ? 'memory' : VECTOR_MULTIPLY.test(name) ? 'multiply' : 'alu' }
  if (moves) return { ...as, kind: moves }
  if (BRANCH.test(name) || LOOP.test(name)) return { ...as, kind: 'branch' }
  if (MULTIPLY.test(name)) return { ...as, kind: 'multiply' }
  if (/^[su]div/.test(name)) return { ...as, kind: 'divide' }
  return { ...as, kind: name.startsWith('v') ? 'float' : 'alu' }
}

/** What the blocks are made of. */
export function mixOf(blocks: readonly Block[]): Mix {
  const instructions = { alu: 0, multiply: 0, divide: 0, load: 0, store: 0, branch: 0, float: 0, vector: 0 }
  let [loadWords, storeWords, taken] = [0, 0, 0]
  for (const block of blocks) {
    taken += block.taken
    for (const { kind, moves, words } of block.instructions.map(workOf)) {
      instructions[kind] += block.runs
      if (moves === 'load') loadWords += words * block.runs
      if (moves === 'store') storeWords += words * block.runs
    }
  }
  return { instructions, loadWords, storeWords, taken }
}

const DIVIDE = 7 // 2 to 12
const SLOW_FLOAT = /^v(div|sqrt)/
const FUSED_FLOAT = /^v(n?ml[as]|fn?m[as])/

/** One at a time; loads and stores in a row overlap by a cycle. `long` and `accumulate` are those of multiplications. */
function inOrder({ long, accumulate }: { long: number; accumulate: number }) {
  return (works: readonly Work[]): number => {
    let cycles = 0
    let before: Work | undefined
    for (const w of works) {
      const pipelined = before?.moves !== undefined && !before.several
      if (w.moves === 'load') cycles += w.several ? 1 + w.words : w.words + (pipelined ? 0 : 1)
      else if (w.moves === 'store') cycles += w.several ? 1 + w.words : w.words
      else if (w.kind === 'divide') cycles += DIVIDE
      else if (w.kind === 'multiply')
        cycles += /^[su]m[ul].*l/.test(w.name) ? long : /^ml/.test(w.name) ? accumulate : 1
      else if (w.kind === 'float') cycles += SLOW_FLOAT.test(w.name) ? 14 : FUSED_FLOAT.test(w.name) ? 3 : 1
      else cycles += 1
      before = w
    }
    return cycles
  }
}

/** Registers that an instruction names; the first is its result unless it stores, compares or branches. */
function registersOf({ operands }: Work): string[] {
  return operands.match(/\b(r\d+|[sd]\d+|sl|fp|ip|sp|lr|sb)\b/g) ?? []
}

function issueTogether(a: Work, b: Work): boolean {
  const shifts = (w: Work) => /, (lsl|lsr|asr|ror) /.test(w.operands) || /^([su]xt|[su]bfx|bf[ic])/.test(w.name)
  if (a.several || b.several || a.kind === 'divide' || b.kind === 'divide') return false
  if (b.kind === 'multiply' || (a.kind === 'float' && b.kind === 'float')) return false
  if ((a.kind === b.kind && (a.kind === 'store' || a.kind === 'branch')) || (shifts(a) && shifts(b))) return false
  const writes = a.kind !== 'store' && a.kind !== 'branch' && !/^(cmp|cmn|tst|teq)/.test(a.name)
  const [result] = registersOf(a)
  return !(writes && result && registersOf(b).includes(result))
}

function dualIssue(works: readonly Work[]): number {
  let cycles = 0
  for (let i = 0; i < works.length; i++) {
    const w = works[i]
    if (w.several) cycles += Math.max(1, w.words / 2)
    else if (w.kind === 'divide') cycles += DIVIDE
    else if (SLOW_FLOAT.test(w.name)) cycles += 16
    else cycles += 1
    if (i + 1 < works.length && issueTogether(w, works[i + 1])) i++
  }
  return cycles
}

function beats(works: readonly Work[]): number {
  let cycles = 0
  let before: Work | undefined
  for (const w of works) {
    if (w.kind === 'vector') cycles += before?.unit !== undefined && before.unit !== w.unit ? 1 : 2
    else if (w.moves) cycles += w.words
    else if (w.kind === 'divide') cycles += DIVIDE
    else if (w.kind === 'float') cycles += SLOW_FLOAT.test(w.name) ? 14 : 1
    else cycles += LOOP.test(w.name) ? 0 : 1
    before = w
  }
  return cycles
}

interface Core {
  readonly name: string
  readonly cycles: (works: readonly Work[]) => number
  /** More, where what runs next stands elsewhere. */
  readonly taken: number
}

const CORES: Readonly<Record<string, Core>> = {
  portable: { name: 'Cortex-M3', cycles: inOrder({ long: 4, accumulate: 2 }), taken: 2 },
  'cortex-m4': { name: 'Cortex-M4', cycles: inOrder({ long: 1, accumulate: 1 }), taken: 2 },
  'cortex-m7': { name: 'Cortex-M7', cycles: dualIssue, taken: 1 },
  'cortex-m55': { name: 'Cortex-M55', cycles: beats, taken: 2 },
}

/** An estimate of the cycles that the blocks take on the core that `target` is built for, memory without waits. */
export function estimateCycles(target: string, blocks: readonly Block[]): number {
  const core = CORES[target]
  return Math.round(
    blocks.reduce((sum, { instructions, runs, taken }) => {
      const works = instructions.map(workOf)
      const loop = works.length > 0 && LOOP.test(works[works.length - 1].name)
      return sum + core.cycles(works) * runs + (loop ? 0 : core.taken) * taken
    }, 0),
  )
}
