import { createXXHash128 } from 'hash-wasm'
import { FINGERPRINT_BYTES } from '../../state/segment.ts'

/**
 * 128-bit xxHash of canonical row bytes, salted with the mapping: 1.3 M rows/s of 200 bytes. A row's hash is compared only with the
 * same key's, so 1e9 changes miss one with a chance of 3e-30. All zeros are kept for removals.
 */
export async function fingerprinter(mappingId: string): Promise<(row: Uint8Array) => Uint8Array> {
  const hasher = await createXXHash128(parseInt(mappingId.slice(0, 8), 16), parseInt(mappingId.slice(8, 16), 16))
  return (row) => {
    const digest = hasher.init().update(row).digest('binary')
    for (let i = 0; i < FINGERPRINT_BYTES; i++) if (digest[i] !== 0) return digest
    digest[0] = 1
    return digest
  }
}

/** Ids of planned versions: sync, key, run and, for a removal, the match value make one (invariant 9). Hex, 32 characters. */
export async function versionIds(sync: string, run: string): Promise<(key: Uint8Array, match: string | null) => string> {
  const hasher = await createXXHash128()
  const prefix = Buffer.from(`${sync}\0${run}\0`)
  return (key, match) => {
    hasher.init().update(prefix).update(key)
    if (match !== null) hasher.update(`\0${match}`)
    return hasher.digest('hex')
  }
}

/** Hash of a match value as the destination folds it. */
export async function matchHasher(fold: (match: string) => string): Promise<(match: string) => Uint8Array> {
  const hasher = await createXXHash128()
  return (match) => hasher.init().update(fold(match)).digest('binary')
}
