// The learner: compiles the training step here, in the page's worker, and lets it learn from what is spoken.

import { compile, instantiateLearner, learnedModel, readModel, trainingStep, writeTflite } from 'mote-ml'
import { topK } from 'mote-ml/web/classes'
import { elements } from 'mote-ml/web/port'
import { speechFeatures } from 'mote-ml/web/speech'
import type { Answers, Question, Spoken } from './protocol.ts'

const WORDS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine']
const RATE = 0.03

const ready = open()
const taught: { readonly input: Int8Array; readonly label: number }[] = []

async function open() {
  const file = await fetch(new URL('../../demo/digits.tflite', import.meta.url))
  const graph = readModel(new Uint8Array(await file.arrayBuffer()))
  const step = trainingStep(graph, { learn: 'last-3' })
  const { plan } = compile(step.graph, { target: 'cortex-m4' })
  return { step, plan, learner: await instantiateLearner(compile(step.graph)) }
}

type Learner = Awaited<ReturnType<typeof open>>['learner']

function inputOf({ inputs: [{ type }] }: Learner, { samples, rate }: Spoken): Int8Array {
  const { scale, zero } = type.quant!
  return elements({ dtype: 'int8', scale: scale[0], zero: zero[0] }, speechFeatures(samples, rate))
}

function hear(learner: Learner, spoken: Spoken) {
  const [scores] = learner.predict([inputOf(learner, spoken)])
  const { scale, zero } = learner.outputs[0].type.quant!
  return topK(Array.from(scores as Int8Array, (q) => scale[0] * (q - zero[0])), WORDS.length, WORDS)
}

/** All examples, each time in another order; returns the mean loss of each round. */
function teach(learner: Learner, rounds: number): number[] {
  return Array.from({ length: rounds }, () => {
    const order = taught.map((word) => ({ word, at: Math.random() })).sort((a, b) => a.at - b.at)
    return order.reduce((sum, { word }) => sum + learner.train([word.input], word.label, RATE), 0) / taught.length
  })
}

async function answer(question: Question): Promise<Answers[Question['kind']]> {
  const { learner, plan, step } = await ready
  switch (question.kind) {
    case 'about': {
      const { predicted, judged } = plan.learning!
      const live = plan.layers.map((l) => l.liveBytes)
      return { words: WORDS, ramBytes: plan.arenaBytes, live, phases: [predicted, judged] }
    }
    case 'hear':
      return { ranked: hear(learner, question.spoken) }
    case 'teach': {
      for (const spoken of question.spoken) taught.push({ input: inputOf(learner, spoken), label: spoken.label! })
      const start = performance.now()
      const losses = teach(learner, question.rounds)
      return { examples: taught.length, losses, ms: performance.now() - start }
    }
    case 'judge': {
      const right = question.spoken.filter((spoken) => hear(learner, spoken)[0].index === spoken.label).length
      return { right, all: question.spoken.length }
    }
    case 'forget':
      learner.reset()
      taught.length = 0
      return {}
    case 'take':
      return { file: writeTflite(learnedModel(step, learner.learned())) as Uint8Array<ArrayBuffer> }
  }
}

self.onmessage = async ({ data: { id, question } }: MessageEvent<{ id: number; question: Question }>) => {
  try {
    self.postMessage({ id, answer: await answer(question) })
  } catch (error) {
    self.postMessage({ id, fault: error instanceof Error ? error.message : String(error) })
  }
}
