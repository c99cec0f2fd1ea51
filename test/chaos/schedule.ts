import type { Strike } from '../../activities/failpoints.ts'
import type { Fault } from '../../connectors/sandbox/faults.ts'

export interface Row {
  readonly id: number
  readonly email: string
  readonly name: string
}

/** What people do to a run, through our API or in Temporal itself. */
export type Deed = 'pause' | 'resume' | 'cancel' | 'approve' | 'reject' | 'terminate' | 'reset to plan' | 'reset to deliver'

/** Something that happens; rows are as they are afterwards. */
export type Step =
  | { readonly do: 'rows'; readonly why: string; readonly put: readonly Row[]; readonly remove: readonly number[] }
  | { readonly do: 'trigger'; readonly options: readonly object[] }
  | { readonly do: 'fault'; readonly faults: readonly Fault[] }
  | { readonly do: 'deed'; readonly deed: Deed }
  | { readonly do: 'config'; readonly config: Config }
  | { readonly do: 'kill'; readonly who: 'worker' | 'api' | 'temporal' | 'postgres' }
  /** A worker stands still for so long. */
  | { readonly do: 'freeze'; readonly ms: number }
  /** In a repetition: the kill that was here is a process's fate now. */
  | { readonly do: 'nothing' }
  /** A pod being moved: another worker comes, this one gets SIGTERM. */
  | { readonly do: 'move' }

/** What of the configuration changes: a mapping with a prefix of the name, a guard, sizes of the destination. */
export interface Config {
  readonly prefix: string
  readonly maxChanged: string | null
  readonly batchSize: number
}

export interface Timed {
  readonly atMs: number
  readonly step: Step
}

export interface Schedule {
  readonly seed: number
  readonly destination: string
  /** What the sync begins with. */
  readonly rows: readonly Row[]
  readonly config: Config
  readonly steps: readonly Timed[]
  /** How the n-th worker and the n-th API process end by themselves, counted over the whole schedule; null: they live. */
  readonly fates: { readonly worker: readonly (Strike | null)[]; readonly api: readonly (Strike | null)[] }
  /** What puts the rows right in the end: no two share an e-mail, none has a broken one. */
  readonly repair: Step & { readonly do: 'rows' }
}
