import { it } from 'vitest'
import { globSync, readFileSync } from 'node:fs'
import { execSync } from 'node:child_process'
import { readModel } from '/work/main/src/import/read.ts'
import { OPS } from '/work/main/src/ops/index.ts'
it('x', () => {
  console.log([...OPS.keys()].join(' '))
  for (const f of execSync('find /work/shared/models /work/shared/conformance -name "*.tflite"').toString().trim().split('\n').sort()) {
    const t = Date.now()
    try { const g = readModel(readFileSync(f)); console.log('OK', f.replace('/work/shared/',''), g.nodes.length, Date.now() - t) }
    catch (e) { console.log(e.constructor.name, f.replace('/work/shared/',''), e.message.slice(0,250), e.constructor.name==='ModelError'?'':e.stack.split('\n').slice(0,5).join('\n')) }
  }
})
