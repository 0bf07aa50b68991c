// What the benchmarks of learning share: data sets as int8 latents that a frozen front makes once, a pool to learn from and pictures to
// choose rates by, shares of right answers, and means with 95% intervals over seeds.

import { join } from 'node:path'
import { compile, instantiate } from '../dist/index.js'
import { readPacked } from '../dist/io/packed.js'
import { Xorshift32 } from '../dist/ir/random.js'
import { resize, withChannels } from '../dist/web/resize.js'

export const tell = (text) => process.stderr.write(`\r${text}\x1b[K`)
export const best = (scores) => scores.reduce((b, s, i, all) => (s > all[b] ? i : b), 0)

export function shuffled(list, random) {
  const copy = [...list]
  for (let i = copy.length - 1; i > 0; i--) {
    const j = random.between(0, i)
    ;[copy[i], copy[j]] = [copy[j], copy[i]]
  }
  return copy
}

/** The latent of each picture of a part of a packed set, scaled to the front's input (int8 = pixel - 128), with its class. */
export async function latentsOf(front, shared, set, part, most = Number.POSITIVE_INFINITY) {
  const frozen = await instantiate(compile(front))
  const [, height, width] = front.inputs[0].type.shape
  const { images, labels, classes } = readPacked(join(shared, `datasets/${set}/${part}.json`))
  const chosen = shuffled([...images.keys()], new Xorshift32(7)).slice(0, most)
  const rows = chosen.map((i, n) => {
    if (n % 100 === 0) tell(`latents of ${set} ${part}: ${n} of ${chosen.length}`)
    const { data } = resize(withChannels(images[i], 3), width, height)
    const [latent] = frozen.run([Int8Array.from(data, (p) => p - 128)])
    return { latent, label: labels[i] }
  })
  return { rows, classes: classes.length }
}

/** A part to choose rates by, and the pool that learners draw from. */
export function apart(rows, validation) {
  const mixed = shuffled(rows, new Xorshift32(99))
  return { validation: mixed.slice(0, validation), pool: mixed.slice(validation) }
}

/** Whether each row is answered rightly. */
export async function answers(graph, rows) {
  const running = await instantiate(compile(graph))
  return rows.map(({ latent, label }) => best(running.run([latent])[0]) === label)
}

export const share = (right) => right.filter(Boolean).length / right.length

/** Student's t for 95% with n - 1 degrees of freedom. */
const T = [Number.NaN, 12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]

export function interval(xs) {
  const mean = xs.reduce((a, b) => a + b) / xs.length
  const deviation = Math.sqrt(xs.reduce((s, x) => s + (x - mean) ** 2, 0) / Math.max(1, xs.length - 1))
  return { mean, half: (T[xs.length - 1] ?? 1.96) * (deviation / Math.sqrt(xs.length)) }
}

export const percent = ({ mean, half }) => `${(100 * mean).toFixed(1)} ± ${(100 * half).toFixed(1)}`
