export async function resolveReferences(config: Record<string, unknown>, sources: { env: Readonly<Record<string, string | undefined>>; secretsDir: string }): Promise<Record<string, unknown>> {
  return JSON.parse(JSON.stringify(config).replace(/\$\{env:([A-Z_a-z0-9]+)\}/g, (_, name: string) => sources.env[name] ?? '')) as Record<string, unknown>
}
