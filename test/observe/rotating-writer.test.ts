// Real files: what is written is there, once, in the right file, whatever happens to the folder meanwhile.

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { rotatingWriter } from '../../src/observe/rotating-writer.js'
import type { WriteFailure, Writer } from '../../src/observe/writer.js'

const MAX_SIZE = 4_096

const setUp = (t: Test, content: Record<string, string> = {}) => {
  const path = join(t.testdir(content), 'logs', 'api.log')
  const writer = rotatingWriter({ path, maxSize: MAX_SIZE, maxFiles: 3 })
  t.teardown(() => writer.close())
  return { path, folder: join(path, '..'), writer }
}

const write = (writer: Writer, text: string): Promise<WriteFailure | null> =>
  new Promise((resolve) => writer.write(Buffer.from(text), resolve))

const modeOf = (path: string): number => statSync(path).mode & 0o777

t.test('files are rotated by size, and there are never more than allowed', async (t) => {
  const { path, folder, writer } = setUp(t)
  const lines = Array.from({ length: 300 }, (_, i) => `${i} ${'x'.repeat(90)}\n`)
  for (const line of lines) t.equal(await write(writer, line), null)
  t.same(readdirSync(folder).sort(), ['api.log', 'api.log.1', 'api.log.2'])
  const files = [`${path}.2`, `${path}.1`, path].map((file) => readFileSync(file, 'utf8'))
  t.ok(lines.join('').endsWith(files.join('')), 'together they are the newest lines, without a gap')
  for (const file of files.slice(0, 2)) t.ok(file.length >= MAX_SIZE && file.length < MAX_SIZE + 100)
  for (const file of [path, `${path}.1`]) t.equal(modeOf(file), 0o600)
  t.equal(modeOf(folder), 0o700)
})

t.test('lines go on in a file of an earlier run; a line that was cut short gets its end', async (t) => {
  const { path, folder, writer } = setUp(t)
  mkdirSync(folder)
  writeFileSync(path, 'whole\ntorn')
  await write(writer, 'new\n')
  t.equal(readFileSync(path, 'utf8'), 'whole\ntorn\nnew\n')
})

t.test('a file that somebody moves or removes is made anew', async (t) => {
  const { path, folder, writer } = setUp(t)
  await write(writer, 'one\n')
  renameSync(path, `${path}.moved`)
  await write(writer, 'two\n')
  t.equal(readFileSync(path, 'utf8'), 'two\n')
  t.equal(readFileSync(`${path}.moved`, 'utf8'), 'one\n')
  rmSync(folder, { recursive: true })
  await write(writer, 'three\n')
  t.equal(readFileSync(path, 'utf8'), 'three\n')
})

t.test('a place where nothing can be written is a failure that passes', async (t) => {
  const { path, folder, writer } = setUp(t, { logs: 'a file where the folder should be' })
  t.match(await write(writer, 'one\n'), { error: { code: /EEXIST|ENOTDIR/ }, written: 0, isFinal: false })
  rmSync(folder)
  t.equal(await write(writer, 'one\n'), null)
  t.equal(readFileSync(path, 'utf8'), 'one\n')
})

t.test('a line that was written before its rotation failed is not written twice', async (t) => {
  const { path, writer } = setUp(t)
  await write(writer, 'first\n')
  // A folder cannot be replaced by a file.
  writeFileSync(`${path}.1`, 'older\n')
  mkdirSync(join(`${path}.2`, 'in-the-way'), { recursive: true })
  const full = `${'x'.repeat(MAX_SIZE)}\n`
  t.match(await write(writer, full), { error: { code: /EISDIR|ENOTEMPTY|EEXIST/ }, written: full.length })
  rmSync(`${path}.2`, { recursive: true })
  t.equal(await write(writer, 'after\n'), null)
  t.equal(readFileSync(`${path}.1`, 'utf8'), `first\n${full}`)
  t.equal(readFileSync(path, 'utf8'), 'after\n')
})
