// Small nets as the compiler prints them. `npx vitest run tests/golden -u` rewrites the files; read the difference as text.

import { expect, test } from 'vitest'
import { demoNet } from '../../src/cli/demo_net.ts'
import { compile } from '../../src/emit/program.ts'
import { printGraph } from '../../src/ir/print.ts'
import { recurrent, residual, separable, twoInputs } from '../support/nets.ts'
import { printPlan } from './print_plan.ts'

const NETS = { demo: demoNet, recurrent, residual, separable, two_inputs: twoInputs }

test.each(Object.entries(NETS))('%s is printed as it was', async (name, net) => {
  const { plan } = compile(net(), { target: 'wasm' })
  await expect(`${printGraph(net())}\nafter passes:\n${printGraph(plan.graph)}`).toMatchFileSnapshot(
    `${name}.graph.txt`,
  )
  await expect(printPlan(plan)).toMatchFileSnapshot(`${name}.plan.txt`)
  for (const file of compile(net(), { target: 'c', name }).files) await expect(file.data).toMatchFileSnapshot(file.name)
})

test('routines of a Cortex-M4 are printed as they were', async () => {
  const [source] = compile(separable(), { target: 'cortex-m4', name: 'separable' }).files
  await expect(source.data).toMatchFileSnapshot('separable.m4.c')
})
