// Who is told what when pm2 has started it twice. The rest of the contract is played with a real pm2.

import t from 'tap'
import { explainSecondInstance } from '../../src/manager/pm2.js'
import { ForksafeError } from '../../src/shared/errors.js'

const TAKEN = new ForksafeError('FORKSAFE_ERR_NAME_RUNNING', 'a supervisor named api is already running')

t.test('a second instance of pm2 is told to be deleted, everybody else that the name is taken', async (t) => {
  const second = { pm_id: '3', name: 'api', NODE_APP_INSTANCE: '1' }
  t.match(explainSecondInstance(TAKEN, second), {
    code: 'FORKSAFE_ERR_PM2_INSTANCE',
    message:
      /is already running\. pm2 has started it a second time; take that out with 'pm2 delete 3', and get more workers of api with 'supervisor scale'$/,
  })
  t.match(explainSecondInstance(TAKEN, { pm_id: '3', instance_var: 'N', N: '2', NODE_APP_INSTANCE: '0' }), {
    code: 'FORKSAFE_ERR_PM2_INSTANCE',
  })
  t.equal(explainSecondInstance(TAKEN, { ...second, NODE_APP_INSTANCE: '0' }), TAKEN)
  t.equal(explainSecondInstance(TAKEN, { NODE_APP_INSTANCE: '1' }), TAKEN)
  const other = new Error('disk full')
  t.equal(explainSecondInstance(other, second), other)
})
