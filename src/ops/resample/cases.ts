import { f32, type OpCase, opCase } from '../case.ts'
import { axisTable, type Coordinates, type Interpolation } from '../composed/coordinates.ts'
import { resample } from './op.ts'

const TABLES: Record<string, [number, number, Coordinates['mode'], Interpolation['kind']]> = {
  'linear, half a pixel': [4, 7, 'half_pixel', 'linear'],
  'linear, corners aligned': [5, 3, 'align_corners', 'linear'],
  'cubic, half a pixel': [4, 9, 'half_pixel', 'cubic'],
  'cubic, smaller': [7, 3, 'asymmetric', 'cubic'],
}

export const cases: readonly OpCase[] = Object.entries(TABLES).flatMap(([name, [from, to, mode, kind]]) =>
  [0, 1, 2].map((axis) =>
    opCase(`resample f32: ${name}, axis ${axis}`, (b) => {
      const shape = [2, 3, 2].map((d, i) => (i === axis ? from : d))
      const table = axisTable(
        from,
        to,
        { mode, scale: to / from, start: 0, end: 1, extrapolation: 0 },
        { kind, a: -0.75, excludeOutside: name.endsWith('smaller'), antialias: false },
      )
      return b.one(resample, [b.input('x', f32(shape))], { axis, ...table })
    }),
  ),
)
