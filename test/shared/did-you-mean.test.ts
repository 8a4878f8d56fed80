import t from 'tap'
import { didYouMean } from '../../src/shared/did-you-mean.js'

const KNOWN = ['workers', 'name', 'readyTimeout', 'stopTimeout', 'env', 'cwd']

t.test('a mistyped name finds the nearest known one', async (t) => {
  t.equal(didYouMean('wrokers', KNOWN), 'workers', 'two letters swapped')
  t.equal(didYouMean('worker', KNOWN), 'workers', 'one missing')
  t.equal(didYouMean('ready-timeout', KNOWN), 'readyTimeout', 'another way to write it')
  t.equal(didYouMean('READY_TIMEOUTT', KNOWN), 'readyTimeout', 'case and one too many')
  t.equal(didYouMean('nmae', KNOWN), 'name')
})

t.test('a name that is nothing like a known one finds none', async (t) => {
  t.equal(didYouMean('port', KNOWN), undefined)
  t.equal(didYouMean('abc', KNOWN), undefined, 'short names are not stretched')
  t.equal(didYouMean('', KNOWN), undefined)
})

t.test('a huge name costs nothing', async (t) => {
  t.equal(didYouMean('a'.repeat(1_000_000), KNOWN), undefined)
})
