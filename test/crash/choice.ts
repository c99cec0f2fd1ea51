/** `npm run test:crash`: the whole matrix, its findings go to proof/. */
export const WHOLE = process.env['TAILRACE_MATRIX'] === 'whole'

const only = process.env['TAILRACE_ONLY']
if (only === '') throw new Error('TAILRACE_ONLY is empty, which every cell would match: unset it, or give a regular expression')

/** Whether a cell is run: TAILRACE_ONLY, a regular expression, picks from all of them; else the slice decides unless all are wanted. */
export function chosen(name: string, slice: readonly string[]): boolean {
  if (only !== undefined) return new RegExp(only).test(name)
  return WHOLE || slice.includes(name)
}
