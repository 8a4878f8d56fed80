import t from 'tap'
import { parsesAsModule } from '../../src/shared/module-syntax.js'

t.test('a text that parses is told from one that does not', async (t) => {
  const good = [
    '',
    'export {}',
    '#!/usr/bin/env node\nimport fs from "node:fs"\nawait 1',
    '\uFEFF#!/usr/bin/env node\nexport default import.meta.url',
    'import "./relative.js"; import "package"; import "file:///none.js"',
    'import data from "./x.json" with { type: "json" }',
    '// a comment at the end',
  ]
  for (const text of good) t.equal(await parsesAsModule(text), true, text)
  const bad = ['export {', 'const a = ;', 'with ({}) {}', 'return', '/* no end', '`no end', 'export { nope }']
  for (const text of bad) t.equal(await parsesAsModule(text), false, text)
})

t.test('nothing of it runs', async (t) => {
  const texts = [
    'globalThis.hasRun = true',
    'import "data:text/javascript,globalThis.hasRun=true"; export {}',
  ]
  for (const text of texts) {
    t.equal(await parsesAsModule(text), true)
    t.notOk(Reflect.get(globalThis, 'hasRun'), text)
  }
})

t.test('what it makes Node keep is bounded', async (t) => {
  const text = `// ${'x'.repeat(300_000)}`
  const answers = []
  for (let number = 0; number < 5; number++) answers.push(await parsesAsModule(`${text}${number}`))
  t.same(answers, [true, true, true, false, false])
})
