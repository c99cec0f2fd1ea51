import { pino } from 'pino'
import { Registry } from 'prom-client'
import { Journal } from '../../activities/journal.ts'

/** A journal that nobody reads. */
export const quietJournal = (): Journal => new Journal(pino({ level: 'silent' }), new Registry())
