import { readdirSync, writeFileSync } from 'node:fs'
import { readProof, type Finding, type Proof } from './harness/proof.ts'

/** Writes PROOF.md from what the suites have left in proof/. */

const HEAD = `# Proof

Written by \`npm run proof\` from \`proof/*.json\`, which the suites leave behind. A cell says how many times it was tried and, over all
of them, how many records were lost and how many writes were doubled, counted at the destination: \`2: 0 / 0\`. \`+ n\` are repeats with
the same id and the same bytes, which the receiver of an at-least-once destination drops. An empty cell was not measured, or its
destination never gets there (a webhook makes one request a batch and renews no claim).
`

const names = readdirSync('proof')
  .filter((name) => name.endsWith('.json'))
  .map((name) => name.slice(0, -'.json'.length))
  .sort()
const proofs = names.flatMap((name) => readProof(name) ?? [])
writeFileSync('PROOF.md', [HEAD, ...proofs.map(section)].join('\n'))

function section({ title, about, rows, command, cells }: Proof): string {
  const columns = [...new Set(Object.values(cells).flatMap((row) => Object.keys(row)))].sort()
  const findings = Object.values(cells).flatMap((row) => Object.values(row).flatMap((variants) => Object.values(variants)))
  const days = findings.map(({ on }) => on).sort()
  const sorted = Object.entries(cells).sort(([a], [b]) => (a < b ? -1 : 1))
  const lines = sorted.map(([row, found]) => [`\`${row}\``, ...columns.map((column) => cell(found[column]))])
  return [
    `## ${title}\n`,
    about,
    `\nIn all: ${summary(findings)}, measured ${[...new Set([days[0], days.at(-1)])].join(' to ')}. One row: \`${command}\`.\n`,
    line([rows, ...columns]),
    line(['---', ...columns.map(() => '---:')]),
    ...lines.map(line),
    '',
  ].join('\n')
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

function cell(variants: Readonly<Record<string, Finding>> | undefined): string {
  return variants === undefined ? '' : summary(Object.values(variants)).replace(/ cells?/, '')
}

function summary(findings: readonly Finding[]): string {
  const sum = (of: (finding: Finding) => number): number => findings.reduce((total, finding) => total + of(finding), 0)
  const repeats = sum(({ repeats }) => repeats)
  return `${findings.length} ${findings.length === 1 ? 'cell' : 'cells'}: ${sum(({ lost }) => lost)} / ${sum(({ doubled }) => doubled)}${repeats > 0 ? ` + ${repeats}` : ''}`
}
