// The page: asks the worker for a program whenever the model, the machine or a limit changes, and shows what comes back.

import 'virtual:report.css'
import './style.css'
import { parseShapes, parseSize, parseWhole } from '../src/cli/numbers.ts'
import type { OutputFile } from '../src/emit/program.ts'
import { MoteError } from '../src/errors.ts'
import { draw } from '../src/report/draw.ts'
import { bytesText, countText, timeText } from '../src/report/figures.ts'
import type { ModelReport } from '../src/report/report.ts'
import { timeline } from '../src/report/timeline.ts'
import { BOARDS } from '../src/targets/boards.ts'
import { TARGET_NAMES } from '../src/targets/index.ts'
import {
  type Answer,
  type Compiled,
  type Job,
  type Model,
  type Ran,
  type Refused,
  STEPS,
  type Step,
} from './protocol.ts'
import { zip } from './zip.ts'

const MAX_SEED = 2 ** 32 - 1

function at<E extends HTMLElement = HTMLElement>(id: string): E {
  const found = document.getElementById(id)
  if (!found) throw new Error(`the page has no #${id}`)
  return found as E
}

function el(name: string, attributes: Readonly<Record<string, string>>, ...inside: readonly (Node | string)[]) {
  const node = document.createElement(name)
  for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v)
  node.append(...inside)
  return node
}

const [target, seed] = [at<HTMLSelectElement>('target'), at<HTMLInputElement>('seed')]
const limits = { sram: at<HTMLInputElement>('sram'), flash: at<HTMLInputElement>('flash') }
const shapes = at<HTMLInputElement>('shapes')
const verdict = at('verdict')
const [cancel, run] = [at<HTMLButtonElement>('cancel'), at<HTMLButtonElement>('run')]

const DEMO: Model = { name: 'demo', files: [] }
let model = DEMO
let worker: Worker | undefined
let shown: ModelReport | undefined

// Choices

target.append(
  el('optgroup', { label: 'Targets' }, ...TARGET_NAMES.map((name) => el('option', { value: name }, name))),
  el(
    'optgroup',
    { label: 'Boards' },
    ...BOARDS.map((b) =>
      el('option', { value: b.name }, `${b.name} · ${b.target}, ${size(b.sram)} / ${size(b.flash)}`),
    ),
  ),
)
for (const name of STEPS) at('steps').append(el('li', {}, name))

/** A round number of bytes the way `parseSize` reads it. */
function size(bytes: number): string {
  return bytes >= 2 ** 20 ? `${bytes / 2 ** 20}M` : `${bytes / 1024}K`
}

const boardNamed = (name: string) => BOARDS.find((b) => b.name === name)

/** What the fields ask for; a field that cannot be read is marked. */
function job(): Job {
  const read = <T>(field: HTMLInputElement, parse: (text: string) => T): T | undefined => {
    field.removeAttribute('aria-invalid')
    if (!field.value.trim()) return undefined
    try {
      return parse(field.value)
    } catch (error) {
      field.setAttribute('aria-invalid', 'true')
      throw error
    }
  }
  const sram = read(limits.sram, (text) => parseSize(text, 'RAM'))
  const flash = read(limits.flash, (text) => parseSize(text, 'flash'))
  const open = at('shapes-field').hidden
    ? undefined
    : read(shapes, (text) => parseShapes(text.replace(/^\s*--shape\s+/, '')))
  return {
    model,
    target: boardNamed(target.value)?.target ?? target.value,
    ...(sram !== undefined && { sram }),
    ...(flash !== undefined && { flash }),
    ...(open && { shapes: open }),
  }
}

// Questions

/** Ends whatever the worker is at, and leaves none that is half-way. */
function stop(): void {
  if (!document.body.classList.contains('busy')) return
  worker?.terminate()
  worker = undefined
  document.body.classList.remove('busy')
}

function ask(withSeed?: number): void {
  stop()
  let asked: Job
  try {
    asked = job()
  } catch (error) {
    if (!(error instanceof MoteError)) throw error
    refuse({ message: error.message, ours: false, ...(error.hint && { hint: error.hint }) })
    return
  }
  worker ??= new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })
  const current = worker
  document.body.classList.add('busy')
  cancel.textContent = 'Cancel'
  cancel.hidden = false
  current.onmessage = ({ data }: MessageEvent<Answer>) => {
    if (current !== worker) return
    if ('step' in data) return mark(data.step)
    if ('compiled' in data) {
      accept(asked, data.compiled)
      if (withSeed !== undefined) return
    } else if ('ran' in data) showRun(data.ran)
    else refuse(data.refused)
    document.body.classList.remove('busy')
    cancel.hidden = true
  }
  current.onerror = (event) => {
    event.preventDefault()
    refuse({ message: event.message || 'the compiler could not be loaded', ours: true })
    stop()
  }
  current.postMessage({ job: asked, ...(withSeed !== undefined && { seed: withSeed }) })
}

