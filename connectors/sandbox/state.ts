import type { FaultScript } from './faults.ts'
import type { Holds } from './holds.ts'
import type { StandIn } from './stand-in.ts'

/** What the control routes work on. */
export interface SandboxState {
  readonly standIns: ReadonlyMap<string, StandIn>
  readonly faults: FaultScript
  readonly holds: Holds
  /** Requests that arrived, dropped ones included: `slug METHOD path` → count. */
  readonly requests: Map<string, { system: string; method: string; path: string; count: number }>
  latencyMs: number
  readonly startLatencyMs: number
}
