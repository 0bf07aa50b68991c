import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { COMMANDS } from '../../src/cli/mote.ts'

const page = readFileSync(new URL('../../docs/command-line.md', import.meta.url), 'utf8')
const cell = (text: string) => text.replaceAll('|', '\\|')

// `npx vitest run tests/cli/documentation.test.ts -u` writes the list.
test('docs/command-line.md has every argument and flag of every command', async () => {
  const sections = COMMANDS.map(({ name, args, summary, options }) => {
    const rows = [
      ...args.map(([form, says]) => `| \`${cell(form)}\` | ${cell(says)} | |`),
      ...options.map(
        ([flags, says, preset]) => `| \`${cell(flags)}\` | ${cell(says)} | ${preset ? `\`${preset}\`` : ''} |`,
      ),
    ].map((row) => row.replace(/ +\|$/, ' |'))
    const head = `### mote ${[name, ...args.map(([form]) => form)].join(' ')}\n\n${summary}`
    return rows.length === 0 ? head : [`${head}\n`, '| | | default |', '|---|---|---|', ...rows].join('\n')
  })
  const [before, after] = ['<!-- commands -->', '<!-- /commands -->']
  expect([page.split(before).length, page.split(after).length]).toEqual([2, 2])
  const written = `${page.split(before)[0]}${before}\n${sections.join('\n\n')}\n${after}${page.split(after)[1]}`
  await expect(written).toMatchFileSnapshot('../../docs/command-line.md')
})

test('every flag that docs/command-line.md names is a flag of a command', () => {
  const known = new Set(['--json', ...COMMANDS.flatMap((c) => c.options.flatMap(([form]) => form.split(/[ ,]+/)))])
  for (const [flag] of page.matchAll(/(?<![\w-])--[a-z][a-z-]*/g)) expect(known, flag).toContain(flag)
})
