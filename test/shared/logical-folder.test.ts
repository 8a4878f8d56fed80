import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { logicalFolder } from '../../src/shared/logical-folder.js'

t.test('the working folder is taken as the shell wrote it, where that is true', async (t) => {
  const at = t.testdir()
  const before = process.cwd()
  t.teardown(() => process.chdir(before))
  mkdirSync(join(at, 'v1'))
  symlinkSync('v1', join(at, 'current'))
  process.chdir(join(at, 'current'))
  const real = process.cwd()
  t.equal(logicalFolder({ PWD: join(at, 'current') }), join(at, 'current'))
  t.equal(logicalFolder({ PWD: at }), real, 'PWD of somebody else')
  t.equal(logicalFolder({ PWD: join(at, 'none') }), real)
  t.equal(logicalFolder({ PWD: 'current' }), real)
  t.equal(logicalFolder({}), real)
})
