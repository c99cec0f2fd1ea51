import type { ChildProcess } from 'node:child_process'

/** What the tests' accounts and models are made of: neither may come out of a process of the product. */
const SECRET_NAMES = ['WEBHOOK_SECRET', 'HUBSPOT_TOKEN', 'SALESFORCE_SECRET', 'TAILRACE_API_TOKEN'] as const
const ROW_VALUE = '@example.com'

/** Searches all that a process prints, as it comes, for its secrets and for row values; gives the surroundings of what was found. */
export function watchForLeaks(child: ChildProcess, env: Readonly<Record<string, string>>): readonly string[] {
  const needles = [ROW_VALUE, ...SECRET_NAMES.flatMap((name) => env[name] ?? [])]
  const longest = Math.max(...needles.map((needle) => needle.length))
  const found: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    let kept = ''
    stream?.on('data', (chunk: Buffer) => {
      const text = kept + chunk.toString()
      const at = Math.max(...needles.map((needle) => text.indexOf(needle)))
      if (at >= 0) found.push(text.slice(Math.max(0, at - 300), at + 100))
      // A needle may come in two parts.
      kept = at >= 0 ? '' : text.slice(1 - longest)
    })
  }
  return found
}
