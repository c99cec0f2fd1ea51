// Takes the pictures of the README, docs/images/*.png, from a demo that it starts and stops: `node scripts/screenshot.mjs`.
// Needs dist/ (npm run build) and Chromium: apt-get install chromium fonts-dejavu; CHROMIUM names another one.
import { execFile, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('..', import.meta.url))
const images = join(root, 'docs/images')
const chromium = process.env.CHROMIUM ?? '/usr/bin/chromium'
/** The page is given so many milliseconds of its own clock, in which requests that are under way do not count. */
const PATIENCE_MS = 20_000

const FONT_PX = 15
const LINE_PX = 21
const MARGIN_PX = 24
/** Width of a DejaVu Sans Mono letter. */
const LETTER = 0.602

mkdirSync(images, { recursive: true })
const folder = mkdtempSync(join(tmpdir(), 'tailrace-pictures-'))
const demo = spawn(process.execPath, ['dist/server/demo/main.js', '--keep'], {
  cwd: root,
  stdio: ['ignore', 'pipe', 'pipe'],
  env: { ...process.env, FORCE_COLOR: '1' },
})
const ended = once(demo, 'exit')
try {
  const text = await untilKept()
  const [table] = text.split('\nThe runs in ')
  const page = join(folder, 'demo.html')
  writeFileSync(page, terminalPage(`$ npm run demo\n${table.trimEnd()}`))
  await picture(`file://${page}`, 'demo.png', sizeOf(table))
  const link = /first +HubSpot +(http\S+)/.exec(text)?.[1]
  if (link === undefined) throw new Error('the demo printed no link to the first HubSpot run')
  await picture(link, 'temporal-run.png', { width: 1400, height: 886 })
} finally {
  demo.kill('SIGINT')
  await ended
  rmSync(folder, { recursive: true, force: true })
}

/** What the demo printed to stdout, once all of it is up to look at. */
function untilKept() {
  let [stdout, stderr] = ['', '']
  return new Promise((resolve, reject) => {
    demo.stdout.setEncoding('utf8').on('data', (text) => (stdout += text))
    demo.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text
      process.stderr.write(text)
      if (stderr.includes('stays up until Ctrl-C')) resolve(stdout)
    })
    demo.once('exit', (code) => reject(new Error(`the demo ended with ${code}:\n${stderr}`)))
  })
}

async function picture(url, name, { width, height }) {
  const file = join(images, name)
  await promisify(execFile)(chromium, [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--hide-scrollbars',
    `--user-data-dir=${join(folder, 'profile')}`,
    `--virtual-time-budget=${PATIENCE_MS}`,
    `--window-size=${width},${height}`,
    `--screenshot=${file}`,
    url,
  ])
  process.stdout.write(`${file}\n`)
}

function sizeOf(text) {
  const lines = text
    .replaceAll(/\u001b\[\d+m/g, '')
    .trimEnd()
    .split('\n')
  const longest = Math.max(...lines.map((line) => line.length))
  return {
    width: Math.ceil(longest * FONT_PX * LETTER) + 2 * MARGIN_PX,
    height: (lines.length + 1) * LINE_PX + 2 * MARGIN_PX,
  }
}

/** Text with the terminal's colours as a page. */
function terminalPage(text) {
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  const coloured = escaped.replaceAll(/\u001b\[(\d+)m/g, (_, code) => (code === '0' ? '</span>' : `<span class="c${code}">`))
  return `<!doctype html><meta charset="utf-8"><style>
    body { margin: ${MARGIN_PX}px; background: #16191d; color: #d8dee4; }
    pre { margin: 0; font: ${FONT_PX}px/${LINE_PX}px 'DejaVu Sans Mono', monospace; }
    .c1 { font-weight: bold; color: #fff } .c2 { color: #7d8790 } .c31 { color: #ff7b72 } .c32 { color: #56d364 }
  </style><pre>${coloured}</pre>`
}
