import { bookkeeping } from './activities.ts'

/** What a Schedule starts: accepts a run of the sync and starts it, or says why it did not. */
export async function launch(sync: string): Promise<string> {
  return bookkeeping(`accept a run of ${sync}`).launch(sync)
}
