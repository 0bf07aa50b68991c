import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const path = (to: string) => fileURLToPath(new URL(to, import.meta.url))

export default defineConfig({
  root: path('.'),
  publicDir: path('../browser/public'),
  base: './',
  // Inside mote's own repository the package is its sources; elsewhere `npm install` puts it where it is looked for.
  resolve: {
    alias: [
      { find: /^mote-ml$/, replacement: path('../../src/index.ts') },
      { find: /^mote-ml\/web\/(\w+)$/, replacement: path('../../src/web/$1.ts') },
    ],
  },
  server: { fs: { allow: [path('../..')] } },
  worker: { format: 'es' },
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
})
