// A thread beside the test: when the heartbeat stands still for too long, it says at which mutant and ends the process,
// since nothing else can interrupt a loop that does not end.

import { writeSync } from 'node:fs'
import { workerData } from 'node:worker_threads'

const { beat, seconds } = workerData
let seen = -1
let since = Date.now()
setInterval(() => {
  const now = Atomics.load(beat, 0)
  if (now !== seen) since = Date.now()
  else if (now >= 0 && Date.now() - since > 1000 * seconds) {
    writeSync(2, `\nmutant ${now} has not ended after ${seconds} s\n`)
    process.kill(process.pid, 'SIGKILL')
  }
  seen = now
}, 500)
