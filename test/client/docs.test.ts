// docs/client.md names every option and event, and no other; and each snippet there and in docs/exclusive.md does what
// the page says.

import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { dirname, resolve } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { WebSocketServer } from 'ws'
import { CLIENT_EVENTS } from '../../src/client/client-events.js'
import { CLIENT_OPTION_KEYS } from '../../src/client/parse-client-options.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { needsTool } from '../support/tools.js'

uninstrumentChildren()
const run = promisify(execFile)
/** Pages, and how many snippets each has at least. */
const PAGES = { 'client.md': 11, 'exclusive.md': 3 } as const
const textOf = (page: string): string => readFileSync(`docs/${page}`, 'utf8')

/** First cells of the table under a heading, taken apart where one names several. */
const namedUnder = (heading: string): (string | undefined)[] => {
  const section = textOf('client.md').split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  const cells = [...section.matchAll(/^\| (`\w+`(?:, `\w+`)*) \|/gm)].map(([, cell = '']) => cell)
  return cells.flatMap((cell) => cell.split(', ').map((name) => name.slice(1, -1)))
}

t.test('the tables of options and events are complete', async (t) => {
  t.same(namedUnder('Options').sort(), [...CLIENT_OPTION_KEYS].sort())
  t.same(namedUnder('Events').sort(), [...CLIENT_EVENTS].sort())
})

const anchorsOf = (page: string): string[] =>
  [...textOf(page).matchAll(/^##? (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(' ', '-')
      .replaceAll(/[^\w-]/g, ''),
  )

t.test('links of the pages lead somewhere', async (t) => {
  for (const page of Object.keys(PAGES)) {
    for (const [, target = ''] of textOf(page).matchAll(/\]\(#([^)]+)\)/g))
      t.ok(anchorsOf(page).includes(target), `${page}#${target}`)
    for (const [, target = '', anchor] of textOf(page).matchAll(/\]\(([\w./-]+)(?:#([\w-]+))?\)/g)) {
      t.ok(existsSync(`docs/${target}`), `${page} to ${target}`)
      if (anchor !== undefined) t.ok(anchorsOf(target).includes(anchor), `${page} to ${target}#${anchor}`)
    }
  }
})

/** What the snippets talk to: /echo sends everything back, /numbers counts, everything else listens. */
const upstream = async (): Promise<WebSocketServer> => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  server.on('connection', (socket, { url = '' }) => {
    if (url === '/numbers') for (let n = 0; n < 10; n++) socket.send(String(n))
    if (url !== '/numbers')
      socket.on('message', (data) => url === '/feed' && socket.send(`got ${String(data)}`))
    if (url === '/echo') socket.on('message', (data, binary) => socket.send(data, { binary }))
  })
  await once(server, 'listening')
  return server
}

const SNIPPET = /^```js\n([\s\S]*?)^```\n(?:\n```text\n([\s\S]*?)^```\n)?/gm
const FOREIGN = ['fastify', '@nestjs/common', '@nestjs/core']

t.test('every snippet runs, ends by itself and prints what the page says', async (t) => {
  const server = await upstream()
  t.teardown(() => server.close())
  const host = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
  const folder = t.testdir({ node_modules: {} })
  const provide = (name: string, target: string): void => {
    mkdirSync(dirname(`${folder}/node_modules/${name}`), { recursive: true })
    symlinkSync(resolve(target), `${folder}/node_modules/${name}`)
  }
  provide('forksafe', '.')
  for (const name of FOREIGN) provide(name, `tools/apps/node_modules/${name}`)
  const snippets = Object.entries(PAGES).flatMap(([page, least]) => {
    const found = [...textOf(page).matchAll(SNIPPET)].map(([, code = '', output]) => ({ code, output }))
    t.ok(found.length >= least, `${page}: ${found.length} snippets`)
    return found
  })
  t.jobs = 2
  for (const [index, { code, output }] of snippets.entries()) {
    const isForeign = FOREIGN.some((name) => code.includes(`'${name}'`))
    const title = `${index + 1}: ${code.split('\n').find((line) => !/^(import|$)/.test(line))}`
    t.test(title, { ...(isForeign ? needsTool('apps') : {}), jobs: 2 }, async (t) => {
      const file = `${folder}/${index}.mjs`
      // Node 20 has no `await using` yet: what it stands for is written out.
      const runnable = code
        .replaceAll('wss://example.org', host)
        .replace(/await using (\w+) = (.*)$/m, 'const $1 = $2')
      const isUsing = runnable !== code.replaceAll('wss://example.org', host)
      writeFileSync(file, isUsing ? `${runnable}await short[Symbol.asyncDispose]()\n` : runnable)
      const env = cleanEnv({ FORKSAFE_HOME: `${folder}/home-${index}` })
      const { stdout, stderr } = await run(process.execPath, [file], { env, timeout: 20_000 })
      if (output !== undefined) t.equal(stdout, output)
      t.equal(stderr, '')
    })
  }
})
