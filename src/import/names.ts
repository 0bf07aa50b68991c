// Names of tensors, which files need not keep apart.

/** Equal names after the first get `#1`, `#2`, … */
export function uniqueNames(wanted: readonly string[]): string[] {
  const taken = new Set<string>()
  const next = new Map<string, number>()
  return wanted.map((base) => {
    let name = base
    for (let k = next.get(base) ?? 1; taken.has(name); k++) {
      name = `${base}#${k}`
      next.set(base, k + 1)
    }
    taken.add(name)
    return name
  })
}
