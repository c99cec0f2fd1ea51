import { randomUUID } from 'node:crypto'
import { jsonAnswer, type StandInAnswer } from '../sandbox/stand-in.ts'

/** One broken rule of one property, as HubSpot puts it into a message. */
export interface RuleError {
  readonly isValid: false
  readonly message: string
  readonly error: string
  readonly name: string
}

/** Why one input cannot be applied. */
export interface InputError {
  readonly category: string
  readonly message: string
}

/** Refuses a whole request. */
export class Refusal extends Error {
  readonly answer: StandInAnswer

  constructor(status: number, category: string, message: string, more: Readonly<Record<string, unknown>> = {}) {
    super(message)
    this.answer = jsonAnswer(status, { status: 'error', message, correlationId: randomUUID(), category, ...more })
  }
}

export function ruleErrors(rules: readonly RuleError[]): InputError {
  return { category: 'VALIDATION_ERROR', message: `Property values were not valid: ${JSON.stringify(rules)}` }
}

export function invalid(message: string, context?: Readonly<Record<string, readonly string[]>>): Refusal {
  return new Refusal(400, 'VALIDATION_ERROR', message, context === undefined ? {} : { context })
}

export function notFound(message: string): Refusal {
  return new Refusal(404, 'OBJECT_NOT_FOUND', message)
}
