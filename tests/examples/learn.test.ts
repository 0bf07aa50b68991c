// The page of examples/learn in a browser without a screen: it hears and learns what Node would, from recordings and a microphone.

import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { digits, recordings } from '../../src/cli/demo_digits.ts'
import { compile } from '../../src/emit/program.ts'
import { readModel } from '../../src/import/read.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { instantiate } from '../../src/run/instantiate.ts'
import { describeShared, sharedPath } from '../shared/shared.ts'
import { BROWSER, visitSite } from '../support/site.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const site = `${root}.tmp/learn-${process.pid}`
const PICTURES = `${root}.artifacts/learn`

afterAll(() => rmSync(site, { recursive: true, force: true }))

const visit = (act: (page: Page) => Promise<void>, args: string[] = []) =>
  visitSite(site, (page) => said(page, 'about', /KB of RAM/).then(() => act(page)), {
    args,
    permissions: ['microphone'],
  })

const said = (page: Page, id: string, what: RegExp) =>
  page.waitForFunction(
    ([where, source]) => new RegExp(source).test(document.getElementById(where)!.textContent!),
    [id, what.source],
  )

const shares = (page: Page) => page.$$eval('#words b', (all) => all.map((b) => b.textContent))

async function sharesOf(graph: Graph, input: Int8Array) {
  const [scores] = (await instantiate(compile(graph))).run([input])
  const { scale, zero } = graph.outputs[0].type.quant!
  return Array.from(scores as Int8Array, (q) => `${Math.round(100 * scale[0] * (q - zero[0]))}%`)
}

describe.skipIf(!BROWSER)(`the page${BROWSER ? '' : ' (needs chromium in /usr/bin)'}`, () => {
  describeShared('with real recordings', () => {
    beforeAll(async () => {
      mkdirSync(PICTURES, { recursive: true })
      const to = { outDir: site, emptyOutDir: true }
      await build({ configFile: `${root}examples/learn/vite.config.ts`, logLevel: 'warn', build: to })
    }, 60_000)

    test('hears as Node does, learns from three takes of each digit, and gives the model away', async () => {
      const folder = sharedPath('datasets/fsdd')
      const { graph } = digits()
      const jackson = recordings(graph, folder).find((s) => s.name === 'jackson')!
      const files = readdirSync(folder).filter((f) => f.includes('jackson'))
      const takes = (from: number, to: number) =>
        files.filter((f) => Number(/_(\d+)\.wav$/.exec(f)![1]) >= from && Number(/_(\d+)\.wav$/.exec(f)![1]) < to)
      const paths = (names: string[]) => names.map((name) => `${folder}/${name}`)
      await visit(async (page) => {
        await page.setInputFiles('#sound-file', `${folder}/7_jackson_5.wav`)
        await said(page, 'heard', /%/)
        const { input } = jackson.words.filter((w) => w.label === 7)[0]
        expect(await shares(page)).toEqual(await sharesOf(graph, input))
        await page.setInputFiles('#judge-files', paths(takes(8, 20)))
        await said(page, 'judged', /of 120/)
        const before = Number(/^\d+/.exec((await page.textContent('#judged'))!)![0])
        await page.setInputFiles('#teach-files', paths(takes(5, 8)))
        await said(page, 'taught', /^30 examples, loss/)
        await page.setInputFiles('#judge-files', paths(takes(8, 20)))
        await page.waitForFunction(
          (old) => !document.getElementById('judged')!.textContent!.startsWith(`${old} `),
          before,
        )
        expect(Number(/^\d+/.exec((await page.textContent('#judged'))!)![0])).toBeGreaterThan(before + 10)
        await page.screenshot({ path: `${PICTURES}/learnt.png`, fullPage: true })
        const [download] = await Promise.all([page.waitForEvent('download'), page.click('#take')])
        const taken = readModel(new Uint8Array(readFileSync(await download.path())))
        expect(await shares(page)).toEqual(await sharesOf(taken, input))
        await page.click('#forget')
        await said(page, 'taught', /As it was/)
        await page.waitForTimeout(200)
        expect(await shares(page)).toEqual(await sharesOf(graph, input))
      })
    })

    test('a microphone is heard and taught', async () => {
      const fake = ['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream']
      await visit(
        async (page) => {
          await page.click('#microphone')
          await said(page, 'heard', /%/)
          await page.click('#digits button:nth-child(4)')
          await said(page, 'taught', /^1 example, loss/)
        },
        [...fake, `--use-file-for-fake-audio-capture=${sharedPath('datasets/fsdd/3_theo_5.wav')}`],
      )
    })
  })
})
