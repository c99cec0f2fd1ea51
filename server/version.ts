import { readFileSync } from 'node:fs'

/** Of package.json. */
export const VERSION = readVersion()

function readVersion(): string {
  // server/version.ts and dist/server/version.js are at different depths below package.json.
  for (const path of ['../package.json', '../../package.json']) {
    try {
      const content: unknown = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'))
      if (typeof content === 'object' && content !== null && 'version' in content) return String(content.version)
    } catch {
      continue
    }
  }
  return 'unknown'
}
