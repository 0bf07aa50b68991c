// The style of the page: one column on a phone, light or dark as the reader's system asks.

export const STYLE = `
:root { color-scheme: light dark; --bg: #fbfaf7; --card: #ffffff; --ink: #1d2229; --soft: #626b77; --line: #dfdcd3;
  --a: #1f6f8b; --b: #c9722b; --c: #4f8a4b; --d: #8b5a9f; --e: #b04a5a; --f: #6b7280; --peak: #c2352b; --glow: #f3e3c9 }
@media (prefers-color-scheme: dark) { :root { --bg: #14171b; --card: #1c2026; --ink: #e8e6e1; --soft: #9aa3af; --line: #333a44;
  --a: #4aa3c4; --b: #e0944f; --c: #75b56f; --d: #b488c7; --e: #d77785; --f: #8e97a5; --peak: #ff6b5e; --glow: #453a28 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--bg); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 1120px; margin: 0 auto; padding: 16px }
h1 { font-size: 22px; margin: 8px 0 2px; overflow-wrap: anywhere } h2 { font-size: 17px; margin: 0 0 10px }
p { margin: 4px 0 10px; overflow-wrap: anywhere } .tile { min-width: 0 } .soft { color: var(--soft) } .small { font-size: 13px }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; margin: 14px 0; min-width: 0 }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(136px, 1fr)); gap: 10px; margin: 14px 0 }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 10px 14px }
.tile b { display: block; font-size: 19px; overflow-wrap: anywhere; font-variant-numeric: tabular-nums }
.scroll { overflow: auto; max-width: 100% } #graph { max-height: 560px }
.pair { display: grid; grid-template-columns: minmax(0, 1fr); gap: 14px; margin: 14px 0 } .pair section { margin: 0 }
@media (min-width: 900px) { .pair { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr) } .pair #detail { max-height: 650px; overflow: auto } }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13.5px }
th, td { padding: 3px 12px 3px 0; text-align: left; white-space: nowrap } th { color: var(--soft); font-weight: 500 }
.n { text-align: right } tr.pick { cursor: pointer } tr.pick:hover, tr.on { background: var(--glow) }
.long .scroll { max-height: 640px } .long th { position: sticky; top: 0; background: var(--card) }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 2px 12px; margin: 8px 0; font-size: 14px }
dt { color: var(--soft) } dd { margin: 0; overflow-wrap: anywhere }
svg { display: block } svg text { font: 12px system-ui, sans-serif; fill: var(--ink) } svg .tick { fill: var(--soft); font-size: 11px }
.box { fill: var(--card); stroke: var(--line); stroke-width: 1.5 } .node { cursor: pointer } .node.on .box { fill: var(--glow); stroke: var(--b) }
.edge { fill: none; stroke: var(--soft); stroke-width: 1.3; opacity: .6 } .heat { fill: var(--a) }
.node:focus-visible, .buf:focus-visible { outline: 2px solid var(--b) }
.buf { cursor: pointer; stroke: var(--card); stroke-width: 1 } .buf.on { stroke: var(--ink); stroke-width: 2 }
.k0 { fill: var(--a) } .k1 { fill: var(--b) } .k2 { fill: var(--c) } .k3 { fill: var(--d) } .k4 { fill: var(--e) } .state { fill: var(--f) } .scratch { fill: var(--f); opacity: .55 } .window { fill: var(--f); opacity: .3 }
.peakline { stroke: var(--peak); stroke-width: 1.5; stroke-dasharray: 5 3 } .bound { stroke: var(--ink); stroke-width: 1.2; stroke-dasharray: 2 3 }
.now { fill: var(--glow); opacity: .55 } .axis { stroke: var(--line) } svg .red { fill: var(--peak) }
.bin { fill: var(--a) } .scale { fill: var(--b) } .figure { margin: 8px 0 14px } .figure p { overflow-wrap: anywhere; margin: 2px 0 }
`
