// From nothing to the first picture: clones this checkout, and runs the README's first command in the clone. What npm spends on
// the network is npm's; the rest is ours and must not exceed 60 s, or the run ends with an error.
// Writes bench/results/first_minute.md.
//
//   node bench/first_minute.mjs

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const LIMIT = 60
const root = dirname(dirname(fileURLToPath(import.meta.url)))
const folder = mkdtempSync(join(tmpdir(), 'mote-first-'))
const clone = join(folder, 'mote')

/** Runs a program to its end and returns what it took, in seconds, and what it printed. */
function timed(program, args, cwd) {
  const from = performance.now()
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: 'utf8' })
  if (status !== 0) throw error ?? new Error(`${program} ${args.join(' ')} failed\n${stdout}\n${stderr}`)
  return { seconds: (performance.now() - from) / 1000, printed: stdout }
}

const parts = []
const part = (what, ours, [program, ...args], cwd = clone) => {
  const { seconds, printed } = timed(program, args, cwd)
  parts.push({ what, ours, seconds })
  return printed
}

let picture
let commit
try {
  // `npm ci` in two parts: packages, then the build that it starts.
  part('git clone', true, ['git', 'clone', '-q', pathToFileURL(root).href, clone], folder)
  commit = timed('git', ['rev-parse', '--short', 'HEAD'], clone).printed.trim()
  part("npm ci: packages (npm's own)", false, ['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund'])
  part('npm ci: build', true, ['npm', 'run', '-s', 'prepare'])
  picture = part('npm run -s demo', true, ['npm', 'run', '-s', 'demo'])
} finally {
  rmSync(folder, { recursive: true, force: true })
}

const sum = (some) => some.reduce((n, p) => n + p.seconds, 0)
const all = sum(parts)
const ours = sum(parts.filter((p) => p.ours))
const rows = [...parts, { what: 'all', seconds: all }, { what: `without npm's own (limit ${LIMIT})`, seconds: ours }]
const table = rows.map(({ what, seconds }) => `| ${what} | ${seconds.toFixed(1)} |`)
console.log(picture)
console.log(table.join('\n'))

mkdirSync(join(root, 'bench/results'), { recursive: true })
writeFileSync(
  join(root, 'bench/results/first_minute.md'),
  `# The first minute

Made by \`node bench/first_minute.mjs\` at ${commit}: \`npm ci && npm run -s demo\` in a fresh clone, on ${cpus().length} cores of
${cpus()[0].model.trim()}, Node ${process.version}.

| part | seconds |
|---|--:|
${table.join('\n')}
`,
)
if (ours > LIMIT) {
  console.error(`${ours.toFixed(1)} s without npm's own part, the limit is ${LIMIT} s`)
  process.exit(1)
}
