import { jsonAnswer, type StandInAnswer } from '../sandbox/stand-in.ts'

/** Why one record cannot be saved, as a Collections answer lists it. */
export interface RowError {
  readonly statusCode: string
  readonly message: string
  readonly fields: readonly string[]
}

/** Refuses a whole request: Salesforce answers with a list of one error. */
export class Refusal extends Error {
  readonly answer: StandInAnswer

  constructor(status: number, errorCode: string, message: string, fields?: readonly string[]) {
    super(message)
    this.answer = jsonAnswer(status, [{ ...(fields === undefined ? {} : { fields }), message, errorCode }])
  }
}

export function rowError(statusCode: string, message: string, fields: readonly string[] = []): RowError {
  return { statusCode, message, fields }
}

export function notFound(message = 'The requested resource does not exist'): Refusal {
  return new Refusal(404, 'NOT_FOUND', message)
}
