import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLogger } from '../../server/logger.ts'

function capture(write: (logger: ReturnType<typeof createLogger>) => void): string {
  let text = ''
  write(createLogger({ level: 'info', name: 'test', destination: { write: (line: string) => void (text += line) } }))
  return text
}

test('a log line is one JSON object with level, time, name and message', () => {
  const line: unknown = JSON.parse(capture((logger) => logger.info({ run: 'r1' }, 'hello')))
  assert.ok(typeof line === 'object' && line !== null && 'time' in line)
  assert.deepEqual({ ...line, time: '' }, { level: 'info', time: '', name: 'test', run: 'r1', msg: 'hello' })
})

test('secrets are blanked wherever they are named', () => {
  const text = capture((logger) =>
    logger.info({ token: 's1', config: { accessToken: 's2', deep: { password: 's3' } }, req: { headers: { authorization: 's4' } } }),
  )
  assert.doesNotMatch(text, /s[1-4]"/)
  assert.equal(text.split('[redacted]').length, 5)
})

test("of an error nothing is written that may quote a row: no driver's properties, no cause's message, no data exception", () => {
  const driver = Object.assign(new Error('invalid input syntax: "value-1"'), {
    severity: 'ERROR',
    code: '22P02',
    detail: 'Key (email)=(value-2)',
    where: 'value-3',
  })
  const cause = new Error('said value-4', { cause: new Error('said value-5') })
  const text = capture((logger) => {
    logger.error({ err: driver }, 'one')
    logger.error({ err: new Error('the plan failed', { cause }) }, 'two')
  })
  assert.doesNotMatch(text, /value-/)
  assert.match(text, /SQLSTATE 22P02/)
  assert.match(text, /the plan failed/)
  assert.match(text, /logger\.test/)
})
