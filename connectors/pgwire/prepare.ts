import type pg from 'pg'

export interface Prepared {
  /** Empty where the statement returns no rows. */
  readonly fields: readonly pg.FieldDef[]
  readonly parameters: number
}

/**
 * Parses one statement on the server and asks what it returns: it is neither planned nor run. The server itself refuses text
 * with more than one statement here, which the simple protocol, COPY's, would run. Rejects with the server's error.
 */
export function prepare(client: pg.Client, text: string): Promise<Prepared> {
  return new Promise((resolve, reject) => {
    client.query(new Preparation(text, resolve, reject))
  })
}

/** Parse, Describe, Sync: what `client.query` would follow with Bind and Execute. Driven by the client, like its own queries. */
class Preparation implements pg.Submittable {
  readonly #text: string
  readonly #resolve: (prepared: Prepared) => void
  readonly #reject: (error: Error) => void
  #fields: readonly pg.FieldDef[] = []
  #parameters = 0

  constructor(text: string, resolve: (prepared: Prepared) => void, reject: (error: Error) => void) {
    this.#text = text
    this.#resolve = resolve
    this.#reject = reject
  }

  submit(connection: pg.Connection): void {
    connection.once('parameterDescription', (message: { parameterCount: number }) => {
      this.#parameters = message.parameterCount
    })
    connection.parse({ name: '', text: this.#text, types: [] }, true)
    connection.describe({ type: 'S', name: '' }, true)
    connection.sync()
  }

  handleRowDescription(message: { fields: readonly pg.FieldDef[] }): void {
    this.#fields = message.fields
  }

  handleError(error: Error): void {
    this.#reject(error)
  }

  handleReadyForQuery(): void {
    this.#resolve({ fields: this.#fields, parameters: this.#parameters })
  }
}
