import type { Effect } from './plan.ts'

export interface SizedEffect extends Effect {
  /** Records that the sync has sent so far: the baseline's size. */
  readonly records: number
  readonly message: string
}

/** Effects in words, with the number of records they concern; none for a sync that has not sent anything yet. */
export async function sizeEffects(effects: readonly Effect[], baselineSize: (sync: string) => Promise<number>): Promise<SizedEffect[]> {
  const sized: SizedEffect[] = []
  for (const effect of effects) {
    const records = await baselineSize(effect.sync)
    if (records > 0) sized.push({ ...effect, records, message: sentence(effect, records) })
  }
  return sized
}

function sentence({ sync, effect, because }: Effect, records: number): string {
  const changed = `${because.join(', ')} changed`
  const count = `${records.toLocaleString('en-US')} record${records === 1 ? '' : 's'}`
  switch (effect) {
    case 'new_baseline':
      return `sync ${sync}: ${changed}, so it starts a new baseline; ${count} will be sent again, nothing is removed for the old one`
    case 'full_run':
      return `sync ${sync}: the mapping changed, so the next run is full; ${count} will be sent again`
    case 'other_account':
      return `sync ${sync}: ${changed} of its destination; it goes on believing that ${count} are there. If it is another account now, give the destination a new name, or run with --verify`
  }
}
