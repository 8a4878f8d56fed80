// A few cells of the matrix of pm2, two at a time: what pm2 does by default and what our file asks for, without a `ps`, and
// the older majors. All cells are `npm run campaign -- pm2-matrix`.

import t from 'tap'
import { uninstrumentChildren } from '../support/clean-children.js'
import { needsTool } from '../support/tools.js'
import { CELLS, type Cell, cellOf, describeCell } from './pm2-matrix/cells.js'
import { playCell } from './pm2-matrix/round.js'

uninstrumentChildren()

const BY_DEFAULT = { killTimeout: null, message: false, pmx: true }

const play = (part: Partial<Cell>): void => {
  const cell = cellOf(part)
  t.test(describeCell(cell), needsTool(cell.major === 7 ? 'pm2' : 'pm2-old'), async (t) => {
    const { violations, story } = await playCell(cell)
    t.same(violations, [], story.join('\n'))
  })
}

t.jobs = 2

play({ ...BY_DEFAULT, deeds: ['restart', 'stop'] })
play({ deeds: ['scale', 'resurrect'] })
play({ ...BY_DEFAULT, hasPs: false, deeds: ['stop'] })
play({ major: 5, deeds: ['sendSignal', 'stop'] })
play({ ...BY_DEFAULT, major: 6, deeds: ['sendSignal', 'stop'] })

t.test('the whole matrix has each setting with each other', async (t) => {
  t.equal(new Set(CELLS.map(describeCell)).size, CELLS.length)
  t.equal(CELLS.length, 2 ** 4 + 2 * 3 + 2 ** 2 + 3)
})
