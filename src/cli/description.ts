// What is known of a model's tensors beside their types: what its file says, and over that what options say.

import { InputError } from '../errors.ts'
import { type Description, describeTflite } from '../import/tflite_metadata.ts'
import { count } from '../loops/ir.ts'
import { pictureOf, pixelScaling } from '../web/image.ts'
import type { Command, Options } from './command.ts'
import { labelsOf, SCALING_OPTIONS, scalingOf } from './inputs.ts'
import type { ModelFile } from './model.ts'

export const DESCRIPTION_OPTIONS: Command['options'] = [
  ['--labels <file>', 'names of the classes, one a line (default: those in the model file)'],
  ...SCALING_OPTIONS,
]

/** Labels name the elements of an output, the scaling of pixels is of inputs that take pictures. Throws InputError. */
export async function describeModel({ bytes, graph }: ModelFile, options: Options): Promise<Description> {
  const { inputs = [], outputs, labels: own } = describeTflite(bytes)
  const given = await labelsOf(options)
  const sizes = graph.outputs.map(({ type }) => count(type.shape))
  if (given && !sizes.includes(given.length))
    throw new InputError(
      '--labels',
      `has ${given.length} labels, outputs have ${sizes.join(', ')} elements`,
      'one label a line, for each element of an output',
    )
  const scaling = scalingOf(options)
  const [flag] = Object.keys(scaling)
  const pictures = graph.inputs.map(({ type }) => pictureOf(type.shape))
  if (flag && !pictures.some((picture) => picture))
    throw new InputError(
      `--${flag}`,
      `is of pictures, inputs have the shapes ${graph.inputs.map(({ type }) => `[${type.shape}]`).join(', ')}`,
      'pictures are of shape [1, height, width, channels] or [1, channels, height, width], 1 or 3 channels',
    )
  return {
    inputs: pictures.map((picture, i) => ({
      ...inputs[i],
      ...(flag && picture && pixelScaling(scaling, picture.size[2], `--${flag}`)),
    })),
    ...(outputs && { outputs }),
    labels: given ?? (own && sizes.includes(own.length) ? own : undefined),
  }
}
