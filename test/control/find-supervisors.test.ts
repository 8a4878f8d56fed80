import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { chooseSupervisor, findSupervisors } from '../../src/control/find-supervisors.js'
import { socketFolder } from './socket-folder.js'

const listenOn = async (t: Test, path: string): Promise<void> => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(path, resolve))
  t.teardown(() => server.close())
}

t.test('those on whose socket somebody listens are found', async (t) => {
  const folder = socketFolder(t)
  await listenOn(t, join(folder, 'web.sock'))
  await listenOn(t, join(folder, 'api.sock'))
  await listenOn(t, join(folder, '.hidden.sock'))
  writeFileSync(join(folder, 'file.sock'), '')
  writeFileSync(join(folder, 'api.json'), '')
  symlinkSync('nowhere', join(folder, 'dangling.sock'))
  t.same(await findSupervisors(folder), [
    { name: 'api', socketPath: join(folder, 'api.sock') },
    { name: 'web', socketPath: join(folder, 'web.sock') },
  ])
})

t.test('without a name the only one is meant; several have to be told apart', async (t) => {
  const folder = socketFolder(t)
  await t.rejects(chooseSupervisor(folder, undefined), {
    code: 'FORKSAFE_ERR_NOT_RUNNING',
    message: `no supervisor is running (looked in ${folder}); start one with 'supervisor start app.js'`,
  })
  await listenOn(t, join(folder, 'api.sock'))
  t.equal((await chooseSupervisor(folder, undefined)).name, 'api')
  await listenOn(t, join(folder, 'web.sock'))
  await t.rejects(chooseSupervisor(folder, undefined), {
    code: 'FORKSAFE_ERR_NAME_AMBIGUOUS',
    message: '2 supervisors are running: api, web; name one with --name',
  })
  t.same(await chooseSupervisor(folder, 'web'), { name: 'web', socketPath: join(folder, 'web.sock') })
})

t.test('a folder that is not there has none, and an unsafe one is refused', async (t) => {
  const folder = join(socketFolder(t), 'run')
  t.same(await findSupervisors(folder), [])
  mkdirSync(folder)
  chmodSync(folder, 0o777)
  await t.rejects(findSupervisors(folder), { code: 'FORKSAFE_ERR_RUNTIME_FOLDER' })
  await t.rejects(chooseSupervisor(folder, 'api'), { code: 'FORKSAFE_ERR_RUNTIME_FOLDER' })
})
