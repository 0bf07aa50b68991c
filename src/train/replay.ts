// What a learner keeps of what it has seen, so that it does not forget: a sample of every class, each seen example as likely to be
// among those of its class as any other (reservoir sampling, Vitter 1985, algorithm R). Examples may be inputs, or what a frozen
// front makes of them in int8 (latent replay, Pellegrini et al. 2020): `splitModel`.

import { InputError } from '../errors.ts'
import { Xorshift32 } from '../ir/random.ts'

/** How much is kept. */
export interface ReplayOptions {
  readonly classes: number
  /** Examples of each class. */
  readonly perClass: number
  /** Default 1. */
  readonly seed?: number
}

/** A fair sample of each class of what was seen. Throws InputError for counts and labels that are none. */
export class Replay<Example> {
  private readonly kept: Example[][]
  private readonly seen: number[]
  private readonly perClass: number
  private readonly random: Xorshift32

  constructor({ classes, perClass, seed = 1 }: ReplayOptions) {
    for (const [name, n] of Object.entries({ classes, perClass }))
      if (!Number.isInteger(n) || n < 1) throw new InputError(name, `is ${n}, expected a whole number from 1 on`)
    this.kept = Array.from({ length: classes }, () => [])
    this.seen = new Array<number>(classes).fill(0)
    this.perClass = perClass
    this.random = new Xorshift32(seed)
  }

  /** Takes an example in, or lets it pass. */
  add(example: Example, label: number): void {
    const kept = this.kept[label]
    if (!kept) throw new InputError('label', `is ${label}, classes are 0 to ${this.kept.length - 1}`)
    const n = ++this.seen[label]
    if (kept.length < this.perClass) kept.push(example)
    else {
      const at = this.random.between(0, n - 1)
      if (at < this.perClass) kept[at] = example
    }
  }

  /** One of the kept examples, each class as likely as any other that has some; undefined while there are none. */
  draw(): { readonly example: Example; readonly label: number } | undefined {
    const labels = this.kept.flatMap((kept, label) => (kept.length > 0 ? [label] : []))
    if (labels.length === 0) return undefined
    const label = labels[this.random.between(0, labels.length - 1)]
    const kept = this.kept[label]
    return { example: kept[this.random.between(0, kept.length - 1)], label }
  }

  /** How many are kept. */
  get size(): number {
    return this.kept.reduce((n, kept) => n + kept.length, 0)
  }
}
