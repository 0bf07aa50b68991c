import { it } from 'vitest'
import { writeFileSync, readFileSync } from 'node:fs'
import { writeTflite } from '../../src/export/tflite.ts'
import { readModel } from '../../src/import/read.ts'
import { demoNet } from '../../src/cli/demo_net.ts'
it('x', () => {
  writeFileSync('/tmp/demo.tflite', writeTflite(demoNet()))
  writeFileSync('/tmp/kws.tflite', writeTflite(readModel(readFileSync('/work/shared/models/mlperf_tiny/kws_dscnn_int8.tflite'))))
})
