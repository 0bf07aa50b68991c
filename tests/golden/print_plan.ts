// The printed form of a plan: what runs in which order on which bytes, and the loops of each distinct kernel.

import { layer } from '../../src/ir/build.ts'
import type { Value } from '../../src/ir/graph.ts'
import { kernelKey, printKernel } from '../../src/loops/print.ts'
import type { Place, Plan } from '../../src/plan/plan.ts'

const place = (p: Place) => `${p.segment}[${p.offset}..${p.offset + p.bytes})`

export function printPlan(plan: Plan): string {
  const { target, arenaBytes, lowerBoundBytes, weights, weightBytes, macs } = plan
  const kernels = [...new Map(plan.steps.map(({ call }) => [kernelKey(call.kernel), call.kernel])).entries()]
  const numberOf = new Map(kernels.map(([key], i) => [key, i]))
  const ports = (kind: string, values: readonly Value[]) =>
    values.map((v) => `  ${kind} ${v.name}: ${place(plan.places.get(v)!)}`)
  return [
    `plan ${plan.graph.name} for ${target.name}`,
    `  arena ${arenaBytes} bytes, lower bound ${lowerBoundBytes}; weights ${weightBytes} bytes, layout #${weights.layoutId}, content #${weights.hash}; ${macs} MACs`,
    ...ports('input', plan.graph.inputs),
    ...plan.state.map((s) => `  state ${s.value.name}: ${place(s.place)} from ${place(s.initial)}`),
    ...plan.steps.flatMap(({ node, call, recipe, places }) => [
      `  step ${layer(node)}: kernel ${numberOf.get(kernelKey(call.kernel))}, ${recipe}`,
      ...call.kernel.bufs.map((buf, k) => `    ${buf.name} = ${place(places[k])}`),
    ]),
    ...ports('output', plan.graph.outputs),
    ...kernels.flatMap(([, kernel], i) => ['', `${i}: ${printKernel(kernel)}`]),
    '',
  ].join('\n')
}
