import { expect, test } from 'vitest'
import { Builder } from '../../src/ir/build.ts'
import { clamp, mul } from '../../src/ops/all.ts'
import { bytesText, countText } from '../../src/report/figures.ts'
import { type PlanReport, reportOf } from '../../src/report/report.ts'
import { timeline, timelineSvg } from '../../src/report/timeline.ts'
import { targetOf } from '../../src/targets/index.ts'

function planOf(name: string): PlanReport {
  const b = new Builder('net')
  const x = b.input(name, { dtype: 'f32', shape: [1, 16] })
  const y = b.one(mul, [x, x], { clamp: {} }, { from: 'square' })
  return reportOf(b.graph([x, b.one(clamp, [y], { min: 1 }, { from: 'limit' })]), targetOf('c')).plan!
}

test('each buffer is a rectangle as wide as it lives and as high as it is large', () => {
  const plan = planOf('x')
  const { marks, step, top, bottom } = timeline(plan, 400, { bytes: bytesText, count: countText })
  const rectangles = marks.filter((m) => m.element === 'rect')
  expect(rectangles).toHaveLength(plan.buffers.length)
  for (const { attributes, buffer } of rectangles) {
    const { first, last, bytes, offset } = plan.buffers[buffer!]
    const lived = Math.min(plan.layers.length, last) - Math.max(-1, first) + 1
    expect(attributes.width).toBeCloseTo(lived * step)
    expect(attributes.height).toBeCloseTo(((bottom - top) * bytes) / plan.arenaBytes)
    expect(attributes.y).toBeCloseTo(bottom - ((bottom - top) * (offset + bytes)) / plan.arenaBytes)
  }
})

test('names of tensors are text in the file, whatever is in them', () => {
  const svg = timelineSvg(planOf('</title><script>alert("&")</script>\u0007'))
  expect(svg).not.toContain('<script')
  expect(svg).not.toMatch(/[^\P{Cc}\n]/u)
  expect(svg).toContain('&#60;/title&#62;&#60;script')
})
