// The page: what is spoken goes to the learner in the worker; what it understands and how it learns is shown.

import type { Ranked } from 'mote-ml/web/classes'
import { readWav } from 'mote-ml/web/wav'
import type { Answers, Question, Spoken } from './protocol.ts'

/** Seconds that are recorded at a press of the button, and how often what was taught is gone through. */
const SECONDS = 1.5
const [ROUNDS_ONE, ROUNDS_MANY] = [3, 15]
const at = <T extends HTMLElement>(id: string) => document.getElementById(id) as T

const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })
const waiting = new Map<number, { answer(a: unknown): void; refuse(e: Error): void }>()
let asked = 0
worker.onmessage = ({ data: { id, answer, fault } }) => {
  const one = waiting.get(id)!
  waiting.delete(id)
  if (fault === undefined) one.answer(answer)
  else one.refuse(new Error(fault))
}

function ask<K extends Question['kind']>(question: Question & { kind: K }): Promise<Answers[K]> {
  return new Promise((answer, refuse) => {
    waiting.set(++asked, { answer: answer as (a: unknown) => void, refuse })
    worker.postMessage({ id: asked, question })
  })
}

function element(tag: string, text = '', share?: number): HTMLElement {
  const one = document.createElement(tag)
  one.textContent = text
  if (share !== undefined) one.style.setProperty('--share', String(share))
  return one
}

const say = (id: string, text: string) => {
  at(id).textContent = text
}

/** Runs what a button or a field starts; what goes wrong is said where the answer would be. */
const attempt = (where: string, act: () => Promise<void>) =>
  act().catch((error) => say(where, error instanceof Error ? error.message : String(error)))

let last: Spoken | undefined

function showHeard(ranked: readonly Ranked[]): void {
  const [best] = ranked
  say('heard', `${best.label}, ${Math.round(100 * best.score)}%`)
  const rows = [...ranked].sort((a, b) => a.index - b.index)
  at('words').replaceChildren(
    ...rows.map(({ label, score }) => {
      const row = element('div')
      row.append(element('span', label), element('i', '', score), element('b', `${Math.round(100 * score)}%`))
      return row
    }),
  )
}

async function hear(spoken: Spoken): Promise<void> {
  last = spoken
  showHeard((await ask({ kind: 'hear', spoken })).ranked)
}

async function teach(spoken: readonly Spoken[], rounds: number): Promise<void> {
  const { examples, losses, ms } = await ask({ kind: 'teach', spoken, rounds })
  const [first, end] = [losses[0], losses.at(-1)!].map((x) => x.toFixed(2))
  say('taught', `${examples} ${examples === 1 ? 'example' : 'examples'}, loss ${first} → ${end} in ${ms.toFixed(0)} ms`)
  if (last) await hear(last)
}

async function spokenIn(file: File): Promise<Spoken> {
  const { rate, samples } = readWav(new Uint8Array(await file.arrayBuffer()), file.name)
  return { rate, samples }
}

/** Recordings whose names begin with the digit. */
function labelled(files: readonly File[]): Promise<Spoken[]> {
  return Promise.all(
    files.map(async (file) => {
      const [, digit] = /^(\d)_/.exec(file.name) ?? []
      if (digit === undefined) throw new Error(`${file.name}: expected a name like 7_anna_0.wav`)
      return { ...(await spokenIn(file)), label: Number(digit) }
    }),
  )
}

async function record(): Promise<Spoken> {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true })
  const context = new AudioContext()
  try {
    await context.audioWorklet.addModule('./microphone.js')
    const node = new AudioWorkletNode(context, 'microphone')
    const pieces: Float32Array[] = []
    await new Promise<void>((done) => {
      node.port.onmessage = ({ data }) => {
        pieces.push(data)
        if (pieces.reduce((n, p) => n + p.length, 0) >= SECONDS * context.sampleRate) done()
      }
      context.createMediaStreamSource(stream).connect(node)
    })
    return { rate: context.sampleRate, samples: Float64Array.from(pieces.flatMap((p) => [...p])) }
  } finally {
    for (const track of stream.getTracks()) track.stop()
    context.close()
  }
}

at('microphone').onclick = ({ target }) =>
  attempt('heard', async () => {
    const button = target as HTMLButtonElement
    button.disabled = true
    say('heard', 'Speak now …')
    await record()
      .then(hear)
      .finally(() => {
        button.disabled = false
      })
  })

/** The chosen files; the same ones can be chosen again. */
function filesOf({ target }: Event): File[] {
  const field = target as HTMLInputElement
  const files = [...field.files!]
  field.value = ''
  return files
}

at<HTMLInputElement>('sound-file').onchange = (event) => attempt('heard', async () => hear(await spokenIn(filesOf(event)[0])))
at<HTMLInputElement>('teach-files').onchange = (event) =>
  attempt('taught', async () => teach(await labelled(filesOf(event)), ROUNDS_MANY))
at<HTMLInputElement>('judge-files').onchange = (event) =>
  attempt('judged', async () => {
    const { right, all } = await ask({ kind: 'judge', spoken: await labelled(filesOf(event)) })
    say('judged', `${right} of ${all} understood`)
  })
at('forget').onclick = () =>
  attempt('taught', async () => {
    await ask({ kind: 'forget' })
    say('taught', 'As it was.')
    say('judged', '')
    if (last) await hear(last)
  })
at('take').onclick = () =>
  attempt('taught', async () => {
    const { file } = await ask({ kind: 'take' })
    const link = document.createElement('a')
    link.href = URL.createObjectURL(new Blob([file]))
    link.download = 'digits.tflite'
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
  })

attempt('about', async () => {
  const { words, ramBytes, live, phases } = await ask({ kind: 'about' })
  at('digits').replaceChildren(
    ...words.map((word, label) => {
      const button = element('button', word) as HTMLButtonElement
      button.type = 'button'
      button.onclick = () =>
        attempt('taught', async () => {
          if (last) await teach([{ ...last, label }], ROUNDS_ONE)
          else say('taught', 'First say something.')
        })
      return button
    }),
  )
  at('memory').title = `RAM of one step on a Cortex-M4, layer by layer: ${ramBytes} bytes at most`
  at('memory').replaceChildren(
    ...live.map((bytes, i) => {
      const column = element('i', '', bytes / ramBytes)
      column.className = i < phases[0] ? 'predicts' : i < phases[1] ? 'judges' : 'learns'
      return column
    }),
  )
  const about = at('about')
  about.textContent += ` On a microcontroller all of it takes ${(ramBytes / 1024).toFixed(1)} KB of RAM.`
})
