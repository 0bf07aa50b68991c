// The command line: one table of commands, one way to fail. Exit code 0, or 1 with one error that says where, what and
// what to do next.

import { readFileSync } from 'node:fs'
import { CommanderError, Command as Parser } from 'commander'
import { InputError, MoteError } from '../errors.ts'
import { bench } from './bench.ts'
import type { Command, Io, Report } from './command.ts'
import { compileCommand } from './compile.ts'
import { convert } from './convert.ts'
import { demo } from './demo.ts'
import { inspect } from './inspect.ts'
import { power } from './power.ts'
import { quantize } from './quantize.ts'
import { run } from './run.ts'
import { trainChoose } from './train_choose.ts'
import { trainCompile } from './train_compile.ts'
import { trainPlan } from './train_plan.ts'

/** A name of two words is a command of a group. */
export const COMMANDS: readonly Command[] = [
  demo,
  inspect,
  compileCommand,
  convert,
  quantize,
  run,
  bench,
  power,
  trainPlan,
  trainChoose,
  trainCompile,
]

const GROUPS: Readonly<Record<string, string>> = {
  train: 'let a model learn on the device that it runs on',
}

/** The command that a line names; undefined where it names none. */
function commandOf(argv: readonly string[]): Command | undefined {
  return COMMANDS.find((c) => c.name.split(' ').every((word, i) => word === argv[i]))
}

function version(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version
}

/** The parser of the whole line. `chosen` is told which command was asked for, with its arguments. */
function parserOf(io: Io, chosen: (start: () => Promise<Report>) => void): Parser {
  const parser = new Parser('mote')
    .description('Compiles a neural network into a small program: C99 or WebAssembly, the same bits everywhere.')
    .version(version())
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.out(text.trimEnd()), writeErr: () => {} })
  const groups = new Map<string, Parser>()
  const groupOf = (name: string): Parser => {
    const group =
      groups.get(name) ?? parser.command(name).description(GROUPS[name]).option('--json', 'print the answer as JSON')
    groups.set(name, group)
    return group
  }
  for (const command of COMMANDS) {
    const [first, second] = command.name.split(' ')
    const sub = (second === undefined ? parser.command(first) : groupOf(first).command(second)).description(
      command.summary,
    )
    for (const [form, description] of command.args) sub.argument(form, description)
    for (const [flags, description, preset] of command.options) sub.option(flags, description, preset)
    sub.option('--json', 'print the answer as JSON')
    sub.action((...all: unknown[]) => {
      const args = (all.slice(0, command.args.length) as (string | string[] | undefined)[]).flatMap((a) => a ?? [])
      chosen(() => command.run(args, sub.opts(), io))
    })
  }
  return parser
}

/** What commander says of a line that it cannot parse, as an error of ours; undefined where it only printed help. */
function usageError(error: CommanderError, argv: readonly string[]): InputError | undefined {
  if (error.exitCode === 0) return undefined
  const command = commandOf(argv)
  const [message, ...more] = error.message.replace(/^error: /, '').split('\n')
  const suggestion = more.join(' ').replace(/^\(|\)$/g, '')
  const help = command ? `mote ${command.name} --help lists what there is` : 'mote help lists the commands'
  return new InputError(command ? `mote ${command.name}` : 'mote', message, suggestion || help)
}

/** Runs one command line (without program names) and returns the exit code. Never throws, never exits. */
export async function mote(argv: readonly string[], io: Io): Promise<number> {
  const json = argv.includes('--json')
  try {
    let start: (() => Promise<Report>) | undefined
    const parser = parserOf(io, (s) => (start = s))
    if (argv.length === 0) {
      io.out(parser.helpInformation().trimEnd())
      return 0
    }
    const asked = argv.length === 1 && argv[0] in GROUPS ? [...argv, '--help'] : [...argv]
    await parser.parseAsync(asked, { from: 'user' })
    if (!start) return 0
    const report = await start()
    io.out(json ? JSON.stringify(report.json) : report.text)
    return report.failed ? 1 : 0
  } catch (thrown) {
    const error = thrown instanceof CommanderError ? usageError(thrown, argv) : thrown
    if (error === undefined) return 0
    const { where, message, hint } = errorJson(error)
    if (json) io.out(JSON.stringify({ error: { ...(where && { where }), message, ...(hint && { hint }) } }))
    if (error instanceof MoteError) io.err(error.report())
    else io.err(io.debug && error instanceof Error ? String(error.stack) : `${message}\n  hint: ${hint}`)
    return 1
  }
}

function errorJson(error: unknown): { where?: string; message: string; hint?: string } {
  if (error instanceof MoteError) return { where: error.where, message: error.message, hint: error.hint }
  const said = error instanceof Error ? error.message : String(error)
  const message = said.startsWith('internal error:') ? said : `internal error: ${said} (this is a bug in mote)`
  return { message, hint: 'please report it; MOTE_DEBUG=1 prints the stack' }
}
