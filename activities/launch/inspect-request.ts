/** What the API may ask a worker. Names only; documents that are not applied yet travel in the state database. */
export type InspectRequest =
  | { readonly kind: 'source-check'; readonly name: string }
  | { readonly kind: 'destination-check'; readonly name: string }
  | { readonly kind: 'preview'; readonly sync: string; readonly limit: number }
  | { readonly kind: 'sync-check' }
