import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { checkResources, usesOf } from './check.ts'
import type { DbtModel } from './dbt.ts'
import type { Finding } from './finding.ts'
import { resolveLocalForms, type Manifests } from './local-forms.ts'
import { readDocuments, type Given } from './shape.ts'
import { parseYaml, type Place } from './yaml.ts'

/** One thing that is wrong, or doubtful, and where it stands. */
export interface DocumentProblem extends Place {
  readonly file: string
  /** JSON pointer into the document. */
  readonly pointer: string
  readonly message: string
}

export interface SourceDocument {
  readonly file: string
  /** As the API takes it: plain JSON, `sqlFile` and `dbt` resolved. */
  readonly value: unknown
  readonly dbt: DbtModel | null
  place(pointer: string): Place
}

/** What was given as the folder does not exist, or cannot be read. */
export class PathError extends Error {}

interface Folder {
  readonly documents: SourceDocument[]
  readonly problems: DocumentProblem[]
  /** False when a file is no YAML: nobody knows what it would have held. */
  readonly complete: boolean
}

/**
 * All documents of a folder, or of one file: `*.yaml` and `*.yml` at any depth in the order of their paths, hidden ones and
 * node_modules left out. Problems of all files are gathered: syntax, `sqlFile` and `dbt` that cannot be read. Throws PathError.
 */
async function readFolder(path: string): Promise<Folder> {
  const documents: SourceDocument[] = []
  const problems: DocumentProblem[] = []
  const manifests: Manifests = new Map()
  let complete = true
  for (const file of await filesBelow(path)) {
    const parsed = parseYaml(await readFile(file, 'utf8'))
    complete &&= parsed.problems.length === 0
    problems.push(...parsed.problems.map((problem) => ({ file, pointer: '', ...problem })))
    for (const document of parsed.documents) {
      const resolved = await resolveLocalForms(document.value, file, manifests)
      problems.push(...resolved.issues.map((issue) => ({ file, ...document.place(issue.pointer), ...issue })))
      documents.push({ file, value: resolved.document, dbt: resolved.dbt, place: (pointer) => document.place(pointer) })
    }
  }
  return { documents, problems, complete }
}

export interface Configuration extends Folder {
  /** Documents that are right by themselves. */
  readonly given: readonly Given[]
  /** What is wrong with documents by themselves; `problems` holds these as well. */
  readonly findings: readonly Finding[]
}

/** As readFolder, and every document checked by itself: `problems` is everything that is wrong without looking beyond the document. */
export async function readConfiguration(path: string): Promise<Configuration> {
  const folder = await readFolder(path)
  const { given, findings } = readDocuments(folder.documents.map(({ value }) => value))
  const problems = [...folder.problems, ...findings.map((finding) => placed(finding, folder.documents))]
  return { ...folder, given, findings, problems }
}

/** What the given documents say of each other, without anything that is stored. */
export function checkTogether({ given, findings, complete }: Configuration): Finding[] {
  const broken = new Set(findings.map(({ kind, name }) => `${kind ?? ''} ${name ?? ''}`))
  const found = given.map(({ resource }) => resource)
  return checkResources(found).flatMap((issue): Finding[] => {
    const place = given.find(({ resource }) => resource.kind === issue.kind && resource.name === issue.name)
    const use = place && usesOf(place.resource).find(({ pointer }) => pointer === issue.pointer)
    // What it names may be there, in a document that is wrong itself.
    const unsure =
      use && !found.some(({ kind, name }) => kind === use.kind && name === use.name) && (!complete || broken.has(`${use.kind} ${use.name}`))
    return unsure ? [] : [{ ...issue, document: place?.document ?? null }]
  })
}

/** A finding with the file, line and column of what it is about. */
export function placed(finding: Finding, documents: readonly SourceDocument[]): DocumentProblem {
  const document = finding.document === null ? undefined : documents[finding.document]
  const { pointer } = finding
  const label = finding.kind === null ? '' : `${finding.kind}${finding.name === null ? '' : ` ${finding.name}`}: `
  const message = `${label}${pathText(pointer, finding.message)}${finding.message}`
  return document
    ? { file: document.file, ...document.place(pointer), pointer, message }
    : { file: '', line: 0, column: 0, pointer, message }
}

/** `fields.email: `; left out where the sentence names the key itself. */
function pathText(pointer: string, message: string): string {
  const parts = pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  if (message.startsWith('unknown key ')) parts.pop()
  return parts.length === 0 ? '' : `${parts.join('.')}: `
}

/** Problems in the order in which a reader meets them. */
export function byPlace(a: DocumentProblem, b: DocumentProblem): number {
  return a.file.localeCompare(b.file) || a.line - b.line || a.column - b.column
}

async function filesBelow(path: string): Promise<string[]> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new PathError(`${path} does not exist`, { cause })
  })
  if (!found.isDirectory()) return [path]
  const files: string[] = []
  for (const entry of (await readdir(path, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    // A mounted ConfigMap keeps its content twice: in `..data`, and in links to it.
    if (entry.name.startsWith('.') || entry.name === 'node_modules') continue
    const full = join(path, entry.name)
    if (entry.isDirectory()) files.push(...(await filesBelow(full)))
    else if (/\.ya?ml$/i.test(entry.name) && (await isFile(full))) files.push(full)
  }
  return files
}

/** Links followed; one that leads nowhere is no file. */
async function isFile(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => null)
  return found?.isFile() === true
}
