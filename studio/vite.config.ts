// Builds the studio: static files without a server of their own, under a policy that lets the page load only itself.

import { fileURLToPath } from 'node:url'
import { defineConfig, type Plugin } from 'vite'
import { STYLE } from '../src/report/page_style.ts'

/** No `connect-src`: the page has no way to send anything anywhere. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

/** Only in what is built: Vite's own server needs a connection and inline styles to replace modules. */
const policy: Plugin = {
  name: 'content security policy',
  apply: 'build',
  transformIndexHtml: () => [
    { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: POLICY }, injectTo: 'head-prepend' },
  ],
}

/** The style of reports, as the style sheet `report.css`. */
const reportStyle: Plugin = {
  name: 'style of reports',
  resolveId: (id) => (id === 'virtual:report.css' ? id : undefined),
  load: (id) => (id === 'virtual:report.css' ? STYLE : undefined),
}

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: './',
  plugins: [policy, reportStyle],
  worker: { format: 'es' },
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 1500 },
})
