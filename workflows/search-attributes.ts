import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common'

/** Registered by `tailrace migrate`. */
export const TAILRACE_SYNC = defineSearchAttributeKey('TailraceSync', SearchAttributeType.KEYWORD)
export const TAILRACE_DESTINATION = defineSearchAttributeKey('TailraceDestination', SearchAttributeType.KEYWORD)
export const TAILRACE_PHASE = defineSearchAttributeKey('TailracePhase', SearchAttributeType.KEYWORD)
export const TAILRACE_OUTCOME = defineSearchAttributeKey('TailraceOutcome', SearchAttributeType.KEYWORD)
