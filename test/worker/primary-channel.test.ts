import { execFileSync } from 'node:child_process'
import t from 'tap'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'

uninstrumentChildren()

t.test('a barrier without a channel to wait for has passed', async (t) => {
  const program = `
    import { PrimaryChannel } from './dist/worker/primary-channel.js'
    const channel = new PrimaryChannel(() => {})
    await channel.barrier()
    console.log(await channel.tell({ type: 'hello', version: '1.2.3' }))
  `
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], { env: cleanEnv() })
  t.equal(String(output), 'false\n')
})
