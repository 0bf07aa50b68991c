// Sound as inputs: .wav samples brought to the model's rate and length. Each step is said.

import { InputError } from '../errors.ts'
import { printTensorType, type TensorType } from '../ir/graph.ts'
import { count, type Data } from '../loops/ir.ts'
import { resample } from '../web/resample.ts'
import { readWav } from '../web/wav.ts'
import { fromReals, isFloat, stored } from './elements.ts'
import type { Steps } from './pictures.ts'

/**
 * The first samples of a .wav file as an input of samples (one dimension beside ones), zeros behind where it is shorter.
 * Full scale is 1, or 32768 for whole 16-bit numbers. `rate` is the model's; without it the file's is taken for that.
 * Throws InputError.
 */
export function soundInput(
  bytes: Uint8Array,
  type: TensorType,
  rate: number | undefined,
  where: string,
): { data: Data; steps: Steps } {
  const whole = type.dtype === 'i16' && !type.quant
  if (type.shape.filter((d) => d !== 1).length !== 1 || !(whole || type.quant || isFloat(type)))
    throw new InputError(
      where,
      `is sound, the model takes ${printTensorType(type)}`,
      'sound is for inputs of samples; compute the spectrogram that the model was trained on and give it as .npy',
    )
  const wanted = count(type.shape)
  const sound = readWav(bytes, where)
  const goal = rate ?? sound.rate
  const last = Math.ceil((sound.samples.length * goal) / sound.rate)
  const samples = new Float64Array(wanted) // (wanted)
  samples.set(
    goal === sound.rate ? sound.samples.subarray(0, wanted) : resample(sound.samples, sound.rate, goal, wanted),
  )
  return {
    data: whole
      ? stored(
          Array.from(samples, (x) => Math.max(-32768, Math.min(32767, Math.round(x * 32768)))),
          type,
          where,
        )
      : fromReals(samples, type, where),
    steps: [
      `${sound.samples.length} samples at ${sound.rate} Hz`,
      ...(rate === undefined ? ["taken for the model's rate (--rate says another)"] : []),
      ...(goal !== sound.rate ? [`${last} at ${goal} Hz`] : []),
      ...(last > wanted ? [`the first ${wanted}`] : last < wanted ? [`zeros up to ${wanted}`] : []),
    ],
  }
}
