import { f32, type OpCase, opCase } from '../case.ts'
import { type Lrn, lrn } from './op.ts'

const FORMS: readonly (readonly [string, readonly number[], Omit<Lrn, 'bias'>])[] = [
  ['channels last', [2, 3, 5], { axis: 2, before: 2, after: 2, alpha: 0.5, beta: 0.5 }],
  ['channels first, an even window', [1, 5, 2, 3], { axis: 1, before: 1, after: 2, alpha: 1e-4, beta: 0.75 }],
  ['a window wider than the channels', [4, 2], { axis: 1, before: 3, after: 3, alpha: 1, beta: 1 }],
]

export const cases: readonly OpCase[] = FORMS.map(([name, shape, attrs]) =>
  opCase(`lrn f32: ${name}`, (b) => b.one(lrn, [b.input('x', f32(shape))], { ...attrs, bias: 1 } as Lrn)),
)
