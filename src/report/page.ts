// A report as one HTML page that loads nothing: style, script and the report as JSON are inside. The content security policy
// admits exactly that script and that style by their SHA-256 (CSP level 3), so nothing a model file says can run.

import { draw } from './draw.ts'
import { bytesText, countText } from './figures.ts'
import { STYLE } from './page_style.ts'
import type { ModelReport } from './report.ts'
import { timeline } from './timeline.ts'

/** What runs in the page: the source text of functions that need nothing beside them. The same for every report. */
export const SCRIPT = `
'use strict'
const report = JSON.parse(document.getElementById('report').textContent)
const view = document.getElementById('view')
;(${draw})(report, view, { bytes: ${bytesText}, count: ${countText}, timeline: ${timeline} })
`

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return `'sha256-${btoa(String.fromCharCode(...new Uint8Array(digest)))}'`
}

/** Text as text of markup or of an attribute in double quotes. */
export function escaped(text: string): string {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return text.replace(/[&<>"]/g, (c) => entities[c]).replace(/\p{Cc}/gu, ' ')
}

/** JSON that cannot end the script element it stands in. */
function inlineJson(value: object): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** A page that loads nothing, in the one style; `body` is markup, everything else is text. Without `script` nothing runs. */
export async function shell(page: {
  readonly title: string
  readonly heading: string
  /** The line under the heading. */
  readonly under: string
  readonly body: string
  readonly script?: string
}): Promise<string> {
  const scripts = page.script === undefined ? '' : ` script-src ${await sha256(page.script)};`
  const policy = `default-src 'none';${scripts} style-src ${await sha256(STYLE)}; base-uri 'none'; form-action 'none'`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="mote">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(page.title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escaped(page.heading)}</h1>
<p class="soft small">${escaped(page.under)}</p>
${page.body}
</main>
${page.script === undefined ? '' : `<script>${page.script}</script>\n`}</body>
</html>
`
}

/** The page of a report; `title` is the line under its heading. Needs Web Crypto: Node, or a page served over https or from localhost. */
export function pageOf(report: ModelReport, title: string): Promise<string> {
  return shell({
    title: `${report.name}: layers and memory`,
    heading: report.name,
    under: title,
    body: `<noscript><p>This page draws its figures with a script of its own; allow scripts to see them.</p></noscript>
<div id="view"></div>
<script type="application/json" id="report">${inlineJson(report)}</script>`,
    script: SCRIPT,
  })
}
