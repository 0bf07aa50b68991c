// All models of the page, beside it: pictures and sound in, classes, faces and words out.

import { Spectrogram } from 'mote-ml/web/audio'
import { detections, priorBoxes, ULTRAFACE } from 'mote-ml/web/boxes'
import { topK } from 'mote-ml/web/classes'
import { imageInput } from 'mote-ml/web/image'
import * as faces from './models/faces.js'
import * as front from './models/front.js'
import * as person from './models/person.js'
import * as words from './models/words.js'
import type { Heard, Question, Seen } from './protocol.ts'

const eyes = Promise.all([person.load(), faces.load()])
const ears = Promise.all([front.load(), words.load()]).then(([frontEnd, net]) => {
  const spectrogram = new Spectrogram({
    frontEnd: (window) => frontEnd.run({ audio_frame: window }).output,
    reset: () => frontEnd.reset(),
  })
  return { spectrogram, net }
})
const priors = priorBoxes(ULTRAFACE)

function pixels(picture: ImageBitmap): ImageData {
  const { width, height } = picture
  const context = new OffscreenCanvas(width, height).getContext('2d')!
  context.drawImage(picture, 0, 0)
  picture.close()
  return context.getImageData(0, 0, width, height)
}

async function look(picture: ImageBitmap): Promise<Seen> {
  const [classifier, detector] = await eyes
  const image = pixels(picture)
  const start = performance.now()
  const { output } = classifier.run({ input: imageInput(image, person.inputs.input) })
  const seen = detector.run({
    input: imageInput(image, faces.inputs.input, { mean: [127], std: [128], crop: 'none' }),
  })
  return {
    classes: topK(person.dequantize(person.outputs.output, output), 2, person.labels),
    faces: detections(seen.scores, seen.boxes, priors, { score: 0.7 }),
    ms: performance.now() - start,
  }
}

async function hear(samples: Int16Array, first: boolean): Promise<Heard> {
  const { spectrogram, net } = await ears
  const start = performance.now()
  if (first) spectrogram.reset()
  spectrogram.push(samples)
  const { labels_softmax } = net.run({ Reshape_1: spectrogram.data })
  return {
    words: topK(words.dequantize(words.outputs.labels_softmax, labels_softmax), 4, words.labels),
    spectrogram: spectrogram.data,
    ms: performance.now() - start,
  }
}

self.onmessage = async ({ data: { id, question } }: MessageEvent<{ id: number; question: Question }>) => {
  try {
    const answer = question.kind === 'look' ? await look(question.picture) : await hear(question.samples, question.first)
    self.postMessage({ id, answer })
  } catch (error) {
    self.postMessage({ id, fault: error instanceof Error ? error.message : String(error) })
  }
}
