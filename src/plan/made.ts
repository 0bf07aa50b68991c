// Places for constants that are made, and for what they are made from: arrays that only the making reads stand at the end of
// the weight segment, so that a program may use their place for something else afterwards.

import type { Made } from '../ir/op.ts'
import type { Data } from '../loops/ir.ts'
import type { MadeConstants, Place } from './plan.ts'
import { WeightWriter } from './weights.ts'

export class MadeWriter {
  private readonly writer: WeightWriter
  private readonly wanted = new Map<Data, { readonly name: string; readonly made: Made; readonly place: Place }>()

  constructor(align: number) {
    this.writer = new WeightWriter(align)
  }

  /** Where `data` will stand. */
  put(name: string, data: Data, made: Made): Place {
    const known = this.wanted.get(data)
    if (known) return known.place
    const place: Place = { ...this.writer.put(name, data), segment: 'made' }
    const twice = [...this.wanted.values()].some((w) => w.place.offset === place.offset)
    if (!twice) this.wanted.set(data, { name, made, place })
    return place
  }

  /** Puts what is needed into the weight segment, after everything else. Undefined where nothing is made. */
  constants(weights: WeightWriter): MadeConstants | undefined {
    if (this.wanted.size === 0) return undefined
    const sources = weights.aligned
    const steps = [...this.wanted.values()].map(({ name, made: { kernel, from }, place }) => ({
      kernel,
      places: [...from.map((data, i) => weights.put(`${name}/${kernel.bufs[i].name}`, data)), place],
    }))
    return { bytes: this.writer.aligned, sources, steps }
  }
}
