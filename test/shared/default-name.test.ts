import { join } from 'node:path'
import t from 'tap'
import { defaultName } from '../../src/shared/default-name.js'

t.test('the nearest package.json names the supervisor, without its scope', async (t) => {
  const folder = t.testdir({
    'package.json': '{"name":"outer"}',
    scoped: { 'package.json': '{"name":"@acme/api"}', src: { 'app.js': '' } },
    nameless: { 'package.json': '{}' },
    broken: { 'package.json': '{' },
    odd: { 'package.json': '{"name":"../x"}' },
  })
  t.equal(defaultName(join(folder, 'app.js')), 'outer')
  t.equal(defaultName(join(folder, 'scoped/src/app.js')), 'api')
  t.equal(defaultName(join(folder, 'nameless/app.js')), 'app', 'a file without a name ends the search')
  t.equal(defaultName(join(folder, 'broken/feed.mjs')), 'feed')
  t.equal(defaultName(join(folder, 'odd/feed.mjs')), 'feed', 'a name that is none is not taken')
})

t.test('a base name is made fit to be a name', async (t) => {
  const folder = t.testdir({ 'package.json': '{}' })
  t.equal(defaultName(join(folder, 'my app (1).js')), 'my-app-1-')
  t.equal(defaultName(join(folder, '.hidden')), 'hidden')
  t.equal(defaultName(join(folder, '日本.js')), 'app')
  t.equal(defaultName(join(folder, `${'x'.repeat(80)}.js`)), 'x'.repeat(64))
})