function mark(now: Step | undefined, ending: 'now' | 'failed' = 'now'): void {
  const here = now ? STEPS.indexOf(now) : STEPS.length
  for (const [i, li] of [...at('steps').children].entries()) li.className = i < here ? 'done' : i === here ? ending : ''
}

/** The step that was under way. */
const stepNow = () => STEPS.find((_, i) => at('steps').children[i].className === 'now')

// Answers

function say(kind: string, head: string, text = '', hint = ''): void {
  verdict.className = kind
  verdict.replaceChildren(el('b', {}, head), text, ...(hint ? [el('span', { class: 'hint' }, hint)] : []))
}

function showReport(report: ModelReport): void {
  shown = report
  draw(report, at('view'), { bytes: bytesText, count: countText, timeline })
}

function meters({ plan }: ModelReport, { sram, flash }: { readonly sram?: number; readonly flash?: number }): void {
  const meter = (label: string, used: number, limit: number | undefined) => {
    const share = limit === undefined ? undefined : used / limit
    const fill = el('i', share !== undefined && share > 1 ? { class: 'over' } : {})
    fill.style.width = `${100 * Math.min(1, share ?? 0)}%`
    const said = share === undefined ? '' : ` of ${bytesText(limit!)}, ${(100 * share).toFixed(1)}%`
    return el(
      'div',
      { class: 'meter' },
      el('div', {}, el('span', { class: 'soft' }, label), el('span', {}, el('b', {}, bytesText(used)), said)),
      ...(share === undefined ? [] : [el('div', { class: 'track' }, fill)]),
    )
  }
  at('meters').replaceChildren(
    ...(plan ? [meter('RAM for tensors', plan.arenaBytes, sram), meter('Weights', plan.weightBytes, flash)] : []),
  )
}

let links: string[] = []

/** Each file, all of them, and all of them with the example around them. */
function showFiles(files: readonly OutputFile[], project: readonly OutputFile[], name: string): void {
  for (const url of links) URL.revokeObjectURL(url)
  const link = (file: string, blob: Blob, strong: boolean) => {
    const href = URL.createObjectURL(blob)
    links.push(href)
    const attributes = { class: strong ? 'file strong' : 'file', href, download: file }
    return el('a', attributes, file, el('small', {}, bytesText(blob.size)))
  }
  links = []
  const each = files.map((f, i) =>
    link(f.name, new Blob([f.data as BlobPart], { type: 'application/octet-stream' }), i === 0),
  )
  at('files').replaceChildren(
    ...each,
    ...(files.length > 1 ? [link(`${name}.zip`, zip(files), false)] : []),
    ...(project.length > 0 ? [link(`${name}-project.zip`, zip([...files, ...project]), false)] : []),
  )
}

function accept({ target: forTarget, ...asked }: Job, { report, files, project, snippet, ms }: Compiled): void {
  mark(undefined)
  const limited = asked.sram !== undefined || asked.flash !== undefined
  const machine = boardNamed(target.value)?.name ?? forTarget
  say('good', limited ? `Fits ${machine}` : `Compiled for ${machine}`, `in ${timeText(ms * 1000)}`)
  meters(report, asked)
  showFiles(files, project, report.name)
  at('snippet').textContent = snippet.join('\n')
  at('trial').hidden = forTarget !== 'wasm'
  at('after').hidden = false
  at('after').classList.toggle('alone', forTarget !== 'wasm')
  at('result').replaceChildren()
  facts(report)
  showReport(report)
}

function refuse({ message, hint, ours, report }: Refused): void {
  mark(stepNow(), 'failed')
  say('bad', ours ? 'A fault of mote' : report ? 'Does not fit' : 'No program', message, hint)
  showFiles([], [], '')
  at('after').hidden = true
  at('meters').replaceChildren()
  at('view').replaceChildren()
  shown = undefined
  if (!report) return
  const asked = job()
  meters(report, asked)
  facts(report)
  showReport(report)
}

