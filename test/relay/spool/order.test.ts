// That messages of one call keep their order, whatever has to be asked about one of them before it is taken.

import t from 'tap'
import { hashId } from '../../../src/relay/spool/record.js'
import { idsOf, messageOf, openIn, spoolFolder, takeAll } from '../../support/spools.js'

/** Two ids that the index cannot tell apart: there are some among a hundred thousand. */
const twins = (): [string, string] => {
  const seen = new Map<number, string>()
  for (let number = 0; ; number++) {
    const id = `id-${number}`
    const other = seen.get(hashId(id))
    if (other !== undefined) return [other, id]
    seen.set(hashId(id), id)
  }
}

t.test('one whose id has the hash of another is not overtaken by those behind it', async (t) => {
  const spool = await openIn(spoolFolder(t))
  const [first, second] = twins()
  await spool.append({ ...messageOf(1), id: first })
  await Promise.all([second, 'behind', second, 'last'].map((id) => spool.append({ ...messageOf(1), id })))
  t.same(idsOf(await takeAll(spool)), [first, second, 'behind', 'last'])
  await spool.close()
})
