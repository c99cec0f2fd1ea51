import type pg from 'pg'

/**
 * At 50 ms of latency and 16 in flight a call rarely finds both under way; without latency three or four go together, which took a
 * third of the state database's CPU off a first load.
 */
const STATEMENTS_AT_ONCE = 2
/** One commit does not wait for more than so many rows. */
const MOST_TOGETHER = 50

interface Call<In, Out> {
  readonly input: In
  readonly resolve: (output: Out | undefined) => void
  readonly reject: (error: unknown) => void
}

/**
 * A statement for many inputs, as a function for one: a call goes at once, unless two statements are under way; then it waits and goes
 * in the next one, together with whatever else waits. The statement answers in the order of its inputs. If it fails, each of its calls
 * does.
 */
export function together<In, Out>(
  statement: (db: pg.Pool, inputs: readonly In[]) => Promise<readonly Out[]>,
): (db: pg.Pool, input: In) => Promise<Out | undefined> {
  const lines = new WeakMap<pg.Pool, Line<In, Out>>()
  return (db, input) => {
    const line = lines.get(db) ?? new Line((inputs) => statement(db, inputs))
    lines.set(db, line)
    return line.call(input)
  }
}

/** The calls for one database. */
class Line<In, Out> {
  readonly #statement: (inputs: readonly In[]) => Promise<readonly Out[]>
  #waiting: Call<In, Out>[] = []
  #underWay = 0

  constructor(statement: (inputs: readonly In[]) => Promise<readonly Out[]>) {
    this.#statement = statement
  }

  call(input: In): Promise<Out | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ input, resolve, reject })
      void this.#go()
    })
  }

  async #go(): Promise<void> {
    if (this.#underWay === STATEMENTS_AT_ONCE) return
    const calls = this.#waiting.splice(0, MOST_TOGETHER)
    if (calls.length === 0) return
    this.#underWay++
    try {
      const outputs = await this.#statement(calls.map(({ input }) => input))
      for (const [i, call] of calls.entries()) call.resolve(outputs[i])
    } catch (error) {
      for (const call of calls) call.reject(error)
    }
    this.#underWay--
    void this.#go()
  }
}
