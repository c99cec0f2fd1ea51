import { SingleBar } from 'cli-progress'
import { count } from './table.ts'

/** One phase of the demo at a time: a bar on a terminal, otherwise a line when it starts, every few seconds and when it ends. */
export interface Progress {
  start(phase: string, note: string): void
  /** `done` of `total` records; a total of 0 is not known yet. */
  update(done: number, total: number, note: string): void
  /** The phase is over. */
  end(note: string): void
  /** Leaves the terminal as it was. Idempotent. */
  stop(): void
}

const EVERY_MS = 3000
const NAME = 12

export function showProgress(stream: NodeJS.WriteStream): Progress {
  return stream.isTTY ? asBars(stream) : asLines(stream)
}

function asBars(stream: NodeJS.WriteStream): Progress {
  let bar: SingleBar | null = null
  const stop = (): void => {
    bar?.stop()
    bar = null
  }
  return {
    start(phase, note) {
      stop()
      bar = new SingleBar({
        stream,
        format: `${phase.padEnd(NAME)}{bar} {duration} s  {note}`,
        formatValue: (value, _options, type) => (type === 'duration' ? String(value).padStart(3) : String(value)),
        barCompleteChar: '█',
        barIncompleteChar: '░',
        barsize: 16,
        hideCursor: true,
        // The demo itself hears signals, and has more to stop than the bar.
        gracefulExit: false,
      })
      bar.start(1, 0, { note })
    },
    update(done, total, note) {
      bar?.setTotal(Math.max(total, 1))
      bar?.update(Math.min(done, Math.max(total, 1)), { note })
    },
    end(note) {
      bar?.update(bar.getTotal(), { note })
      stop()
    },
    stop,
  }
}

function asLines(stream: NodeJS.WriteStream): Progress {
  let [phase, startedAt, saidAt] = ['', 0, 0]
  const say = (note: string): void => {
    saidAt = performance.now()
    stream.write(`${phase.padEnd(NAME)}${((saidAt - startedAt) / 1000).toFixed(1).padStart(5)} s  ${note}\n`)
  }
  return {
    start(name, note) {
      phase = name
      startedAt = performance.now()
      say(note)
    },
    update(done, total, note) {
      if (performance.now() - saidAt >= EVERY_MS) say(total === 0 ? note : `${Math.floor((100 * done) / total)} %, ${note}`)
    },
    end: say,
    stop: () => {},
  }
}

/** "8,200 of 20,000 (HubSpot 3,100, webhook 5,100)": records. */
export function deliveredNote(parts: readonly { readonly name: string; readonly done: number; readonly total: number }[]): string {
  const [done, total] = [parts.reduce((sum, each) => sum + each.done, 0), parts.reduce((sum, each) => sum + each.total, 0)]
  if (total === 0) return 'comparing the model with what was sent before'
  return `${count(done)} of ${count(total)} (${parts.map((each) => `${each.name} ${count(each.done)}`).join(', ')})`
}
