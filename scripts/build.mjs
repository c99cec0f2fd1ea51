// Compiles to dist/, copies the migrations and bundles the workflows: what `npm ci` runs, so that the CLI and the workers start
// without any TypeScript tooling.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)

const compiler = resolveCompiler()
if (compiler === null) {
  // `npm ci --omit=dev` beside a dist/ that was built elsewhere, as in the image.
  if (!existsSync('dist')) throw new Error('dist/ is missing and cannot be built without the development dependencies: run `npm ci`')
  process.exit(0)
}

// The first `npx tailrace` makes npm run `prepare` again; what is built from these very sources need not be built twice (20 s).
const stamp = sourceStamp()
if (process.env.npm_lifecycle_event === 'prepare' && existsSync('dist/stamp') && readFileSync('dist/stamp', 'utf8') === stamp) {
  linkCommand()
  process.exit(0)
}

// Who installs need not wait for what CI has checked (a third of the time of `npm ci`).
const unchecked = process.env.npm_lifecycle_event === 'prepare' ? ['--noCheck'] : []
// Made in a folder beside and put in place at the end: what runs from dist/ meanwhile finds its files.
const out = 'dist.new'
rmSync(out, { recursive: true, force: true })
try {
  execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', out, ...unchecked], { stdio: 'inherit' })
} catch {
  process.exit(1)
}
mkdirSync(`${out}/state/migrations`, { recursive: true })
cpSync('state/migrations', `${out}/state/migrations`, { recursive: true })
chmodSync(`${out}/server/main.js`, 0o755)

rmSync('dist.old', { recursive: true, force: true })
if (existsSync('dist')) renameSync('dist', 'dist.old')
renameSync(out, 'dist')
rmSync('dist.old', { recursive: true, force: true })
// In place, because the bundle keeps the paths for stack traces.
writeFileSync('dist/workflow-bundle.js', await bundleWorkflows([]))
// For workers that trace; the others do not carry OpenTelemetry into every workflow.
const traced = createRequire(import.meta.url).resolve('@temporalio/interceptors-opentelemetry/lib/workflow-interceptors')
writeFileSync('dist/workflow-bundle-traced.js', await bundleWorkflows([traced]))
writeFileSync('dist/stamp', stamp)
linkCommand()

/** Hash of everything that the build reads. */
function sourceStamp() {
  const hash = createHash('sha256')
  const files = ['activities', 'connectors', 'server', 'state', 'workflows'].flatMap((folder) =>
    readdirSync(folder, { recursive: true }).map((name) => `${folder}/${name}`),
  )
  for (const file of [...files, 'package-lock.json', 'scripts/build.mjs', 'tsconfig.json', 'tsconfig.build.json'].sort()) {
    if (statSync(file).isFile()) hash.update(file).update(readFileSync(file))
  }
  return hash.digest('hex')
}

function resolveCompiler() {
  try {
    return createRequire(import.meta.url).resolve('typescript/bin/tsc')
  } catch {
    return null
  }
}

async function bundleWorkflows(workflowInterceptorModules) {
  const { bundleWorkflowCode } = await import('@temporalio/worker')
  const silent = () => undefined
  const logger = { log: silent, trace: silent, debug: silent, info: silent, warn: console.warn, error: console.error }
  return (await bundleWorkflowCode({ workflowsPath: `${root}dist/workflows/index.js`, workflowInterceptorModules, logger })).code
}

/** npm links the commands of dependencies only; with this `npx tailrace` runs ours at once. */
function linkCommand() {
  const { bin } = JSON.parse(readFileSync('package.json', 'utf8'))
  for (const [name, path] of Object.entries(bin)) {
    const link = `node_modules/.bin/${name}`
    rmSync(link, { force: true })
    try {
      symlinkSync(`../../${path}`, link)
    } catch {
      // Without the link npx still finds the command by package.json, only slower.
    }
  }
}
