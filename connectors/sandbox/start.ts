import { hubspotStandIn } from '../hubspot/stand-in.ts'
import { salesforceStandIn } from '../salesforce/stand-in.ts'
import { webhookStandIn } from '../webhook/stand-in.ts'
import { createSandbox } from './sandbox.ts'
import type { SandboxState } from './state.ts'

export interface StartedSandbox {
  /** For example `http://127.0.0.1:4010`; a stand-in's base address is `<url>/<slug>`. */
  readonly url: string
  /** For tests in the same process; others use the control routes. */
  readonly state: SandboxState
  close(): Promise<void>
}

/** Starts the stand-ins of all destinations in this process; port 0 (default) takes a free one. */
export async function startSandbox(options: { port?: number; host?: string; latencyMs?: number } = {}): Promise<StartedSandbox> {
  const sandbox = createSandbox({ standIns: [webhookStandIn(), hubspotStandIn(), salesforceStandIn()], latencyMs: options.latencyMs ?? 0 })
  const { url } = await sandbox.listen(options.port ?? 0, options.host)
  return { url, state: sandbox.state, close: () => sandbox.close() }
}
