/** Calls of the org's rolling day: used and allowed. */
export interface Usage {
  readonly used: number
  readonly allowed: number
}

/** Reads `Sforce-Limit-Info: api-usage=239/15000` (per-app-api-usage may follow); null where it is not there. */
export function usageOf(headers: Readonly<Record<string, string>>): Usage | null {
  const match = /(?:^|[\s,;])api-usage=(\d+)\/(\d+)/.exec(headers['sforce-limit-info'] ?? '')
  return match === null ? null : { used: Number(match[1]), allowed: Number(match[2]) }
}

export function overShare({ used, allowed }: Usage, share: number): boolean {
  return used >= allowed * share
}
