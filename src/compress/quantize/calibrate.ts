// Runs the float32 graph over the calibration samples and keeps the statistics of every tensor that might be quantised.

import { InputError } from '../../errors.ts'
import type { Graph, Value } from '../../ir/graph.ts'
import { forEachSample, type Samples, tap } from './run.ts'
import { Statistics } from './statistics.ts'

export type Calibration = ReadonlyMap<Value, Statistics>

/** The float32 tensors of a graph that depend on its inputs. */
export function floatsOf(graph: Graph): Value[] {
  const all = [...graph.inputs, ...graph.nodes.flatMap((node) => node.outputs)]
  return all.filter((v) => v.type.dtype === 'f32')
}

/** Throws InputError where the samples make a tensor NaN or infinite: no scale would hold that. */
export async function calibrate(graph: Graph, samples: Samples, tell?: (done: number) => void): Promise<Calibration> {
  const values = floatsOf(graph)
  const all = values.map((v) => new Statistics(v.type.shape.at(-1) ?? 1))
  const tapped = await tap(graph, values)
  await forEachSample(
    samples,
    tapped,
    (results, sample) => {
      results.forEach((data, i) => {
        all[i].add(data as Float32Array)
        if (all[i].wrong > 0)
          throw new InputError(
            `sample ${sample}`,
            `makes "${values[i].name}" NaN or infinite, which no integer stands for`,
            graph.inputs.includes(values[i]) ? 'leave this sample out' : 'check the range of the inputs',
          )
      })
    },
    tell,
  )
  return new Map(values.map((v, i) => [v, all[i]]))
}
