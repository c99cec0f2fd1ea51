// Preloaded into the measured worker: answers `event-loop` with the delay of its event loop since it was last asked, in milliseconds.
import { monitorEventLoopDelay } from 'node:perf_hooks'

const RESOLUTION_MS = 5
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
delay.enable()
process.on('message', (message) => {
  if (message !== 'event-loop') return
  // The histogram holds the timer's own wait as well.
  process.send({ p999Ms: delay.percentile(99.9) / 1e6 - RESOLUTION_MS, maxMs: delay.max / 1e6 - RESOLUTION_MS })
  delay.reset()
})
