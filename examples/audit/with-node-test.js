// node:test, where each test fails that leaves a socket open: node examples/audit/with-node-test.js
// With LEAK=1 one does.
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { assertNoLeaks, snapshot } from 'forksafe/audit'
import { askForGreeting, startGreeter } from './greeter.js'

describe('the greeter', () => {
  /** @type {Awaited<ReturnType<typeof startGreeter>>} */
  let greeter
  /** @type {import('forksafe/audit').Snapshot} */
  let sockets

  before(async () => {
    greeter = await startGreeter()
  })
  after(() => greeter.stop())
  // The server is there before and after each test: only what a test opens itself has to be gone.
  beforeEach(async () => {
    sockets = await snapshot()
  })
  afterEach(() => assertNoLeaks(sockets, { within: '500ms' }))

  test('says hello', async () => {
    assert.equal(await askForGreeting(greeter.port), 'hello')
  })
  test('says it again', async () => {
    const forgetsToClose = process.env.LEAK === '1'
    assert.equal(await askForGreeting(greeter.port, { forgetsToClose }), 'hello')
  })
})
