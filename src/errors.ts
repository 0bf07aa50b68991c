// The faults that are the user's, as a short tree of classes: where, what (both values), and a hint.
// Anything else that is thrown is a bug of ours.

/** Base of every error that a user can mend. `message` is one line; `hint` says what to do next. */
export class MoteError extends Error {
  readonly where: string
  readonly hint: string | undefined

  constructor(where: string, what: string, hint?: string) {
    super(where ? `${where}: ${what}` : what)
    this.name = new.target.name
    this.where = where
    this.hint = hint
  }

  /** The form the command line prints: the message, then the hint on a line of its own. */
  report(): string {
    return this.hint ? `${this.message}\n  hint: ${this.hint}` : this.message
  }
}

/** The model (a file or a graph made with the builder) is malformed or asks for something that is not supported. */
export class ModelError extends MoteError {}

/** The program does not fit the memory or time that it was given. */
export class BudgetError extends MoteError {}

/** An argument, flag or input tensor is not of the form that is asked for. */
export class InputError extends MoteError {}

/** A tool that a runner needs (a C compiler, an emulator) is missing or failed. */
export class ToolError extends MoteError {}

/** Throws our own fault: a broken invariant, never the user's doing. */
export function bug(message: string): never {
  throw new Error(`internal error: ${message} (this is a bug in mote, please report it)`)
}
