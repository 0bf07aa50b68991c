// Numpy broadcasting of two operands, as the least number of loops: axes of extent 1 go, neighbours that broadcast alike
// merge.

/** The shape of the result, or undefined where the operands do not broadcast. Aligned at the last axis. */
export function broadcastShape(a: readonly number[], b: readonly number[]): number[] | undefined {
  const rank = Math.max(a.length, b.length)
  const out: number[] = []
  for (let d = 0; d < rank; d++) {
    const [p, q] = [a[a.length - rank + d] ?? 1, b[b.length - rank + d] ?? 1]
    if (p !== q && p !== 1 && q !== 1) return undefined
    out.push(p === 1 ? q : p)
  }
  return out
}

/** One loop: its extent, and which operands move with it. */
export interface Axis {
  readonly extent: number
  readonly moves: readonly [boolean, boolean]
}

/** The loops over the result of `a` and `b`, outermost first; at least one. */
export function broadcastAxes(a: readonly number[], b: readonly number[]): Axis[] {
  const axes: Axis[] = []
  const shape = broadcastShape(a, b) ?? []
  shape.forEach((extent, d) => {
    if (extent === 1) return
    const moves = [a, b].map((s) => (s[s.length - shape.length + d] ?? 1) !== 1) as [boolean, boolean]
    const last = axes.at(-1)
    if (last && last.moves[0] === moves[0] && last.moves[1] === moves[1])
      axes[axes.length - 1] = { extent: last.extent * extent, moves }
    else axes.push({ extent, moves })
  })
  return axes.length ? axes : [{ extent: 1, moves: [true, true] }]
}
