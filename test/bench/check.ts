import { readFile } from 'node:fs/promises'
import { readOptions, type BenchOptions } from './options.ts'

const RECORDED = new URL('./recorded.json', import.meta.url)
/** Ratios of the same code lay up to a third apart on a shared 2-core machine (BENCHMARKS.md): what goes beyond is no noise. */
const NOISE = 0.4

interface Recorded {
  readonly command: string
  readonly ratioToRaw: number
}

/** Measures every recorded case anew; false if one is slower against its yardstick than it was recorded, beyond the noise. */
export async function checkRatios(
  measure: (options: BenchOptions) => Promise<{ ratioToRaw: number }>,
  tell: (line: string) => void,
): Promise<boolean> {
  const recorded = JSON.parse(await readFile(RECORDED, 'utf8')) as Recorded[]
  let good = true
  for (const { command, ratioToRaw: before } of recorded) {
    const { ratioToRaw: now } = await measure(readOptions(command.split(' ')))
    const slower = now > before * (1 + NOISE)
    tell(`${slower ? 'slower' : 'as recorded'}: ${command}: ratio ${now}, recorded ${before}, at most ${(before * (1 + NOISE)).toFixed(2)}`)
    if (slower) good = false
  }
  return good
}
