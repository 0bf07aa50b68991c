// The C of every model, put to the test. For each model file, each way to run it (layer by layer, the first layers by rows,
// the input streamed) and each target: does it compile without a warning under gcc, clang and as a header under g++; does it
// give the reference's bits between guard bytes, misused and beside a second instance (device/trial.c), under the address and
// undefined behaviour sanitizers, under valgrind, and on the target's emulated board; and what it takes there.
// Writes bench/results/firmware.json and firmware.md. Rows whose C has not changed are kept, so a run that was ended goes on.
//
//   npm run build && node bench/firmware.mjs [--shared DIR] [--only NAME] [--jobs N] [--again]
//
// Needs the models (`--shared`, MOTE_SHARED or ../shared), gcc, clang, g++, valgrind, QEMU and gcc-arm-none-eabi.

import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { compile, InputError, readModel } from '../dist/index.js'
import { fingerprint, fnv1a, hex8 } from '../dist/ir/hash.js'
import { Xorshift32 } from '../dist/ir/random.js'
import { benchDevice } from '../dist/run/device.js'
import { SANITIZED, STRICT } from '../dist/run/host_c.js'
import { reference } from '../dist/run/reference.js'
import { onHost } from '../dist/run/trial.js'

const self = fileURLToPath(import.meta.url)
const root = dirname(dirname(self))
const { values } = parseArgs({
  options: {
    shared: { type: 'string', default: process.env.MOTE_SHARED ?? join(root, '..', 'shared') },
    only: { type: 'string', default: '' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    again: { type: 'boolean', default: false },
    model: { type: 'string' },
  },
})
const models = join(values.shared, 'models')
const resultFile = join(root, 'bench/results/firmware.json')
if (!existsSync(models)) {
  console.error(`no models at ${models}; say where they are with --shared DIR`)
  process.exit(1)
}

const TARGETS = ['portable', 'cortex-m4', 'cortex-m7', 'cortex-m55']
const MODES = {
  whole: { stage: 'none' },
  rows: { stage: 'rows' },
  streamed: { stage: 'rows', input: 'streamed' },
}
/** init may take this many instructions, what state starts from included. */
const INIT_INSTRUCTIONS = 1000

const WARNINGS = [...STRICT, '-O2']
const CXX = ['-Wall', '-Wextra', '-Wconversion', '-Wsign-conversion', '-Wshadow', '-pedantic', '-Werror']
const ARM = ['-O2', '-Wall', '-Wextra', '-Wconversion', '-Werror']
const SANITIZERS = SANITIZED.filter((f) => f.includes('sanitize'))
const VALGRIND = ['valgrind', '-q', '--error-exitcode=7', '--leak-check=full', '--track-origins=no']

/** 'ok', or the first lines of what went wrong. */
function verdict(f) {
  try {
    return f() ?? 'ok'
  } catch (error) {
    return String(error.message).slice(0, 600)
  }
}

function expectOutputs(report, expected, sets) {
  if (report.faults.length) return report.faults.join('; ')
  for (let s = 0; s < sets; s++)
    if (report.outputs[s].join() !== expected[s].join()) return `outputs ${report.outputs[s]}, reference ${expected[s]}`
  return undefined
}

function onThisMachine(plan, sets, expected) {
  const checks = {}
  let usedBytes
  const trial = (how, run) => {
    const report = run({ timeoutSeconds: 1800, ...how })
    usedBytes ??= report.arenaUsedBytes
    return expectOutputs(report, expected, how.exact ? 1 : 2)
  }
  checks.gcc = verdict(() =>
    onHost(plan, sets, { flags: WARNINGS }, (run, tool) => {
      checks.clang = verdict(() => tool(['clang', ...WARNINGS, '-fsyntax-only', 'model.c']) && undefined)
      checks.cxx = verdict(() => tool(['g++', ...CXX, '-fsyntax-only', 'include.cc']) && undefined)
      checks.guards = verdict(() => trial({}, run))
      checks.valgrind = verdict(() => trial({ exact: true, under: VALGRIND }, run))
    }),
  )
  const sanitized = { flags: ['-std=c99', '-O1', ...SANITIZERS], linking: SANITIZERS }
  checks.sanitizers = verdict(() =>
    onHost(plan, sets, sanitized, (run) => trial({}, run) ?? trial({ exact: true }, run)),
  )
  checks.arena = usedBytes <= plan.arenaBytes ? 'ok' : `${usedBytes} bytes of ${plan.arenaBytes} used`
  return checks
}

function onItsBoard(plan, target, inputs, expected) {
  try {
    const { layers, ...run } = benchDevice(plan, target, inputs, { flags: ARM, timeoutSeconds: 1200 })
    const faults = []
    if (run.outputFnv1a.join() !== expected.join()) faults.push(`outputs ${run.outputFnv1a}, reference ${expected}`)
    if (run.arenaUsedBytes > plan.arenaBytes) faults.push(`${run.arenaUsedBytes} bytes of arena used`)
    if (run.initInstructions > INIT_INSTRUCTIONS)
      faults.push(`init took ${run.initInstructions} instructions`)
    return { check: faults.join('; ') || 'ok', ...run }
  } catch (error) {
    return { check: String(error.message).slice(0, 600) }
  }
}

/** All rows of one model, each printed as a line of JSON as it is ready. `known` has the key of each row that is there. */
function tryModel(path, known) {
  const graph = readModel(new Uint8Array(readFileSync(join(models, path))))
  const sets = [1, 2].map((seed) => {
    const random = new Xorshift32(seed)
    return graph.inputs.map((v) => random.fill(v.type))
  })
  const model = reference(graph)
  const expected = sets.map((inputs) => {
    model.reset()
    return model.run(inputs).map(fingerprint)
  })
  for (const [mode, options] of Object.entries(MODES))
    for (const target of TARGETS) {
      const row = { model: path, mode, target }
      const done = (more) => console.log(JSON.stringify({ ...row, ...more }))
      let program
      try {
        program = compile(graph, { ...options, target, name: 'model' })
      } catch (error) {
        if (!(error instanceof InputError)) throw error
        done({ skipped: 'the first layers cannot go by rows' })
        continue
      }
      const { plan } = program
      if (mode === 'rows' && plan.stages.length === 0) {
        done({ skipped: 'rows save nothing' })
        continue
      }
      row.key = hex8(program.files.reduce((h, f) => fnv1a(new TextEncoder().encode(f.data), h), fnv1a(new Uint8Array(0))))
      if (known.includes(row.key)) continue
      const { arenaBytes, weightBytes, macs } = plan
      const stateBytes = plan.state.reduce((n, s) => n + s.place.bytes, 0)
      const sizes = { arenaBytes, weightBytes, macs, layers: plan.steps.length, stateBytes }
      const host = target === 'cortex-m7' ? { skipped: 'the C is that of cortex-m4' } : onThisMachine(plan, sets, expected)
      done({ ...sizes, host, board: onItsBoard(plan, target, sets[0], expected[0]) })
    }
}

const idOf = (row) => `${row.model} ${row.mode} ${row.target}`
const faultsOf = ({ host = {}, board = {} }) =>
  [...Object.entries(host), ...Object.entries(board)].filter(
    ([name, text]) => /^(gcc|clang|cxx|guards|valgrind|sanitizers|arena|check)$/.test(name) && text !== 'ok',
  )

const number = (n) => (n === undefined ? '–' : Math.round(n).toLocaleString('en-US'))

function pageOf(rows) {
  const run = rows.filter((r) => r.host)
  const skipped = rows.filter((r) => r.skipped)
  const faulty = run.filter((r) => faultsOf(r).length)
  const names = [...new Set(rows.map((r) => r.model))]
  const checks = ['gcc', 'clang', 'cxx', 'guards', 'sanitizers', 'valgrind', 'arena']
  const passed = (check) => {
    const all = run.filter((r) => r.host[check])
    return `${all.filter((r) => r.host[check] === 'ok').length} of ${all.length}`
  }
  const boards = run.filter((r) => r.board)
  const boardsOk = boards.filter((r) => r.board.check === 'ok')
  const inits = boardsOk.map((r) => r.board.initInstructions)
  const find = (model, mode, target) => boardsOk.find((r) => r.model === model && r.mode === mode && r.target === target)
  const ratio = (a, b) => (a && b ? `${(a.board.instructions / b.board.instructions).toFixed(3)}×` : '–')
  const staged = names.flatMap((model) =>
    ['cortex-m4', 'cortex-m55'].flatMap((target) => {
      const [whole, byRows, streamed] = Object.keys(MODES).map((mode) => find(model, mode, target))
      if (!whole || !(byRows || streamed)) return []
      return `| ${model} | ${target} | ${number(whole.arenaBytes)} | ${number(byRows?.arenaBytes)} | ${number(streamed?.arenaBytes)} | ${number(whole.board.instructions)} | ${ratio(byRows, whole)} | ${ratio(streamed, whole)} | ${number(whole.board.codeBytes)} | ${number(byRows?.board.codeBytes)} | ${number(streamed?.board.codeBytes)} |`
    }),
  )
  return [
    '# Generated C, put to the test',
    '',
    'Made by `npm run build && node bench/firmware.mjs`: every model file, layer by layer (whole), with the first layers by rows,',
    'and with the input streamed, for each C target. Two random inputs; "the bits" are those of the reference runner.',
    '',
    `${names.length} of ${modelFiles().length} model files, ${run.length} programs, ${faulty.length} with a fault. ${skipped.length} combinations are not there: ${[...new Set(skipped.map((r) => r.skipped))].join(', ')}.`,
    '',
    '| check | programs that pass |',
    '|---|--:|',
    `| gcc \`${WARNINGS.join(' ')}\` | ${passed('gcc')} |`,
    `| clang, the same | ${passed('clang')} |`,
    `| header in C++: g++ \`${CXX.join(' ')}\` | ${passed('cxx')} |`,
    `| device/trial.c: misuse, guard bytes, two instances in turn, the bits | ${passed('guards')} |`,
    `| the same under \`${SANITIZERS.join(' ')}\` | ${passed('sanitizers')} |`,
    `| one run in unpainted memory under \`${VALGRIND.join(' ')}\` | ${passed('valgrind')} |`,
    `| painted arena within the plan, on this machine | ${passed('arena')} |`,
    `| arm-none-eabi-gcc \`${ARM.join(' ')}\`, then on its board: the bits, guard bytes, painted arena, init | ${boardsOk.length} of ${boards.length} |`,
    '',
    'The C of cortex-m7 is that of cortex-m4, so it is run on its board only.',
    `init takes ${Math.min(...inits)} to ${Math.max(...inits)} instructions.`,
    ...(faulty.length ? ['', '## Faults', ''] : []),
    ...faulty.flatMap((r) => faultsOf(r).map(([check, text]) => `- ${idOf(r)}: ${check}: ${text.replaceAll('\n', ' ')}`)),
    '',
    '## By rows and streamed, beside layer by layer',
    '',
    '| model | on | arena, whole | rows | streamed | instructions, whole | rows | streamed | code, whole | rows | streamed |',
    '|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|',
    ...staged,
    '',
    '## On the boards',
    '',
    '| model | mode | on | arena | painted | stack | init | state | instructions | code |',
    '|---|---|---|--:|--:|--:|--:|--:|--:|--:|',
    ...boardsOk.map(
      ({ model, mode, target, arenaBytes, stateBytes, board: b }) =>
        `| ${model} | ${mode} | ${target} | ${number(arenaBytes)} | ${number(b.arenaUsedBytes)} | ${b.stackBytes} | ${number(b.initInstructions)} | ${number(stateBytes)} | ${number(b.instructions)} | ${number(b.codeBytes)} |`,
    ),
    '',
  ].join('\n')
}

const filesUnder = (folder) =>
  readdirSync(join(models, folder), { withFileTypes: true }).flatMap((e) =>
    e.isDirectory() ? filesUnder(join(folder, e.name)) : [join(folder, e.name)],
  )

const modelFiles = () => filesUnder('').filter((f) => /\.(tflite|onnx)$/.test(f))

async function main() {
  const rows = new Map()
  if (existsSync(resultFile) && !values.again)
    for (const row of JSON.parse(readFileSync(resultFile, 'utf8')).rows) rows.set(idOf(row), row)
  const save = () => {
    const sorted = [...rows.values()].sort((a, b) => (a.model < b.model ? -1 : a.model > b.model ? 1 : 0))
    mkdirSync(dirname(resultFile), { recursive: true })
    writeFileSync(resultFile, `{"rows": [\n${sorted.map((r) => JSON.stringify(r)).join(',\n')}\n]}\n`)
    writeFileSync(resultFile.replace(/json$/, 'md'), pageOf(sorted))
  }
  const paths = modelFiles()
    .filter((f) => f.includes(values.only))
    .sort((a, b) => statSync(join(models, a)).size - statSync(join(models, b)).size)
  let started = 0
  let failed = 0
  const next = async () => {
    const path = paths[started++]
    if (path === undefined) return
    const place = `${started}/${paths.length}`
    const child = spawn(process.execPath, [self, '--shared', values.shared, '--model', path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const ended = new Promise((resolve) => child.on('close', resolve))
    const known = [...rows.values()].filter((r) => r.model === path && faultsOf(r).length === 0)
    child.stdin.end(JSON.stringify(known.map((r) => r.key)))
    for await (const line of createInterface({ input: child.stdout })) {
      const row = JSON.parse(line)
      rows.set(idOf(row), row)
      const faults = faultsOf(row)
      failed += faults.length ? 1 : 0
      const said = row.skipped ? `– ${row.skipped}` : faults.map(([check, text]) => `${check}: ${text}`).join('\n  ') || 'ok'
      console.error(`${place} ${idOf(row)}: ${said}`)
      save()
    }
    if ((await ended) !== 0) {
      failed++
      console.error(`${path}: ended before its last row`)
    }
    return next()
  }
  await Promise.all(Array.from({ length: Number(values.jobs) }, next))
  save()
  console.log(pageOf([...rows.values()]).split('\n## By rows')[0])
  process.exitCode = failed ? 1 : 0
}

if (values.model) tryModel(values.model, JSON.parse(readFileSync(0, 'utf8')))
else await main()
