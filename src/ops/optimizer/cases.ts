import type { CaseBuilder } from '../case.ts'
import { f32, type OpCase, opCase } from '../case.ts'
import { adam, momentum, sgd } from './op.ts'

const RATE = Float32Array.of(0.125)

const remembered = (b: CaseBuilder, name: string) => b.state(name, f32([2, 3]), Float32Array.of(0, 0.5, 1, 0.25, 2, 4))

export const cases: readonly OpCase[] = [
  opCase('sgd', (b) => {
    const p = b.param('p', f32([2, 3]), Float32Array.of(1, -1, 2, 0, 3, 0.1))
    b.add(sgd, [p, b.input('g', f32([2, 3])), b.const('rate', f32([1]), RATE)], {})
    return p
  }),
  opCase('momentum', (b) => {
    const p = b.param('p', f32([2, 3]), Float32Array.of(1, -1, 2, 0, 3, 0.1))
    const v = remembered(b, 'v')
    b.add(momentum, [p, b.input('g', f32([2, 3])), b.const('rate', f32([1]), RATE), v], { momentum: 0.9 })
    return [p, v]
  }),
  opCase('adam', (b) => {
    const p = b.param('p', f32([2, 3]), Float32Array.of(1, -1, 2, 0, 3, 0.1))
    const [m, v] = [remembered(b, 'm'), remembered(b, 'v')]
    const attrs = { beta1: 0.9, rest1: 0.1, beta2: 0.999, rest2: 0.001, epsilon: 1e-8 }
    b.add(adam, [p, b.input('g', f32([2, 3])), b.const('rate', f32([1]), RATE), m, v], attrs)
    return [p, m, v]
  }),
]
