// docs/client.md names every option, and no other.

import { readFileSync } from 'node:fs'
import t from 'tap'
import { CLIENT_OPTION_KEYS } from '../../src/client/client-options.js'

t.test('the table of options is complete', async (t) => {
  const page = readFileSync('docs/client.md', 'utf8')
  const table = page.slice(page.indexOf('## Options'), page.indexOf('Durations are'))
  const named = [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, option]) => option)
  t.same(named.sort(), [...CLIENT_OPTION_KEYS].sort())
})
