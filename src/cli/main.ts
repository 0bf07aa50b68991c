#!/usr/bin/env node
// The program `mote`.

import { mote } from './mote.ts'
import { terminalOf } from './terminal.ts'

// A reader that has seen enough (`mote inspect … | head`) is no error; a full disk behind `>` is one.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit()
  process.stderr.write(`standard output: cannot be written (${error.code})\n  hint: is the disk full?\n`)
  process.exit(1)
})
process.stderr.on('error', () => process.exit(1))

process.exitCode = await mote(process.argv.slice(2), {
  out: (text) => process.stdout.write(`${text}\n`),
  err: (text) => process.stderr.write(`${text}\n`),
  progress: (text) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
  },
  terminal: terminalOf(process.stdout, process.env),
  debug: process.env.MOTE_DEBUG === '1',
})