function facts(report: ModelReport): void {
  const bytes = model.files.reduce((sum, f) => sum + f.bytes.length, 0)
  at('model-facts').textContent = [
    ...(bytes ? [bytesText(bytes)] : ['the net of mote demo']),
    `${countText(report.layers.length)} layers`,
    `${countText(report.macs)} MACs`,
  ]
    .map((part) => part.replaceAll(' ', '\u00a0'))
    .join(' · ')
}

function showRun({ us, outputs }: Ran): void {
  const figure = (x: number) => String(Number(x.toPrecision(4)))
  const scores = (highest: Ran['outputs'][number]['highest']) => {
    const most = Math.max(...highest.map((s) => Math.abs(s.score)), Number.MIN_VALUE)
    const rows = highest.flatMap(({ label, score }) => {
      const fill = el('i', {})
      fill.style.width = `${(100 * Math.abs(score)) / most}%`
      return [el('span', {}, label), el('div', { class: 'track' }, fill), el('span', { class: 'n' }, figure(score))]
    })
    return el('div', { class: 'scores' }, ...rows)
  }
  at('result').replaceChildren(
    el('p', { class: 'small soft' }, `${timeText(us)}, its first run`),
    ...outputs.flatMap(({ name, type, highest, values, count }) => [
      el('h3', {}, `${name}  ${type}`),
      ...(count > 1 ? [scores(highest)] : []),
      el(
        'p',
        { class: 'small soft' },
        `${values.map(figure).join('  ')}${count > values.length ? `  … ${countText(count - values.length)} more` : ''}`,
      ),
    ]),
  )
}

// Events

function open(next: Model): void {
  model = next
  const [main] = model.files
  at('model-name').textContent = main?.name ?? 'Demo net'
  at('model-facts').textContent = ''
  at('demo').hidden = model === DEMO
  at('shapes-field').hidden = !main?.name.endsWith('.onnx')
  shapes.value = ''
  ask()
}

/** The model first, then the files of weights that it may name. */
async function openFiles(list: FileList | null | undefined): Promise<void> {
  const files = [...(list ?? [])]
  if (files.length === 0) return
  const rank = (f: File) => (/\.(tflite|onnx|mote)$/.test(f.name) ? 0 : 1)
  files.sort((a, b) => rank(a) - rank(b))
  const read = await Promise.all(
    files.map(async (f) => ({ name: f.name, bytes: new Uint8Array(await f.arrayBuffer()) })),
  )
  open({ name: read[0].name.replace(/\.[^.]*$/, ''), files: read })
}

at<HTMLInputElement>('file').addEventListener('change', async ({ target: field }) => {
  const input = field as HTMLInputElement
  await openFiles(input.files)
  input.value = ''
})
at('demo').addEventListener('click', () => open(DEMO))
target.addEventListener('change', () => {
  const board = boardNamed(target.value)
  limits.sram.value = board ? size(board.sram) : ''
  limits.flash.value = board ? size(board.flash) : ''
  ask()
})
for (const field of [limits.sram, limits.flash, shapes]) field.addEventListener('change', () => ask())
cancel.addEventListener('click', () => {
  if (!document.body.classList.contains('busy')) return ask()
  const step = stepNow()
  stop()
  mark(step, 'failed')
  say('', 'Stopped')
  cancel.textContent = 'Compile'
})
run.addEventListener('click', () => {
  try {
    ask(parseWhole(seed.value, 'seed', 0, MAX_SEED))
  } catch (error) {
    if (!(error instanceof MoteError)) throw error
    at('result').replaceChildren(el('p', {}, error.message))
  }
})

const hasFiles = (e: DragEvent) => e.dataTransfer?.types.includes('Files') === true
document.addEventListener('dragover', (e) => {
  if (!hasFiles(e)) return
  e.preventDefault()
  document.body.classList.add('over')
})
document.addEventListener('dragleave', (e) => {
  if (!e.relatedTarget) document.body.classList.remove('over')
})
document.addEventListener('drop', (e) => {
  document.body.classList.remove('over')
  if (!hasFiles(e)) return
  e.preventDefault()
  openFiles(e.dataTransfer?.files)
})

let width = window.innerWidth
window.addEventListener('resize', () => {
  if (width === window.innerWidth) return
  width = window.innerWidth
  if (shown) showReport(shown)
})

open(DEMO)
