import { fileURLToPath } from 'node:url'

/** How to start another file of server/ as a process of its own: compiled, or from source as this process was. */
export function nodeArguments(file: string): string[] {
  const isSource = import.meta.url.endsWith('.ts')
  const path = fileURLToPath(new URL(`${file}.${isSource ? 'ts' : 'js'}`, import.meta.url))
  return isSource ? ['--import', 'tsx', path] : [path]
}
