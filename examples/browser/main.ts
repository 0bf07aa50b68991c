// The page: a camera or a picture, a microphone or a recording, and what the worker's models say about them.

import { toInt16 } from 'mote-ml/web/audio'
import type { Ranked } from 'mote-ml/web/classes'
import { resample } from 'mote-ml/web/resample'
import { readWav } from 'mote-ml/web/wav'
import type { Answers, Heard, Question, Seen } from './protocol.ts'

const RATE = 16000
const [ROWS, FEATURES] = [49, 40]
const at = <T extends HTMLElement>(id: string) => document.getElementById(id) as T
const shown = at<HTMLCanvasElement>('picture')
const drawing = at<HTMLCanvasElement>('spectrogram')

// The worker

const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })
const waiting = new Map<number, { answer(a: unknown): void; refuse(e: Error): void }>()
let asked = 0
worker.onmessage = ({ data: { id, answer, fault } }) => {
  const one = waiting.get(id)!
  waiting.delete(id)
  if (fault === undefined) one.answer(answer)
  else one.refuse(new Error(fault))
}

function ask<K extends Question['kind']>(question: Question & { kind: K }, transfer: Transferable[]): Promise<Answers[K]> {
  return new Promise((answer, refuse) => {
    waiting.set(++asked, { answer: answer as (a: unknown) => void, refuse })
    worker.postMessage({ id: asked, question }, transfer)
  })
}

// Answers

function bars(where: HTMLElement, ranked: readonly Ranked[]): void {
  where.replaceChildren(
    ...ranked.map(({ label, score }) => {
      const [row, name, track, share] = ['div', 'span', 'i', 'b'].map((tag) => document.createElement(tag))
      name.textContent = label
      track.style.setProperty('--share', String(Math.max(0, Math.min(1, score))))
      share.textContent = `${Math.round(100 * score)}%`
      row.append(name, track, share)
      return row
    }),
  )
}

function say(id: string, text: string): void {
  at(id).textContent = text
}

/** Draws a picture and the faces in it. */
function showPicture(picture: ImageBitmap | HTMLVideoElement, width: number, height: number, faces: Seen['faces']): void {
  Object.assign(shown, { width, height })
  const context = shown.getContext('2d')!
  context.drawImage(picture, 0, 0, width, height)
  context.lineWidth = Math.max(2, width / 160)
  context.strokeStyle = '#ff4d6d'
  for (const { left, top, right, bottom } of faces)
    context.strokeRect(left * width, top * height, (right - left) * width, (bottom - top) * height)
}

function showSeen({ classes, faces, ms }: Seen): void {
  bars(at('classes'), classes)
  say('seen', `${faces.length} ${faces.length === 1 ? 'face' : 'faces'}, ${ms.toFixed(1)} ms`)
}

function showHeard({ words, spectrogram, ms }: Heard): void {
  bars(at('words'), words)
  say('heard', `${words[0].label}, ${ms.toFixed(1)} ms`)
  const image = new ImageData(ROWS, FEATURES)
  for (let row = 0; row < ROWS; row++)
    for (let f = 0; f < FEATURES; f++) {
      const level = (spectrogram[row * FEATURES + f] + 128) / 255
      image.data.set([255 * level ** 0.6, 77 * level, 109 + 80 * (1 - level), 255 * level], 4 * ((FEATURES - 1 - f) * ROWS + row))
    }
  drawing.getContext('2d')!.putImageData(image, 0, 0)
}

/** Runs what a button or a field starts; what goes wrong is said where the answer would be. */
async function attempt(where: string, act: () => Promise<void>): Promise<void> {
  try {
    await act()
  } catch (error) {
    say(where, error instanceof Error ? error.message : String(error))
  }
}

// Pictures

let camera: MediaStream | undefined

async function look(file: File): Promise<void> {
  const picture = await createImageBitmap(file)
  const copy = await createImageBitmap(picture)
  const answer = await ask({ kind: 'look', picture }, [picture])
  showPicture(copy, copy.width, copy.height, answer.faces)
  showSeen(answer)
}

async function watch(): Promise<void> {
  camera = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } })
  const video = document.createElement('video')
  video.srcObject = camera
  await video.play()
  while (camera) {
    const picture = await createImageBitmap(video)
    const copy = await createImageBitmap(picture)
    const answer = await ask({ kind: 'look', picture }, [picture])
    showPicture(copy, copy.width, copy.height, answer.faces)
    showSeen(answer)
    await new Promise(requestAnimationFrame)
  }
}

const stopped = (stream: MediaStream | undefined) => {
  for (const track of stream?.getTracks() ?? []) track.stop()
}

at('camera').onclick = async ({ target }) => {
  const button = target as HTMLButtonElement
  if (camera) {
    stopped(camera)
    camera = undefined
    return
  }
  button.textContent = 'Stop'
  await attempt('seen', watch)
  button.textContent = 'Camera'
}
at<HTMLInputElement>('picture-file').onchange = ({ target }) =>
  attempt('seen', () => look((target as HTMLInputElement).files![0]))

// Sound

let microphone: { readonly stream: MediaStream; readonly context: AudioContext } | undefined

async function play(file: File): Promise<void> {
  const { rate, samples } = readWav(new Uint8Array(await file.arrayBuffer()), file.name)
  const sound = toInt16(rate === RATE ? samples : resample(samples, rate, RATE))
  showHeard(await ask({ kind: 'hear', samples: sound, first: true }, [sound.buffer]))
}

async function listen(): Promise<void> {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true })
  const context = new AudioContext({ sampleRate: RATE })
  microphone = { stream, context }
  await context.audioWorklet.addModule('./microphone.js')
  const node = new AudioWorkletNode(context, 'microphone')
  let first = true
  node.port.onmessage = ({ data }) =>
    attempt('heard', async () => {
      const samples = toInt16(data)
      const question = { kind: 'hear', samples, first } as const
      first = false
      showHeard(await ask(question, [samples.buffer]))
    })
  context.createMediaStreamSource(stream).connect(node)
}

at('microphone').onclick = async ({ target }) => {
  if (microphone) {
    stopped(microphone.stream)
    microphone.context.close()
    microphone = undefined
  } else await attempt('heard', listen)
  ;(target as HTMLButtonElement).textContent = microphone ? 'Stop' : 'Microphone'
}
at<HTMLInputElement>('sound-file').onchange = ({ target }) =>
  attempt('heard', () => play((target as HTMLInputElement).files![0]))
