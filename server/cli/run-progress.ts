import cliProgress from 'cli-progress'
import type { Run } from './run-answers.ts'

const LINE_EVERY_MS = 5_000

/** Shows how far a run is. Counts only. */
export interface RunProgress {
  update(run: Run): void
  stop(): void
}

/** A bar on a terminal, otherwise a line when the state changes and every few seconds. */
export function runProgress(stream: NodeJS.WriteStream): RunProgress {
  return stream.isTTY ? progressBar(stream) : progressLines(stream)
}

export function settledOf({ counts }: Run): { readonly done: number; readonly all: number } {
  const sum = (...names: string[]): number => names.reduce((total, name) => total + (counts[name] ?? 0), 0)
  return { done: sum('delivered', 'skipped', 'rejected'), all: sum('added', 'changed', 'removed') }
}

function progressBar(stream: NodeJS.WriteStream): RunProgress {
  const bar = new cliProgress.SingleBar(
    { stream, format: '{state} {bar} {value}/{total} records', hideCursor: true, clearOnComplete: true, noTTYOutput: false },
    cliProgress.Presets.shades_classic,
  )
  bar.start(0, 0, { state: 'queued' })
  return {
    update(run) {
      const { done, all } = settledOf(run)
      bar.setTotal(all)
      bar.update(done, { state: headline(run) })
    },
    stop: () => bar.stop(),
  }
}

function progressLines(stream: NodeJS.WriteStream): RunProgress {
  let [shown, shownAtMs] = ['', 0]
  return {
    update(run) {
      const now = performance.now()
      const head = headline(run)
      if (head === shown && now - shownAtMs < LINE_EVERY_MS) return
      ;[shown, shownAtMs] = [head, now]
      const { done, all } = settledOf(run)
      stream.write(`${head}: ${done} of ${all} records\n`)
    },
    stop: () => {},
  }
}

function headline({ state, waiting }: Run): string {
  return waiting ? `${state}, waiting: ${waiting.reason}` : state
}
