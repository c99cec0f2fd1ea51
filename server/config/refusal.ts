import { Problem, type FieldProblem } from '../api/problem.ts'
import type { Decision } from './decide.ts'
import type { Finding } from './finding.ts'

/** Where a finding stands in the request's body: below `/documents/<n>`, or in the body itself where that is the one resource. */
export type PointerOf = (finding: Finding) => string

export const inDocuments: PointerOf = ({ document, pointer }) => (document === null ? '' : `/documents/${document}${pointer}`)
export const inBody: PointerOf = ({ document, pointer }) => (document === null ? '' : pointer)

export function fieldProblems(findings: readonly Finding[], level: Finding['level'], pointerOf: PointerOf): FieldProblem[] {
  return findings
    .filter((finding) => finding.level === level)
    .map((finding) => ({ pointer: pointerOf(finding), message: labelled(finding) }))
}

/** Throws 400 when a document by itself is wrong. */
export function refuseShape(findings: readonly Finding[], pointerOf: PointerOf): void {
  const errors = fieldProblems(findings, 'error', pointerOf)
  if (errors.length > 0) throw new Problem({ status: 400, code: 'validation', detail: summary(errors), errors })
}

/** Throws 422 when the documents do not fit together, and 409 when a sync would be deleted under a run. */
export function refuseDecision(decision: Pick<Decision, 'findings' | 'busy'>, pointerOf: PointerOf): void {
  const errors = fieldProblems(decision.findings, 'error', pointerOf)
  if (errors.length > 0) throw new Problem({ status: 422, code: 'config', title: 'Wrong configuration', detail: summary(errors), errors })
  if (decision.busy.length === 0) return
  const syncs = `${decision.busy.length === 1 ? 'the sync' : 'the syncs'} ${decision.busy.join(', ')}`
  throw new Problem({
    status: 409,
    code: 'run_active',
    detail: `${syncs} cannot be deleted while a run is active or queued: cancel it, or wait for its end`,
  })
}

/** A finding about what is stored must say what it is about: the request does not hold it. */
function labelled({ document, kind, name, pointer, message }: Finding): string {
  return document === null && kind !== null ? `${kind} ${name ?? ''} (stored)${pointer.replaceAll('/', '.')}: ${message}` : message
}

function summary(errors: readonly FieldProblem[]): string {
  const [first] = errors
  if (errors.length === 1 && first !== undefined) return first.pointer === '' ? first.message : `${first.pointer}: ${first.message}`
  return `${errors.length} things are wrong; errors lists them`
}
