// The page of examples/browser with the models of the shared folder, in a browser without a screen: what it shows for files,
// a microphone and a camera is what Node computes.

import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import ts from 'typescript'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeImage } from '../../src/io/images.ts'
import { Spectrogram, toInt16 } from '../../src/web/audio.ts'
import { detections, priorBoxes, ULTRAFACE } from '../../src/web/boxes.ts'
import { type Ranked, topK } from '../../src/web/classes.ts'
import { imageInput } from '../../src/web/image.ts'
import { readWav } from '../../src/web/wav.ts'
import { typed } from '../cli/console.ts'
import { describeShared, sharedBytes, sharedPath } from '../shared/shared.ts'
import { BROWSER, visitSite } from '../support/site.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
// As deep below the root as the example itself: its settings name src/ by a relative path.
const folder = `${root}.tmp/browser-${process.pid}`
const PICTURES = `${root}.artifacts/browser`
const { commands }: { commands(folder: string, to?: string): string[][] } = await import(
  /* @vite-ignore */ `${root}examples/browser/models.mjs`
)
const photo = 'datasets/sample_inputs/coral/grace_hopper.bmp'
const recording = (word: string) => sharedPath(`datasets/sample_inputs/tflm/${word}_1000ms.wav`)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('a folder without the models is an error that names the first', () => {
  expect(() => commands(`${root}examples/browser/labels`)).toThrow(/no file whose name is like .*person_detect/)
})

const percent = (ranked: readonly Ranked[]) => ranked.map((r) => `${r.label} ${Math.round(100 * r.score)}%`)
const loaded = (name: string) => import(/* @vite-ignore */ join(folder, 'models', `${name}.js`))

async function look(file: string) {
  const picture = decodeImage(sharedBytes(file))
  const [person, faces] = await Promise.all([loaded('person'), loaded('faces')])
  const { output } = (await person.load()).run({ input: imageInput(picture, person.inputs.input) })
  const input = imageInput(picture, faces.inputs.input, { mean: [127], std: [128], crop: 'none' })
  const { scores, boxes } = (await faces.load()).run({ input })
  const found = detections(scores, boxes, priorBoxes(ULTRAFACE), { score: 0.7 })
  return {
    classes: percent(topK(person.dequantize(person.outputs.output, output), 2, person.labels)),
    faces: found.length,
  }
}

async function hear(word: string) {
  const [front, words] = await Promise.all([loaded('front'), loaded('words')])
  const frontEnd = await front.load()
  const heard = new Spectrogram({ frontEnd: (w) => frontEnd.run({ audio_frame: w }).output })
  heard.push(toInt16(readWav(sharedBytes(`datasets/sample_inputs/tflm/${word}_1000ms.wav`), word).samples))
  const { labels_softmax } = (await words.load()).run({ Reshape_1: heard.data })
  return percent(topK(words.dequantize(words.outputs.labels_softmax, labels_softmax), 4, words.labels))
}

const barsOf = (page: Page, id: string) =>
  page.$$eval(`#${id} > div`, (rows) =>
    rows.map((r) => `${r.querySelector('span')!.textContent} ${r.querySelector('b')!.textContent}`),
  )
const said = (page: Page, id: string, what: RegExp) =>
  page.waitForFunction(
    ([where, source]) => new RegExp(source).test(document.getElementById(where)!.textContent!),
    [id, what.source],
  )

describe.skipIf(!BROWSER)(`the page${BROWSER ? '' : ' (needs chromium in /usr/bin)'}`, () => {
  describeShared('with the shared models', () => {
    beforeAll(async () => {
      mkdirSync(PICTURES, { recursive: true })
      cpSync(`${root}examples/browser`, folder, { recursive: true, filter: (f) => !/\/(models|dist)$/.test(f) })
      for (const command of commands(sharedPath('models'), join(folder, 'models')))
        expect(await typed(...command)).toMatchObject({ code: 0 })
    }, 60_000)

    const visit = (act: (page: Page) => Promise<void>, args: string[] = [], dark = false) =>
      visitSite(join(folder, 'dist'), act, { args, dark, permissions: ['camera', 'microphone'] })

    test('its sources fit the types of the programs', () => {
      const config = ts.readConfigFile(`${folder}/tsconfig.json`, ts.sys.readFile)
      const { options, fileNames } = ts.parseJsonConfigFileContent(config.config, ts.sys, folder)
      const program = ts.createProgram(fileNames, options)
      expect(
        ts.getPreEmitDiagnostics(program).map((d) => ts.flattenDiagnosticMessageText(d.messageText, '\n')),
      ).toEqual([])
    })

    test('is built by Vite, and answers to files as Node does, without blocking', async () => {
      await build({ configFile: `${folder}/vite.config.ts`, logLevel: 'warn' })
      await visit(async (page) => {
        const wanted = await look(photo)
        await page.evaluate(() => {
          const w = window as unknown as { ticks: number }
          w.ticks = 0
          setInterval(() => w.ticks++, 1)
        })
        await page.setInputFiles('#picture-file', sharedPath(photo))
        await said(page, 'seen', /faces?,/)
        expect(await barsOf(page, 'classes')).toEqual(wanted.classes)
        expect(wanted.faces).toBe(1)
        expect(await page.textContent('#seen')).toMatch(/^1 face, /)
        expect(await page.evaluate(() => (window as unknown as { ticks: number }).ticks)).toBeGreaterThan(5)

        for (const word of ['yes', 'no']) {
          await page.setInputFiles('#sound-file', recording(word))
          await said(page, 'heard', new RegExp(`^${word},`))
          expect(await barsOf(page, 'words')).toEqual(await hear(word))
        }
        await page.screenshot({ path: `${PICTURES}/files-light.png` })

        await page.setInputFiles('#sound-file', sharedPath(photo))
        await said(page, 'heard', /WAVE/)
      })
    }, 60_000)

    test('hears a microphone and sees a camera', async () => {
      const fake = ['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream']
      await visit(
        async (page) => {
          await page.click('#microphone')
          await said(page, 'heard', /^yes,/)
          await page.click('#microphone')
          await page.click('#camera')
          await said(page, 'seen', /^\d+ faces?, /)
          await page.waitForFunction(() => {
            const { width, height } = document.querySelector<HTMLCanvasElement>('#picture')!
            return width === 640 && height === 480
          })
          await page.screenshot({ path: `${PICTURES}/live-dark.png` })
          await page.click('#camera')
        },
        [...fake, `--use-file-for-fake-audio-capture=${recording('yes')}`],
        true,
      )
    }, 60_000)
  })
})
