import { NAMES, ROUNDS, secondsOf, type DemoResult, type Outcome, type Owed } from './result.ts'

/** Pure: the demo's result as plain text of at most 100 columns. */

export interface Paint {
  readonly strong: (text: string) => string
  readonly faint: (text: string) => string
  readonly good: (text: string) => string
  readonly bad: (text: string) => string
}

const sgr =
  (code: number) =>
  (text: string): string =>
    `\u001b[${code}m${text}\u001b[0m`
const same = (text: string): string => text

export const COLOURS: Paint = { strong: sgr(1), faint: sgr(2), good: sgr(32), bad: sgr(31) }
export const PLAIN: Paint = { strong: same, faint: same, good: same, bad: same }

const LABEL = 26
const CELL = 13
const GAP = '    '
const WIDTH = LABEL + 4 * CELL + 2 * GAP.length

type Cell = string | number | null
type Row = readonly [label: string, cell: (outcome: Outcome) => Cell, paint?: (outcome: Outcome) => keyof Paint | null]

const SAYS: readonly Row[] = [
  ['state', ({ run }) => run.state, ({ problems }) => (problems.length > 0 ? 'bad' : null)],
  ['rows read', ({ run }) => run.counts.read],
  ['unchanged', ({ run }) => run.counts.unchanged],
  ['added', ({ run }) => run.counts.added],
  ['changed', ({ run }) => run.counts.changed],
  ['removed', ({ run }) => run.counts.removed],
  ['invalid', ({ run }) => run.counts.invalid],
  ['delivered', ({ run }) => run.counts.delivered, () => 'strong'],
  ['owed', ({ run }) => run.counts.owed],
  ['seconds', ({ run }) => secondsOf(run)?.toFixed(1) ?? null],
]

const HOLDS: readonly Row[] = [
  ['effective writes', ({ holds }) => holds.effective, () => 'strong'],
  ['repeated writes', ({ holds }) => holds.repeated],
  ['requests', ({ holds }) => holds.requests],
  ['records held', ({ holds }) => holds.records],
  [
    'every record as wanted',
    ({ problems }) => (problems.length === 0 ? '✓ yes' : '✗ no'),
    ({ problems }) => (problems.length === 0 ? 'good' : 'bad'),
  ],
]

export function renderTable({ crm, rows, rate, outcomes, owed }: DemoResult, paint: Paint): string {
  const line = paint.faint('─'.repeat(WIDTH))
  const head = [
    paint.strong(`${count(rows)} customers`.padEnd(LABEL)) + ROUNDS.map((round) => GAP + heading(`${round} run`, paint)).join(''),
    ' '.repeat(LABEL) + inRounds(outcomes, ({ system }) => paint.strong(NAMES[system].padStart(CELL))),
  ]
  const block = (title: string, body: readonly Row[]): string[] => [
    paint.faint(title),
    ...body.map((row) => renderRow(row, outcomes, paint)),
  ]
  return [
    '',
    ...head,
    line,
    ...block('the runs say', SAYS),
    line,
    ...block('the destinations say', HOLDS),
    line,
    paint.faint(`Rate to ${NAMES[crm]}: ${rate}.`),
    ...renderOwed(owed, outcomes, paint),
    '',
  ].join('\n')
}

function renderRow([label, cell, choose]: Row, outcomes: readonly Outcome[], paint: Paint): string {
  const cells = inRounds(outcomes, (outcome) => {
    const value = cell(outcome)
    const text = (typeof value === 'number' ? count(value) : (value ?? '–')).padStart(CELL)
    const how = value === 0 ? 'faint' : (choose?.(outcome) ?? null)
    return how === null ? text : paint[how](text)
  })
  return `  ${label.padEnd(LABEL - 2)}${cells}`
}

/** The cells of one line, those of a round side by side. */
function inRounds(outcomes: readonly Outcome[], cell: (outcome: Outcome) => string): string {
  return ROUNDS.map(
    (round) =>
      GAP +
      outcomes
        .filter((each) => each.round === round)
        .map(cell)
        .join(''),
  ).join('')
}

/** A round's name over its two columns. */
function heading(text: string, paint: Paint): string {
  const dashes = 2 * CELL - 2 - text.length - 2
  const left = Math.floor(dashes / 2)
  return `  ${paint.faint('─'.repeat(left))} ${paint.strong(text)} ${paint.faint('─'.repeat(dashes - left))}`
}

function renderOwed(owed: readonly Owed[], outcomes: readonly Outcome[], paint: Paint): string[] {
  if (owed.length === 0) return []
  const lines = owed.map(({ system, rejection, email }) => {
    const reason = rejection.field === null ? rejection.message : `${rejection.field}: ${rejection.message}`
    const value = /^email$/i.test(rejection.field ?? '') && email !== null ? ` (${email})` : ''
    return `  ${NAMES[system].padEnd(11)}${`id ${keyText(rejection.key)}`.padEnd(10)}${cut(`${reason}${value}`, 76)}`
  })
  const partial = outcomes.some(({ run }) => run.state === 'partial')
  const why = partial ? '; all others were, so the run is partial' : ''
  return ['', `${paint.strong('Owed')}: rows that cannot be sent${why}`, ...lines, paint.faint(WEBHOOK_NOTE)]
}

const WEBHOOK_NOTE = 'To the webhook an invalid e-mail is a text like any other: that row went there as a change.'

/** The links to Temporal's web UI, one for each run. `kept`: it stays up. */
export function renderLinks(outcomes: readonly Outcome[], kept: boolean): string {
  const lines = outcomes.map(({ round, system, run }) => `  ${round.padEnd(7)}${NAMES[system].padEnd(11)}${run.temporal.url ?? 'no link'}`)
  const head = `The runs in Temporal's web UI${kept ? '' : ' (with --keep they stay to be looked at)'}`
  return [head, ...lines, ''].join('\n')
}

export function renderProblems(outcomes: readonly Outcome[]): string {
  return outcomes
    .filter(({ problems }) => problems.length > 0)
    .flatMap(({ round, system, problems }) => [
      `${NAMES[system]}, ${round} run: ${count(problems.length)} things are not as they should be`,
      ...problems.slice(0, 5).map((problem) => `  ${cut(problem, 98)}`),
      ...(problems.length > 5 ? [`  … and ${count(problems.length - 5)} more`] : []),
    ])
    .join('\n')
}

export function count(value: number): string {
  return value.toLocaleString('en-US')
}

function keyText(key: unknown): string {
  return typeof key === 'string' ? key : key === null ? 'NULL' : JSON.stringify(key)
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`
}
