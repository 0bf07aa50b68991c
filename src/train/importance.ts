// How much what a model can do depends on each of its params: the mean square of the gradient over examples, the diagonal of the
// empirical Fisher information (Kirkpatrick et al. 2017, section 2). For `StepOptions.anchor`.

import { compile } from '../emit/program.ts'
import { InputError } from '../errors.ts'
import type { Graph } from '../ir/graph.ts'
import type { Data } from '../loops/ir.ts'
import { instantiate } from '../run/instantiate.ts'
import { gradientStep, type StepOptions } from './step.ts'

/** Of each param of a scheme, by name: with respect to the stored numbers. InputError where there are no examples. */
export async function importanceOf(
  model: Graph,
  options: StepOptions,
  examples: readonly { readonly inputs: readonly Data[]; readonly label: Data }[],
): Promise<Map<string, Float32Array>> {
  if (examples.length === 0) throw new InputError('importance', 'needs examples of what is to be kept')
  const { graph, params } = gradientStep(model, options)
  const running = await instantiate(compile(graph))
  const sums = params.map(({ param }) => new Float64Array(param.data!.length))
  for (const { inputs, label } of examples) {
    const [, ...gradients] = running.run([...inputs, label])
    for (const [k, g] of gradients.entries()) for (const [i, x] of (g as Float32Array).entries()) sums[k][i] += x * x
  }
  return new Map(params.map(({ param }, k) => [param.name, Float32Array.from(sums[k], (s) => s / examples.length)]))
}
