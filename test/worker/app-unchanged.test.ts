import t from 'tap'
import { Primary } from './support/primary.js'

t.test('the channel, threads and children of an app are its own', async (t) => {
  const primary = new Primary(t, 'own-channel.cjs', { readiness: 'ready' })
  const { id } = await primary.fork()
  primary.order(id, { type: 'askReport', id: 1 })
  primary.order(id, { type: 'hold' })
  primary.tellApp(id, 'tell')
  const { message } = await primary.seen('facts', ({ event }) => event === 'appMessage')
  t.same(message, {
    heard: ['tell'],
    inMain: {
      argument: 'an argument',
      runtime: { slot: 0, generation: 3, isSupervised: true },
      variable: null,
      sigterm: 1,
    },
    inThread: { runtime: null, variable: null, sigterm: 0 },
    inChild: { argument: 'child', runtime: null, variable: null, sigterm: 0 },
  })
  const heard = primary.reports.filter(({ event }) => event === 'appMessage')
  t.equal(heard.length, 1, 'the primary hears from the app what the app sent, and nothing else')
})

t.test('a script that throws at boot reports why and exits as ever', async (t) => {
  const primary = new Primary(t, 'fails-at-boot.js')
  const { id } = await primary.fork()
  t.match((await primary.frame(id, 'fault')).text, 'cannot even start')
  t.equal((await primary.exit(id)).code, 1)
})
