import { isCancellation, proxyActivities } from '@temporalio/workflow'
import type { Activities } from '../activities/index.ts'
import { bookkeeping } from './activities.ts'

/** A receiver may be away over a night; after a day nobody wants to hear it. */
const { notify: send } = proxyActivities<Activities>({
  startToCloseTimeout: '1 minute',
  heartbeatTimeout: '10s',
  scheduleToCloseTimeout: '24 hours',
  retry: { initialInterval: '2s', backoffCoefficient: 2, maximumInterval: '10 minutes' },
  summary: 'tell the receiver',
})

/** Tells one change of a sync's condition to one Notification, for up to a day. */
export async function notify(notice: string): Promise<string> {
  try {
    return await send(notice)
  } catch (error) {
    if (isCancellation(error)) throw error
    await bookkeeping('give it up').giveUpNotice(notice)
    return 'given up'
  }
}
