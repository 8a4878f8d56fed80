// Protected resources with stand-ins whose opening and closing the test decides; a real one is in test/process.

import { AsyncLocalStorage } from 'node:async_hooks'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { type ProtectOptions, protect } from '../../src/client/index.js'
import { PROTECT_OPTION_KEYS } from '../../src/client/protect-options.js'
import { resourcesNewestFirst } from '../../src/shared/resources.js'
import { eventually, withDeadline } from '../support/deadline.js'

let names = 0
const newName = (): string => `resource ${++names}`
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const soon = <Value>(promise: Promise<Value>, what = 'a promise to settle'): Promise<Value> =>
  withDeadline(promise, { what })

/** Numbered values, opened and closed when the test says so, with a count of those that are open. */
class Things {
  readonly log: string[] = []
  readonly open = new Set<number>()
  most = 0
  opens = 0
  isHeld = false
  readonly #held: (() => void)[] = []

  options(more: Partial<ProtectOptions<number>> = {}): ProtectOptions<number> {
    return {
      open: async () => {
        const number = ++this.opens
        this.log.push(`open ${number}`)
        if (this.isHeld) await new Promise<void>((resolve) => this.#held.push(resolve))
        this.open.add(number)
        this.most = Math.max(this.most, this.open.size)
        return number
      },
      close: async (number) => {
        this.log.push(`close ${number}`)
        this.open.delete(number)
      },
      ...more,
    }
  }

  letGo(): void {
    for (const go of this.#held.splice(0)) go()
  }
}

const newResource = (t: Test, things: Things, more: Partial<ProtectOptions<number>> = {}) => {
  const resource = protect(newName(), things.options(more))
  t.teardown(() => resource.close())
  return resource
}

const asResource = (name: string) => {
  const found = resourcesNewestFirst().find((resource) => resource.name === name)
  if (found === undefined) throw new Error(`${name} is not registered`)
  return found
}

t.test('making one opens nothing, and a name is one resource', async (t) => {
  const things = new Things()
  const options = things.options()
  const db = protect('one', options)
  t.equal(protect('one'), db)
  t.equal(protect('one', { ...options }), db)
  t.throws(() => protect('one', things.options()), {
    code: 'FORKSAFE_ERR_RESOURCE_OPTIONS',
    message: /another open/,
  })
  t.throws(() => protect('two'), { code: 'FORKSAFE_ERR_RESOURCE_UNKNOWN' })
  t.throws(() => protect('\n', options), { code: 'FORKSAFE_ERR_RESOURCE_OPTIONS' })
  t.equal(db.state, 'idle')
  await soon(db.close())
  t.throws(() => protect('one'), { code: 'FORKSAFE_ERR_RESOURCE_UNKNOWN' }, 'closing frees the name')
  t.same(things.log, [])
})

t.test('options are checked at the door', async (t) => {
  const { open, close } = new Things().options()
  for (const [options, message] of [
    [{ open }, /close of protected resource .* is not a function/],
    [{ close }, /open of protected resource .* is not a function/],
    [{ open, close, drain: 5 }, /drain .* is not a function/],
    [{ open, close, closeTimeout: 'soon' }, /closeTimeout .* is not a duration/],
    [{ open, close, openTimeout: 0 }, /out of range/],
    [{ open, close, opentimeout: 1 }, /did you mean openTimeout/],
    [null, /is not an object/],
  ] as const) {
    t.throws(() => protect(newName(), options as unknown as ProtectOptions<number>), {
      code: 'FORKSAFE_ERR_RESOURCE_OPTIONS',
      message,
    })
  }
})

t.test('however many ask, it is opened once, outside their async context', async (t) => {
  const things = new Things()
  const requests = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const { open } = things.options()
  const db = newResource(t, things, {
    open: (how) => {
      seen.push(requests.getStore())
      return open(how)
    },
  })
  const states: string[] = []
  db.on('stateChanged', ({ from, to }) => states.push(`${from} > ${to}`))
  db.on('opened', ({ epoch }) => states.push(`opened ${epoch}`))
  const all = await soon(requests.run('a request', () => Promise.all([db.get(), db.get(), db.get()])))
  t.same([...all, await db.get()], [1, 1, 1, 1])
  t.same(seen, [undefined])
  t.same(states, ['idle > connecting', 'connecting > open', 'opened 1'])
})

t.test('a failed opening rejects all who wait, with its cause, and the next get() tries anew', async (t) => {
  const things = new Things()
  const cause = new Error('no route')
  let fails = true
  const { open } = things.options()
  const db = newResource(t, things, {
    open: (how) => {
      if (fails) throw cause
      return open(how)
    },
  })
  const told: unknown[] = []
  db.on('openFailed', ({ epoch, error }) => told.push(epoch, error.code))
  const expected = { code: 'FORKSAFE_ERR_RESOURCE_OPEN_FAILED', message: /no route/, cause, retryable: true }
  await soon(Promise.all([t.rejects(db.get(), expected), t.rejects(db.get(), expected)]))
  t.equal(db.state, 'idle')
  t.same(told, [1, 'FORKSAFE_ERR_RESOURCE_OPEN_FAILED'])
  fails = false
  t.equal(await soon(db.get()), 1)
})

t.test('what is open too late is closed, not leaked, and does not disturb the next one', async (t) => {
  const things = new Things()
  const signals: AbortSignal[] = []
  const { open } = things.options()
  const db = newResource(t, things, {
    openTimeout: 20,
    open: (how) => {
      signals.push(how.signal)
      return open(how)
    },
  })
  things.isHeld = true
  await soon(t.rejects(db.get(), { code: 'FORKSAFE_ERR_RESOURCE_OPEN_TIMEOUT', message: /within 20 ms/ }))
  t.ok(signals[0]?.aborted)
  things.isHeld = false
  t.equal(await soon(db.get()), 2, 'the next does not wait for the one that hangs')
  things.letGo()
  await eventually(
    () => [...things.open],
    (open) => open.length === 1,
    { what: 'the late one to be closed' },
  )
  t.same(things.log, ['open 1', 'open 2', 'close 1'])
  t.equal(await db.get(), 2)
})

t.test('a caller that gives up is rejected alone; the last one cancels the opening', async (t) => {
  const things = new Things()
  const signals: AbortSignal[] = []
  const { open } = things.options()
  const db = newResource(t, things, {
    open: (how) => {
      signals.push(how.signal)
      return open(how)
    },
  })
  things.isHeld = true
  const [one, other] = [new AbortController(), new AbortController()]
  const first = t.rejects(db.get(one), { code: 'FORKSAFE_ERR_RESOURCE_ABORTED' })
  const second = t.rejects(db.get(other), { code: 'FORKSAFE_ERR_RESOURCE_ABORTED' })
  one.abort()
  await soon(first)
  t.equal(db.state, 'connecting')
  t.notOk(signals[0]?.aborted)
  other.abort()
  await soon(second)
  t.equal(db.state, 'idle')
  t.ok(signals[0]?.aborted)
  await t.rejects(db.get(other), { code: 'FORKSAFE_ERR_RESOURCE_ABORTED' })
  things.letGo()
  await eventually(
    () => things.log.length,
    (lines) => lines === 2,
    { what: 'what came of the cancelled opening to be closed' },
  )
  t.same(things.log, ['open 1', 'close 1'])
})

t.test('close() drains, closes, is final, and a second call is the same promise', async (t) => {
  const things = new Things()
  const db = newResource(t, things, { drain: (number) => void things.log.push(`drain ${number}`) })
  await soon(db.get())
  const told: string[] = []
  db.on('stateChanged', ({ to }) => told.push(to))
  db.on('closed', () => told.push('told'))
  const closed = db.close()
  t.equal(db.close(), closed)
  await t.rejects(db.get(), { code: 'FORKSAFE_ERR_RESOURCE_CLOSED' })
  await soon(closed)
  await t.rejects(db.get(), { code: 'FORKSAFE_ERR_RESOURCE_CLOSED' })
  t.same(things.log, ['open 1', 'drain 1', 'close 1'])
  t.same(told, ['draining', 'closing', 'closed', 'told'])
  {
    await using other = protect(newName(), things.options())
    await soon(other.get())
    t.equal(things.open.size, 1)
  }
  t.equal(things.open.size, 0, 'await using closes it')
})

t.test('close() while it is being opened: who waits is rejected, what comes late is closed', async (t) => {
  const things = new Things()
  things.isHeld = true
  const db = newResource(t, things)
  const rejected = t.rejects(db.get(), { code: 'FORKSAFE_ERR_RESOURCE_CLOSED' })
  await turn()
  const closed = db.close()
  await soon(rejected)
  t.equal(db.state, 'closing')
  things.letGo()
  await soon(closed)
  t.same(things.log, ['open 1', 'close 1'])
})

t.test('what is open only after close() was done is closed all the same', async (t) => {
  const things = new Things()
  things.isHeld = true
  const db = newResource(t, things, { closeTimeout: 20 })
  db.on('closeFailed', ({ error }) => t.fail(error.message))
  const rejected = t.rejects(db.get(), { code: 'FORKSAFE_ERR_RESOURCE_CLOSED' })
  await turn()
  await soon(db.close())
  await rejected
  things.letGo()
  await turn()
  t.same(things.log, ['open 1', 'close 1'])
})

t.test('drain() and close() that fail or hang are bounded and told; close() never rejects', async (t) => {
  const never = (): Promise<never> => new Promise(() => {})
  for (const [hooks, messages] of [
    [{ drain: never, close: never }, [/drain\(\) did not finish in time/, /close\(\) did not/]],
    [
      {
        drain: () => Promise.reject(new Error('busy')),
        close: () => {
          throw new Error('broken pipe')
        },
      },
      [/drain\(\) failed: busy/, /close\(\) failed: broken pipe/],
    ],
  ] as const) {
    const things = new Things()
    const db = newResource(t, things, { ...hooks, drainTimeout: 20, closeTimeout: 20 })
    const told: string[] = []
    db.on('closeFailed', ({ error }) => told.push(error.code, error.message))
    await soon(db.get())
    await soon(db.close())
    t.equal(db.state, 'closed')
    t.match(told, ['FORKSAFE_ERR_RESOURCE_CLOSE_FAILED', messages[0], /CLOSE_FAILED/, messages[1]])
  }
})

t.test('the signal of a drain that takes too long is aborted', async (t) => {
  const things = new Things()
  let signal: AbortSignal | undefined
  const db = newResource(t, things, {
    drainTimeout: 20,
    drain: (_number, how) => {
      signal = how.signal
      return new Promise((resolve) => how.signal.addEventListener('abort', resolve))
    },
  })
  await soon(db.get())
  await soon(db.close())
  t.ok(signal?.aborted)
})

t.test(
  'a suspension closes it, get() waits for its end, and it is opened again exactly if it was open',
  async (t) => {
    const things = new Things()
    const open = newResource(t, things)
    const idle = newResource(t, things)
    await soon(open.get())
    const both = [asResource(open.name), asResource(idle.name)]
    await soon(Promise.all(both.map((resource) => resource.suspend({ timeout: 1_000 }))))
    t.equal(things.open.size, 0)
    t.same([open.state, idle.state], ['suspended', 'suspended'])
    const waits = open.get()
    for (const resource of both) resource.resume()
    t.equal(await soon(waits), 2)
    t.same([open.state, idle.state], ['open', 'idle'])

    await soon(asResource(idle.name).suspend({ timeout: 1_000 }))
    const asked = idle.get()
    asResource(idle.name).resume()
    t.equal(await soon(asked), 3, 'one that was asked for meanwhile is opened')

    await soon(asResource(open.name).suspend({ timeout: 1_000 }))
    asResource(open.name).resume()
    await eventually(
      () => open.state,
      (state) => state === 'open',
      { what: 'it to be opened again though nobody asks' },
    )
  },
)

t.test(
  'a suspension while it is being opened: nothing is open in the window, who waits gets the next',
  async (t) => {
    const things = new Things()
    const db = newResource(t, things)
    things.isHeld = true
    const waits = db.get()
    await turn()
    const suspended = asResource(db.name).suspend({ timeout: 1_000 })
    things.letGo()
    await soon(suspended)
    t.equal(things.open.size, 0)
    things.isHeld = false
    asResource(db.name).resume()
    t.equal(await soon(waits), 2)
  },
)

t.test(
  'one that is not closed in time delays a fork by the bound and no more, and that is told',
  async (t) => {
    const never = (): Promise<never> => new Promise(() => {})
    const overdue = { code: 'FORKSAFE_ERR_RESOURCE_CLOSE_FAILED', message: /not closed within 20 ms/ }
    const stuck = protect(newName(), { open: () => 1, close: never })
    await soon(stuck.get())
    await soon(t.rejects(asResource(stuck.name).suspend({ timeout: 20 }), overdue))
    const opening = protect(newName(), { open: never, close: never })
    const rejected = t.rejects(opening.get(), { code: 'FORKSAFE_ERR_RESOURCE_CLOSED' })
    await turn()
    await soon(t.rejects(asResource(opening.name).suspend({ timeout: 20 }), overdue))
    for (const { name } of [stuck, opening]) await soon(asResource(name).shutDown({ timeout: 20 }))
    await rejected
  },
)

t.test('a window that ends before it is closed: it is opened when that is done', async (t) => {
  const things = new Things()
  let finish: () => void = () => {}
  const { close } = things.options()
  const db = newResource(t, things, {
    close: async (number) => {
      if (number === 1)
        await new Promise<void>((resolve) => {
          finish = resolve
        })
      return close(number)
    },
  })
  await soon(db.get())
  const suspended = asResource(db.name).suspend({ timeout: 60_000 })
  asResource(db.name).resume()
  const next = db.get()
  await turn()
  t.equal(things.opens, 1)
  finish()
  t.equal(await soon(next), 2)
  await soon(suspended)
  t.same(things.log, ['open 1', 'close 1', 'open 2'])
  t.equal(things.most, 1)
})

t.test('the shutdown of the process is bounded in every state', async (t) => {
  const never = (): Promise<never> => new Promise(() => {})
  const stuck = { open: () => 1, close: never, drain: never, drainTimeout: '1h', closeTimeout: '1h' }
  const begun: ((db: { get(): Promise<unknown>; close(): Promise<void>; name: string }) => unknown)[] = [
    () => {},
    (db) => db.get(),
    (db) => db.get().then(() => void db.close()),
    (db) =>
      db.get().then(
        () =>
          void asResource(db.name)
            .suspend({ timeout: 60_000 })
            .catch(() => {}),
      ),
  ]
  for (const begin of begun) {
    const db = protect(newName(), stuck)
    await begin(db)
    await soon(asResource(db.name).shutDown({ timeout: 30 }), `the end of one that was ${db.state}`)
    t.equal(db.state, 'closed')
  }
  const hanging = protect(newName(), { ...stuck, open: never })
  const rejected = t.rejects(hanging.get(), { code: 'FORKSAFE_ERR_RESOURCE_CLOSED' })
  await soon(asResource(hanging.name).shutDown({ timeout: 30 }), 'the end of one that hangs in its opening')
  await soon(rejected)
})

t.test('it is reported as a client is', async (t) => {
  const things = new Things()
  const db = newResource(t, things)
  const report = () => asResource(db.name).report()
  things.isHeld = true
  const got = db.get()
  await turn()
  const base = { name: db.name, identity: db.name, role: 'own', confirmed: 0, reconnects: 0, epoch: 1 }
  t.same(report(), { ...base, state: 'connecting', pending: 1 })
  things.letGo()
  await soon(got)
  t.same(report(), { ...base, state: 'open', pending: 0 })
})

t.test(
  'whatever happens in whatever order: one opening at a time, every promise settles, nothing leaks',
  async (t) => {
    const step = fc.constantFrom(
      'get',
      'getAndAbort',
      'suspend',
      'resume',
      'letGo',
      'hold',
      'fail',
      'turn',
      'close',
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const things = new Things()
        const live = new Set<AbortSignal>()
        let doubled = 0
        let fails = false
        const { open } = things.options()
        const db = protect(newName(), {
          ...things.options(),
          drain: async () => {},
          open: async (how) => {
            live.add(how.signal)
            const wanted = [...live].filter((signal) => !signal.aborted)
            if (wanted.length > 1) doubled++
            try {
              if (fails) throw new Error('told to')
              return await open(how)
            } finally {
              live.delete(how.signal)
            }
          },
        })
        const name = db.name
        const resource = asResource(name)
        const promises: Promise<unknown>[] = []
        const keep = (promise: Promise<unknown>): void => void promises.push(promise.catch(() => {}))
        for (const one of steps) {
          if (one === 'get') keep(db.get())
          if (one === 'getAndAbort') {
            const controller = new AbortController()
            keep(db.get(controller))
            controller.abort()
          }
          if (one === 'suspend') keep(resource.suspend({ timeout: 5_000 }))
          if (one === 'resume') resource.resume()
          if (one === 'hold') things.isHeld = true
          if (one === 'letGo') {
            things.isHeld = false
            things.letGo()
          }
          if (one === 'fail') fails = !fails
          if (one === 'turn') await turn()
          if (one === 'close') keep(db.close())
        }
        things.isHeld = false
        things.letGo()
        resource.resume()
        keep(db.close())
        await soon(Promise.all(promises), `all to settle after ${steps.join(', ')}`)
        if (db.state !== 'closed') throw new Error(`it is ${db.state}`)
        if (things.open.size > 0) throw new Error(`${things.open.size} are left open`)
        if (doubled > 0) throw new Error('opened while another was')
        const opened = things.log.filter((line) => line.startsWith('open')).length
        const closed = things.log.filter((line) => line.startsWith('close')).length
        if (opened !== closed) throw new Error(`${opened} opened, ${closed} closed`)
      }),
      { numRuns: 500 },
    )
    t.pass('500 schedules')
  },
)

t.test('the table of options in the docs is complete', async (t) => {
  const page = readFileSync('docs/protect.md', 'utf8')
  const table = page.slice(page.indexOf('## Options'), page.indexOf('## States'))
  const named = [...table.matchAll(/^\| `(\w+)` *\|/gm)].map(([, option]) => option)
  t.same(named.sort(), [...PROTECT_OPTION_KEYS].sort())
})
