const PERIOD_MS = 300

/**
 * npm and npx run us through a shell, and a SIGTERM to them ends that shell without reaching us: seen with npm 11, `npx tailrace dev`
 * went on as an orphan with all its servers. When started by npm, the loss of the parent counts as SIGTERM.
 */
export function endWithNpm(env: Readonly<Record<string, string | undefined>>): void {
  if (env['npm_command'] === undefined) return
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    process.kill(process.pid, 'SIGTERM')
  }, PERIOD_MS)
  timer.unref()
}
