// Every pair of states of both lifecycles: what the table holds is allowed, everything else throws.

import t from 'tap'
import { HANDLE_LIFECYCLE, SUPERVISOR_LIFECYCLE } from '../../src/primary/lifecycles.js'
import { type TransitionTable, transition } from '../../src/shared/state-machine.js'

const walk = <State extends string>(t: Tap, name: string, table: TransitionTable<State>): void => {
  const states = Object.keys(table) as State[]
  for (const from of states) {
    for (const to of states) {
      const move = (): State => transition(name, table, from, to, 'because')
      if (table[from].includes(to)) t.equal(move(), to)
      else
        t.throws(move, { code: 'FORKSAFE_ERR_ILLEGAL_TRANSITION', details: { from, to, reason: 'because' } })
    }
  }
}

type Tap = Pick<typeof t, 'equal' | 'throws'>

t.test('supervisor', async (t) => {
  walk(t, 'supervisor', SUPERVISOR_LIFECYCLE)
  t.same(SUPERVISOR_LIFECYCLE.stopped, [], 'stopped is the end')
  for (const state of ['starting', 'running', 'reloading'] as const) {
    t.ok(SUPERVISOR_LIFECYCLE[state].includes('stopping'), `a stop wins while ${state}`)
  }
})

t.test('worker handle', async (t) => {
  walk(t, 'worker', HANDLE_LIFECYCLE)
  for (const state of ['starting', 'ready', 'draining', 'stopping'] as const) {
    t.ok(HANDLE_LIFECYCLE[state].includes('exited'), `a worker may die while ${state}`)
  }
  t.notOk(HANDLE_LIFECYCLE.draining.includes('ready'), 'no way back from a drain')
})
