// What a terminal can show, from what its environment says: see no-color.org for NO_COLOR.

import { PLAIN, type Terminal } from '../report/terminal.ts'

/** Plain text where the stream is no terminal or a dumb one; Unicode where the locale is UTF-8 (on Windows: Windows Terminal). */
export function terminalOf(
  stream: { readonly isTTY?: boolean; readonly columns?: number },
  env: Readonly<Record<string, string | undefined>>,
): Terminal {
  if (!stream.isTTY || env.TERM === 'dumb') return PLAIN
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || ''
  return {
    columns: Math.max(60, stream.columns ?? PLAIN.columns),
    unicode: /utf-?8/i.test(locale) || env.WT_SESSION !== undefined,
    colour: !env.NO_COLOR,
  }
}
