// Who is warned that pm2 will not find a `ps`.

import t from 'tap'
import { warnWithoutPs } from '../../src/manager/pm2-tree.js'

t.test('only who runs under pm2 without a ps, with a tree to find', async (t) => {
  const folder = t.testdir({})
  const said = (environment: NodeJS.ProcessEnv): number => {
    let count = 0
    warnWithoutPs(() => count++, { PATH: folder, pm_id: '0', treekill: 'true', ...environment })
    return count
  }
  t.equal(said({}), 1)
  t.equal(said({ shutdown_with_message: 'true' }), 0)
  t.equal(said({ treekill: 'false' }), 0)
  t.equal(said({ pm_id: undefined }), 0)
  t.equal(said({ PATH: `${folder}:/bin:/usr/bin` }), 0)
})
