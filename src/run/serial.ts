// A board on a serial line (docs/serial-protocol.md): opens the terminal device, asks, waits for answers, and says what is wrong
// where none come. One request is on the way at a time.

import { spawnSync } from 'node:child_process'
import { closeSync, constants, openSync, readdirSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import { ReadStream } from 'node:tty'
import { InputError, ToolError } from '../errors.ts'
import type { Data } from '../loops/ir.ts'
import type { Plan } from '../plan/plan.ts'
import {
  benchExchange,
  Damaged,
  type Exchange,
  framed,
  type Hello,
  type Measured,
  mismatch,
  REBUILD,
  readHello,
  unframed,
} from './serial_protocol.ts'

export const SERIAL = 'serial:'
export const BAUD = 115_200

/** `serial:/dev/ttyACM0@115200`. */
export function parseSerial(text: string): { readonly path: string; readonly baud: number } {
  const [, path, rate] = /^serial:([^@]+)(?:@(.*))?$/.exec(text) ?? []
  const baud = rate === undefined ? BAUD : Number(rate)
  if (!path || !(Number.isInteger(baud) && baud > 0))
    throw new InputError(
      '--on',
      `"${text}" is not a serial line`,
      'name the device and, where it is not 115200, its baud rate: serial:/dev/ttyACM0@115200',
    )
  return { path, baud }
}

function lines(): string {
  try {
    const found = readdirSync('/dev').filter((name) => /^(tty(ACM|USB|AMA)\d|cu\.usb)/.test(name))
    return found.length > 0 ? `there are ${found.map((name) => `/dev/${name}`).join(', ')}` : 'is the board plugged in?'
  } catch {
    return 'is the board plugged in?'
  }
}

const REFUSED: Readonly<Record<string, readonly [what: string, hint: () => string]>> = {
  ENOENT: ['there is no such device', lines],
  ENXIO: ['there is no such device', lines],
  EACCES: ['you may not open it', () => 'sudo usermod -a -G dialout $USER, then log in again'],
  EBUSY: ['another program has it', () => 'close its monitor or terminal'],
}

/** Opens a serial line, raw, at that rate. Throws InputError where it cannot be opened, or is none. */
export function openSerial(path: string, baud: number): Duplex {
  let fd: number
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const [what, hint] = REFUSED[code ?? ''] ?? [message, () => undefined]
    throw new InputError(path, what, hint())
  }
  const settings = [String(baud), 'raw', '-echo', '-hupcl', 'clocal', 'cs8', '-cstopb', '-parenb', '-crtscts']
  const set = spawnSync('stty', settings, { stdio: [fd, 'ignore', 'pipe'], encoding: 'utf8' })
  if (set.error || set.status !== 0) {
    closeSync(fd)
    if (set.error) throw new ToolError('stty', 'cannot be started', 'it comes with every Linux and macOS')
    if (set.stderr.includes(String(baud)))
      throw new InputError(
        path,
        `the line does not take ${baud} baud`,
        'usual rates are 9600, 115200, 230400 and 921600',
      )
    throw new InputError(path, 'is no serial line', lines())
  }
  return new ReadStream(fd) // reads and writes
}

export interface Patience {
  /** Until the device says hello: a board may start anew when its line is opened. Default: 5. */
  readonly helloSeconds?: number
  /** Until a request is answered that moves bytes. Default: 5. */
  readonly seconds?: number
  /** Until a run ends. Default: 120. */
  readonly runSeconds?: number
}

const TRIES = 3

/** Requests over a line and their answers. */
export class Talk {
  private readonly line: Duplex
  private readonly where: string
  private readonly patience: Required<Patience>
  private rest = ''
  private noise = ''
  private gone: Error | undefined
  private waiting:
    | { readonly request: string; readonly answer: (text: string) => void; readonly failed: (error: Error) => void }
    | undefined

  constructor(line: Duplex, where: string, patience: Patience = {}) {
    this.line = line
    this.where = where
    this.patience = { helloSeconds: 5, seconds: 5, runSeconds: 120, ...patience }
    const left = () => this.lost()
    line.on('data', (bytes: Uint8Array) => this.take(Buffer.from(bytes).toString('latin1')))
    line.on('error', left).on('end', left).on('close', left)
  }

