// Renders the ten digits in many voices with espeak-ng (Debian: apt-get install espeak-ng) and writes them as the demo's two
// packed sets: voices.json and .bin to train on, speakers.json and .bin with voices that the net has never heard.
//
//   npm run build && node demo/speech.mjs

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Xorshift32 } from '../dist/ir/random.js'
import { SPEECH, speechFeatures } from '../dist/web/speech.js'
import { readWav } from '../dist/web/wav.js'

const folder = dirname(fileURLToPath(import.meta.url))
const WORDS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine']
const ACCENTS = ['en-us', 'en-gb', 'en-gb-x-rp', 'en-gb-scotland', 'en-gb-x-gbclan', 'en-gb-x-gbcwmd', 'en-029']
const VARIANTS = (
  'm1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 adam anika announcer antonio aunty belinda benjamin boris caleb david ed edward ' +
  'gustave iven iven2 iven3 iven4 john kaukovalta klatt klatt2 klatt3 klatt4 linda marcelo max michel miguel norbert pablo ' +
  'paul pedro quincy rob robert sandro shelby steph steph2 steph3 travis victor zac Alicia Andrea Annie Diogo'
).split(' ')
const SPEAKERS = { 'es+m5': 'Spanish', 'de+m3': 'German', 'en-us+whisper': 'whispering' }
const TAKES = 9
/** Stored = 8 x feature, saturated. */
const SCALE = 1 / 8

function say(word, voice, speed, pitch) {
  const bytes = new Uint8Array(
    execFileSync('espeak-ng', ['-v', voice, '-s', `${speed}`, '-p', `${pitch}`, '--stdout', word], { maxBuffer: 2 ** 26 }),
  )
  new DataView(bytes.buffer).setUint32(40, bytes.length - 44, true) // a pipe does not know how long it will be
  const { samples, rate } = readWav(bytes, `${word} by ${voice}`)
  return Int8Array.from(speechFeatures(samples, rate), (x) => Math.max(-128, Math.min(127, Math.round(x / SCALE))))
}

const random = new Xorshift32(1)

function write(name, voices, takes, more) {
  const rows = []
  const labels = []
  for (const [i, voice] of voices.entries()) {
    process.stderr.write(`\r${name}: voice ${i + 1} of ${voices.length} `)
    for (let take = 0; take < takes; take++)
      for (const [label, word] of WORDS.entries()) {
        rows.push(...say(word, voice, random.between(120, 215), random.between(25, 75)))
        labels.push(label)
      }
  }
  process.stderr.write('\n')
  const shape = [SPEECH.frames, SPEECH.coefficients, 1]
  const about = { shape, dtype: 'int8', scale: SCALE, classes: WORDS, voices, takes, ...more, labels }
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(about)}\n`)
  writeFileSync(join(folder, `${name}.bin`), Int8Array.from(rows))
}

const voices = VARIANTS.map((variant, i) => `${ACCENTS[i % ACCENTS.length]}+${variant}`)
write('voices', voices, 1, { source: 'espeak-ng, rendered by demo/speech.mjs' })
write('speakers', Object.keys(SPEAKERS), TAKES, { names: Object.values(SPEAKERS), source: 'the same' })
