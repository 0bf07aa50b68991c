import { f32, i8, i16, type OpCase, opCase } from '../case.ts'
import { resizeNearest } from './op.ts'

interface Shape {
  input: number[]
  size: number[]
  alignCorners?: boolean
  halfPixelCenters?: boolean
}

const SHAPES: Record<string, Shape> = {
  'twice as large': { input: [1, 3, 4, 8], size: [6, 8] },
  'odd sizes, batch 2': { input: [2, 3, 5, 3], size: [7, 4] },
  smaller: { input: [1, 9, 10, 2], size: [4, 3] },
  'corners aligned': { input: [1, 4, 5, 3], size: [9, 7], alignCorners: true },
  'half-pixel centres': { input: [1, 4, 6, 3], size: [7, 5], halfPixelCenters: true },
  both: { input: [1, 4, 5, 2], size: [6, 11], alignCorners: true, halfPixelCenters: true },
  'to one pixel': { input: [1, 5, 4, 4], size: [1, 1], alignCorners: true },
}

export const cases: readonly OpCase[] = Object.entries(SHAPES).flatMap(([name, s]) => {
  const { size, alignCorners = false, halfPixelCenters = false } = s
  const attrs = { size, alignCorners, halfPixelCenters }
  return [
    opCase(`resize_nearest int8: ${name}`, (b) => b.one(resizeNearest, [b.input('x', i8(s.input, 0.05, -3))], attrs)),
    opCase(`resize_nearest int16: ${name}`, (b) => b.one(resizeNearest, [b.input('x', i16(s.input, 0.05))], attrs)),
    opCase(`resize_nearest f32: ${name}`, (b) => b.one(resizeNearest, [b.input('x', f32(s.input))], attrs)),
  ]
})