  close(): void {
    this.line.removeAllListeners('close').destroy()
  }

  private lost(): void {
    this.gone ??= new ToolError(this.where, 'the line was closed: the board was unplugged, or started anew')
    this.waiting?.failed(this.gone)
  }

  private take(text: string): void {
    const all = (this.rest + text).split('\n')
    this.rest = all.pop()!.slice(-4096)
    for (const line of all)
      try {
        const answer = unframed(line)
        if (answer === undefined) this.noise = line
        // A greeting that was asked for again may come twice, the second time late.
        else if (this.waiting?.request === 'hello' || !answer.startsWith('hello ')) this.waiting?.answer(answer)
      } catch (error) {
        this.noise = line
        this.waiting?.failed(error as Error)
      }
  }

  private once(request: string, seconds: number): Promise<string> {
    return new Promise((answer, failed) => {
      if (this.gone) return failed(this.gone)
      const done = () => {
        clearTimeout(timer)
        this.waiting = undefined
      }
      const timer = setTimeout(() => {
        done()
        failed(new Silent())
      }, seconds * 1000)
      this.waiting = {
        request,
        answer: (text) => {
          done()
          answer(text)
        },
        failed: (error) => {
          done()
          failed(error)
        },
      }
      this.line.write(framed(request))
    })
  }

  /** The answer to one request; what may be asked twice is, where a line was damaged. */
  async ask(request: string): Promise<string> {
    const runs = /^(run|push)/.test(request)
    for (let tries = TRIES; ; tries--)
      try {
        const answer = await this.once(request, runs ? this.patience.runSeconds : this.patience.seconds)
        if (answer !== 'error damaged' || tries <= 1) return answer
      } catch (error) {
        if (error instanceof Silent) throw this.unanswered(`"${request.slice(0, 40)}" was not answered`)
        if (!(error instanceof Damaged)) throw error
        if (runs || tries <= 1) throw this.unanswered(`the answer to "${request.slice(0, 40)}" was damaged`)
      }
  }

  private unanswered(what: string): ToolError {
    const heard = (this.rest || this.noise).replace(/[^\x20-\x7e]+/g, '·').slice(-60)
    if (heard === '') return new ToolError(this.where, `${what}: nothing came back`, SILENT)
    return new ToolError(this.where, `${what}: what came back is "${heard}"`, 'is the baud rate that of the board?')
  }

  async hello(): Promise<Hello> {
    const until = performance.now() + this.patience.helloSeconds * 1000
    for (;;)
      try {
        return readHello(await this.once('hello', Math.min(1, this.patience.helloSeconds)))
      } catch (error) {
        if (!(error instanceof Silent || error instanceof Damaged)) throw error
        if (performance.now() >= until) throw this.unanswered('nobody says hello')
      }
  }

  /** `progress` is told how many requests are answered. */
  async exchange<T>(
    { requests, read }: Exchange<T>,
    progress: (done: number, of: number) => void = () => {},
  ): Promise<T> {
    const answers: string[] = []
    for (const request of requests) {
      progress(answers.length, requests.length)
      answers.push(await this.ask(request))
    }
    return read(answers)
  }
}

const SILENT =
  'does the board run the program that mote wrote, is the baud rate right, and are RX and TX not exchanged? docs/serial-protocol.md'

class Silent extends Error {}

/** The first of the plans that is the device's. Throws ToolError where none is. */
export function planOf(where: string, hello: Hello, plans: Iterable<Plan>): Plan {
  let why: string | undefined
  for (const plan of plans) {
    const other = mismatch(hello, plan)
    if (other === undefined) return plan
    why ??= other
  }
  throw new ToolError(where, `the board ${why ?? 'holds a program that cannot be made of this model'}`, REBUILD)
}

/** Runs the device's program on `inputs` and measures it. */
export function benchSerial(
  talk: Talk,
  plan: Plan,
  inputs: readonly Data[],
  progress?: (done: number, of: number) => void,
): Promise<Measured> {
  return talk.exchange(benchExchange(plan, inputs), progress)
}
