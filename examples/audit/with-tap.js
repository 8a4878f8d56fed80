// tap, where each test fails that leaves a socket open: node examples/audit/with-tap.js
// With LEAK=1 one does.
import { assertNoLeaks, snapshot } from 'forksafe/audit'
import t from 'tap'
import { askForGreeting, startGreeter } from './greeter.js'

const greeter = await startGreeter()
t.teardown(() => greeter.stop())

// The server is there before and after each test: only what a test opens itself has to be gone.
let sockets = await snapshot()
t.beforeEach(async () => {
  sockets = await snapshot()
})
t.afterEach(() => assertNoLeaks(sockets, { within: '500ms' }))

t.test('says hello', async (t) => {
  t.equal(await askForGreeting(greeter.port), 'hello')
})
t.test('says it again', async (t) => {
  const forgetsToClose = process.env.LEAK === '1'
  t.equal(await askForGreeting(greeter.port, { forgetsToClose }), 'hello')
})
