import type { Call } from './process.ts'
import { startSnowflake, type StandIn } from './stand-in.ts'

/** The stand-in as a child: says where it is, does what it is told one by one, ends with its parent. */
const standIn = await startSnowflake()
const { url, secrets, config } = standIn
process.on('disconnect', () => void standIn.close().finally(() => process.exit()))
process.on('message', (call: Call) => {
  Promise.resolve()
    .then(() => carryOut(standIn, call))
    .then(
      (result) => process.send?.({ result: result ?? null }),
      (error: unknown) => process.send?.({ error: String(error) }),
    )
})
process.send?.({ result: { url, secrets, config } })

function carryOut(on: StandIn, call: Call): unknown {
  switch (call.name) {
    case 'set':
      return on.set(call.input)
    case 'ask':
      return on.ask(call.input)
    case 'fault':
      on.fault(call.input)
      return null
    case 'fail':
      on.fail()
      return null
    case 'expireResults':
      on.expireResults()
      return null
    case 'report':
      return on.report()
  }
}
