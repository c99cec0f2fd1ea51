import { ApplicationFailure } from '@temporalio/common'
import { ConnectorError } from '../../connectors/errors.ts'
import { openGate, openHttp } from '../../connectors/http.ts'
import { isLoopback } from '../../connectors/address.ts'
import { webhookSigner } from '../../connectors/webhook/signature.ts'
import { endNotice, openNotice, type Notice } from '../../state/notices.ts'
import { getResource } from '../../state/resources.ts'
import type { NotificationSpec } from '../../state/spec.ts'
import type { Deps } from '../deps.ts'
import { withAdvice } from '../failure.ts'
import { noticeBody } from './message.ts'

const TIMEOUT_MS = 10_000

/**
 * Tells one change of a sync's condition to one Notification: signed like the webhook destination's batches, `webhook-id` and body
 * the same on every repeat. Throws, for Temporal to try again, unless the receiver took it (2xx); 410 means that it wants no more.
 */
export async function sendNotice(deps: Deps, id: string, signal: AbortSignal): Promise<string> {
  const notice = await openNotice(deps.db, id)
  if (!notice) return 'was told before'
  const spec = (await getResource(deps.db, 'Notification', notice.notification))?.spec
  if (!spec || !('secret' in spec)) {
    await endNotice(deps.db, id, 'dropped')
    return `there is no notification ${notice.notification} any more`
  }
  const status = await post(deps, notice, spec, signal).catch(tryAgain)
  if (status < 200 || status > 299)
    throw ApplicationFailure.create({
      message: `notification ${notice.notification}: the receiver answered ${status}`,
      type: 'notification',
      nonRetryable: status === 410,
    })
  await endNotice(deps.db, id, 'sent')
  deps.journal.notified(notice, 'sent')
  return `${notice.notification} was told`
}

/** Whatever is in the way, a wrong configuration included, may be mended within the day. */
function tryAgain(error: unknown): never {
  if (error instanceof ConnectorError) throw ApplicationFailure.create({ message: withAdvice(error), type: error.kind })
  throw error
}

/** After the last try, or when nobody wants to hear it. */
export async function giveUpNotice(deps: Deps, id: string): Promise<void> {
  const notice = await openNotice(deps.db, id)
  if (!notice) return
  await endNotice(deps.db, id, 'given_up')
  deps.journal.notified(notice, 'given_up')
}

async function post(deps: Deps, notice: Notice, spec: NotificationSpec, signal: AbortSignal): Promise<number> {
  const label = `notification ${notice.notification}`
  const [address, secret] = await Promise.all([
    deps.connections.text(`${label}: url`, spec.url),
    deps.connections.text(`${label}: secret`, spec.secret),
  ])
  const url = URL.canParse(address) ? new URL(address) : null
  if (url === null) throw new ConnectorError('config', `${label}: url is no http:// or https:// address`)
  // A loopback address that stands there in so many words is meant; one that a name resolves to is not.
  const allowPrivateNetwork = spec.allowPrivateNetwork === true || isLoopback(url.hostname)
  const http = openHttp({ baseUrl: url.origin, connections: 1, allowPrivateNetwork, label })
  const body = Buffer.from(noticeBody(notice))
  const signer = webhookSigner(secret)
  const headers = () => ({ 'user-agent': 'tailrace', 'content-type': 'application/json', ...signer.headers(notice.id, body, Date.now()) })
  const request = { method: 'POST', path: url.pathname + url.search, headers, body, timeoutMs: TIMEOUT_MS } as const
  try {
    return (await http.request({ ...request, gate: openGate(signal), what: 'a notification' })).status
  } finally {
    await http.close()
  }
}
